"""One chain of thoughts for several layouts of the same example: stages of a curriculum, or a student and its teacher.

A thought depends on the question and on the thoughts before it, never on what is written afterwards. So the suffixes of
all layouts, with no, some or all of the thoughts in front of them, can hang on one chain: the trunk is walked once, and every
suffix is a private continuation of the column where its own thoughts end. Losses, states and gradients are those of separate
rows.

Shapes: B examples, S layouts of each, T trunk columns, W columns of all tails together, N learned tokens, H hidden size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.averages import Averages
from tacit.engine.run import Trace, check_positions, run
from tacit.engine.stream import Read, drops_caches
from tacit.errors import DataError, ModelError
from tacit.layout import IGNORE, Layout, Segment
from tacit.objectives import mean, state_nll
from tacit.vocab import Vocab


@dataclass
class SharedBatch:
    """Several layouts of each example, cut into what they share and what is their own."""

    trunk: Batch
    at: Tensor  # (B, S) the trunk column that each tail continues
    ids: Tensor  # (B, W)
    keep: Tensor  # (B, W)
    cells: Tensor  # (W,) which layout a column belongs to
    sources: Tensor  # (N,) flat index into the trunk's states followed by the tails' states
    said: Tensor  # (N,) ids of these columns
    targets: Tensor  # (N,)
    weights: Tensor  # (N,)
    stages: Tensor  # (N,) which layout each target belongs to
    last_position: int
    cuts: tuple[tuple[int, ...], ...]
    """For each example, how many tokens of each layout stand in the trunk."""
    edges: tuple[int, ...]
    """Where the tails of each layout begin among the columns of all tails; behind the last, their number."""

    @classmethod
    def of(cls, groups: Sequence[Sequence[Layout]], vocab: Vocab, closing: bool = False) -> "SharedBatch":
        """`groups`: for each example, its layouts, as many for one as for another. `closing`: a state is fed into the column
        of </think> too, which then belongs to the chain."""
        if len({len(group) for group in groups}) != 1:
            raise DataError("every example must come with the same number of layouts to share a chain")
        trunks, cuts = zip(
            *(_trunk(group, {vocab.latent, vocab.close} if closing else {vocab.latent}) for group in groups)
        )
        trunk = Batch.of(trunks, vocab)
        at = np.array([[start + cut - 1 for cut in row] for start, row in zip(trunk.starts, cuts)])
        # A row's last token predicts nothing, so it is not read.
        tails = [[layout.ids[cut:-1] for layout, cut in zip(group, row)] for group, row in zip(groups, cuts)]
        widths = [max(len(row[s]) for row in tails) for s in range(len(tails[0]))]
        edges = [0, *np.cumsum(widths).tolist()]
        ids = np.full((len(groups), edges[-1]), vocab.pad)
        keep = np.zeros(ids.shape, dtype=bool)
        for r, row in enumerate(tails):
            for tail, edge in zip(row, edges):
                ids[r, edge : edge + len(tail)] = tail
                keep[r, edge : edge + len(tail)] = True
        nothing = torch.empty(0, dtype=torch.long)
        made = cls(
            trunk=trunk,
            at=torch.from_numpy(at),
            ids=torch.from_numpy(ids),
            keep=torch.from_numpy(keep),
            cells=torch.from_numpy(np.repeat(np.arange(len(widths)), widths)),
            sources=nothing,
            said=nothing,
            targets=nothing,
            weights=torch.empty(0),
            stages=nothing,
            last_position=max(max(layout.positions) for layout in chain.from_iterable(groups)),
            cuts=cuts,
            edges=tuple(edges),
        )
        return replace(made, **made._targets(groups))

    def _targets(self, groups: Sequence[Sequence[Layout]]) -> dict[str, Tensor]:
        found: list[tuple[np.ndarray, ...]] = []
        for r, group in enumerate(groups):
            for s, layout in enumerate(group):
                ids, labels = np.array(layout.ids), np.array(layout.labels)
                weights = np.repeat([piece.learn for piece in layout.segments], [len(p.ids) for p in layout.segments])
                at = np.flatnonzero(labels[1:] != IGNORE)  # what predicts each label stands in the column before it
                found.append((self.spots(r, s, at), ids[at], labels[at + 1], weights[at + 1], np.full(len(at), s)))
        names = ("sources", "said", "targets", "weights", "stages")
        columns = {name: torch.from_numpy(np.concatenate(part)) for name, part in zip(names, zip(*found))}
        return columns | {"weights": columns["weights"].float()}

    def spots(self, row: int, stage: int, columns: np.ndarray) -> np.ndarray:
        """Where tokens of a layout stand: flat indices into the trunk's columns followed by the tails' columns."""
        cut, (B, T) = self.cuts[row][stage], self.trunk.shape
        behind = B * T + row * self.edges[-1] + self.edges[stage] - cut
        return np.where(columns < cut, row * T + self.trunk.starts[row], behind) + columns

    @property
    def learned(self) -> float:
        return math.fsum(self.weights.tolist())

    def to(self, device) -> "SharedBatch":
        return replace(self, **{k: v.to(device) for k, v in self.__dict__.items() if isinstance(v, Tensor | Batch)})


def _trunk(group: Sequence[Layout], fed: set[int]) -> tuple[Layout, tuple[int, ...]]:
    """The longest chain of the group (what all have in common, where nobody thinks), and for each layout how far it follows."""

    def reach(layout: Layout) -> int:
        ids = layout.ids
        return next((n for n in range(len(ids), 0, -1) if ids[n - 1] in fed), 0)

    longest = max(group, key=reach)
    end = reach(longest) or min(_common(layout.ids, longest.ids) for layout in group)
    ids, positions = longest.ids[:end], longest.positions[:end]
    if not ids:
        raise DataError(
            "the layouts have no thought and no beginning in common, so there is nothing that they could share"
        )
    cuts = []
    for layout in group:
        mine = layout.ids
        cut = _common(mine, ids)
        if not fed.isdisjoint(mine[cut:]):
            raise DataError(
                f"{layout!r} thinks after it has left the chain of {longest!r}, so the two cannot share one"
            )
        follow = positions[cut - 1] + 1 if cut else 0
        if not cut or layout.positions != [*positions[:cut], *range(follow, follow + len(mine) - cut)]:
            raise DataError(f"{layout!r} places its tokens at other positions than the chain it would share")
        cuts.append(cut)
    return Layout(Segment("trunk", ids, positions=positions)), tuple(cuts)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


@dataclass
class SharedTrace:
    """What is left of a shared batch that was read."""

    thinker: Any
    batch: SharedBatch
    trunk: Trace
    tails: Read | None
    """None where no layout goes on behind the trunk."""

    def nll(self) -> Tensor:
        """(N,) negative log-probability of every target."""
        parts = [self.trunk.hidden] if self.tails is None else [self.trunk.hidden, self.tails.hidden]
        states = torch.cat([part.flatten(0, 1) for part in parts]).index_select(0, self.batch.sources)
        return state_nll(self.thinker, states, self.batch.said, self.batch.targets)

    def averages(self, wanted: Averages) -> Tensor:
        """(layers + 1, P, H): see `Averages`. The columns must be among those that `read_shared` was told about."""
        tails = () if self.tails is None else self.tails.layers or ()
        return wanted.taken(self.trunk.layers, tails)


def read_shared(thinker, batch: SharedBatch, wanted: Sequence[Averages] = ()) -> SharedTrace:
    """Walk the trunk and then read all tails at once. Every layer's states are kept where something of `wanted` stands."""
    thinking = thinker.thinking
    if thinking.window is not None:
        raise ModelError(
            f"a gradient window of {thinking.window} counts from the last thought of a row, and the stages that share a "
            "chain end in different places. Unset the window, or lay the stages out as rows of their own"
        )
    check_positions(thinker.door, batch.last_position)
    if drops_caches(thinker.door):
        raise ModelError(
            "gradient checkpointing switches the model's cache off, and stages that share a chain need it. "
            "Set train.checkpointing: false, or lay the stages out as rows of their own"
        )
    schedule = "jacobi" if thinking.schedule == "jacobi" else "cached"
    trunk = run(thinker, batch.trunk, schedule=schedule, layers=any(one.in_trunk for one in wanted))
    if batch.ids.shape[1] == 0:
        return SharedTrace(thinker, batch, trunk, None)
    assert trunk.stream is not None
    branch = trunk.stream.branch(batch.at)
    layers = any(one.in_tails for one in wanted)
    return SharedTrace(
        thinker, batch, trunk, branch.read(thinker.door.embed(batch.ids), batch.cells, batch.keep, layers)
    )


def shared_loss(thinker, batch: SharedBatch, count: float | Tensor | None = None) -> Tensor:
    """Negative log-likelihood per learned token over all layouts of all examples."""
    each = read_shared(thinker, batch).nll()
    return mean(each, batch.weights, batch.learned if count is None else count)
