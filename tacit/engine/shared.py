"""One chain of thoughts for several layouts of the same example: stages of a curriculum, or a student and its teacher.

A thought depends on the question and on the thoughts before it, never on what is written afterwards. So all layouts, with no,
some or all of the thoughts, can hang on one chain: the layout that thinks longest is the trunk and is walked as a row is, and
every other one is a private continuation of the column in which it leaves the trunk. Those that leave before the first thought
are read together with the question, the others when the trunk has been walked. Losses, states and gradients are those of
separate rows.

Shapes: B examples, S layouts of each, T trunk columns, W columns of all tails together, N learned tokens, H hidden size.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.averages import Averages
from tacit.engine.run import Trace, check_positions, run
from tacit.engine.stream import Beside, Read, drops_caches
from tacit.errors import DataError, ModelError
from tacit.layout import IGNORE, Layout, Segment
from tacit.objectives import mean, state_nll
from tacit.vocab import Vocab


@dataclass
class SharedBatch:
    """Several layouts of each example, cut into what they share and what is their own."""

    trunk: Batch
    order: tuple[int, ...]
    """In which order the tails of the layouts stand."""
    early: int
    """So many of these leave the trunk before its first thought, in every row."""
    at: Tensor  # (B, S) the trunk column that each tail continues, in that order
    ids: Tensor  # (B, W)
    keep: Tensor  # (B, W)
    cells: Tensor  # (W,) which tail a column belongs to
    cuts: tuple[tuple[int, ...], ...]
    """For each example, how many tokens of each layout stand in the trunk."""
    edges: tuple[int, ...]
    """Where each tail begins among the columns of all tails; behind the last, their number."""
    last_position: int
    sources: Tensor  # (N,) flat index into the trunk's states followed by the tails' states
    said: Tensor  # (N,) ids of these columns
    targets: Tensor  # (N,)
    weights: Tensor  # (N,)
    stages: Tensor  # (N,) which layout each target belongs to

    @classmethod
    def of(cls, groups: Sequence[Sequence[Layout]], vocab: Vocab, closing: bool = False) -> "SharedBatch":
        """`groups`: for each example, its layouts, as many for one as for another. `closing`: a state is fed into the column
        of </think> too."""
        if len({len(group) for group in groups}) != 1:
            raise DataError("every example must come with the same number of layouts to share a chain")
        fed = {vocab.latent, vocab.close} if closing else {vocab.latent}
        said = [[layout.ids for layout in group] for group in groups]
        trunks, cuts = zip(*(_trunk(group, ids, fed) for group, ids in zip(groups, said)))
        trunk = Batch.of(trunks, vocab)
        # A row's last token predicts nothing, so it is not read.
        tails = [[ids[cut:-1] for ids, cut in zip(*pair)] for pair in zip(said, cuts)]
        at = np.array([[start + cut - 1 for cut in row] for start, row in zip(trunk.starts, cuts)])
        first = min([*trunk.latent_columns[:1], *trunk.close_columns[: int(closing)], trunk.shape[1]])
        late = [not any(row[s] for row in tails) or int(at[:, s].max()) >= first for s in range(len(tails[0]))]
        order = sorted(range(len(late)), key=lambda s: late[s])
        widths = [max(len(row[s]) for row in tails) for s in order]
        edges = [0, *np.cumsum(widths).tolist()]
        ids = np.full((len(groups), edges[-1]), vocab.pad)
        keep = np.zeros(ids.shape, dtype=bool)
        for r, row in enumerate(tails):
            for s, edge in zip(order, edges):
                ids[r, edge : edge + len(row[s])] = row[s]
                keep[r, edge : edge + len(row[s])] = True
        nothing = torch.empty(0, dtype=torch.long)
        made = cls(
            trunk=trunk,
            order=tuple(order),
            early=len(late) - sum(late),
            at=torch.from_numpy(at[:, order]),
            ids=torch.from_numpy(ids),
            keep=torch.from_numpy(keep),
            cells=torch.from_numpy(np.repeat(np.arange(len(widths)), widths)),
            cuts=cuts,
            edges=tuple(edges),
            last_position=max(_last_position(layout) for group in groups for layout in group),
            sources=nothing,
            said=nothing,
            targets=nothing,
            weights=torch.empty(0),
            stages=nothing,
        )
        return replace(made, **made._targets(groups, said))

    def _targets(self, groups: Sequence[Sequence[Layout]], said: Sequence[Sequence[list[int]]]) -> dict[str, Tensor]:
        found: list[tuple[np.ndarray, ...]] = []
        for r, group in enumerate(groups):
            for s, layout in enumerate(group):
                labels = np.array(layout.labels)
                weights = np.repeat([piece.learn for piece in layout.segments], [len(p.ids) for p in layout.segments])
                at = np.flatnonzero(labels[1:] != IGNORE)  # what predicts each label stands in the column before it
                before = np.array(said[r][s])[at]
                found.append((self.spots(r, s, at), before, labels[at + 1], weights[at + 1], np.full(len(at), s)))
        names = ("sources", "said", "targets", "weights", "stages")
        columns = {name: torch.from_numpy(np.concatenate(part)) for name, part in zip(names, zip(*found))}
        return columns | {"weights": columns["weights"].float()}

    def spots(self, row: int, stage: int, columns: np.ndarray) -> np.ndarray:
        """Where tokens of a layout stand: flat indices into the trunk's columns followed by the tails' columns."""
        cut, (B, T) = self.cuts[row][stage], self.trunk.shape
        behind = B * T + row * self.edges[-1] + self.edges[self.order.index(stage)] - cut
        return columns + np.where(columns < cut, row * T + self.trunk.starts[row], behind)

    @property
    def learned(self) -> float:
        return math.fsum(self.weights.tolist())

    def to(self, device) -> "SharedBatch":
        return replace(self, **{k: v.to(device) for k, v in self.__dict__.items() if isinstance(v, Tensor | Batch)})


def _trunk(group: Sequence[Layout], said: Sequence[list[int]], fed: set[int]) -> tuple[Layout, tuple[int, ...]]:
    """The layout with the longest chain, and for each layout how far it follows that one."""

    def reach(ids: list[int]) -> int:
        return next((n for n in range(len(ids), 0, -1) if ids[n - 1] in fed), 0)

    s = max(range(len(group)), key=lambda s: reach(said[s]))
    ids = said[s][: max(1, len(said[s]) - 1)]
    positions = None if all(layout.plain for layout in group) else group[s].positions[: len(ids)]
    cuts = []
    for layout, mine in zip(group, said):
        cut = _common(mine, ids)
        if not cut:
            raise DataError(f"{layout!r} and {group[s]!r} have no beginning in common, so there is nothing to share")
        if not fed.isdisjoint(mine[cut:]):
            raise DataError(
                f"{layout!r} thinks after it has left the chain of {group[s]!r}, so the two cannot share one"
            )
        if positions is not None:
            follow = positions[cut - 1] + 1
            if layout.positions != [*positions[:cut], *range(follow, follow + len(mine) - cut)]:
                raise DataError(f"{layout!r} places its tokens at other positions than the chain it would share")
        cuts.append(cut)
    return Layout(Segment("trunk", ids, positions=positions)), tuple(cuts)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))


def _last_position(layout: Layout) -> int:
    return len(layout) - 1 if layout.plain else max(layout.positions)


@dataclass
class SharedTrace:
    """What is left of a shared batch that was read."""

    thinker: Any
    batch: SharedBatch
    trunk: Trace
    tails: list[Read]
    """Those read with the question and those read behind the trunk, where there are any."""

    def states(self) -> Tensor:
        """(N, H) the states that must predict the targets."""
        states = self.trunk.hidden.flatten(0, 1)
        if self.tails:
            tails = torch.cat([read.hidden for read in self.tails], 1)
            states = torch.cat([states, tails.flatten(0, 1)])
        return states.index_select(0, self.batch.sources)

    def nll(self) -> Tensor:
        """(N,) negative log-probability of every target."""
        return state_nll(self.thinker, self.states(), self.batch.said, self.batch.targets)

    def averages(self, wanted: Averages) -> Tensor:
        """(layers + 1, P, H): see `Averages`. The columns must be among those that `read_shared` was told about."""
        tails = [torch.cat(level, 1) for level in zip(*(read.layers or () for read in self.tails))]
        return wanted.taken(self.trunk.layers, tails)


def read_shared(thinker, batch: SharedBatch, wanted: Sequence[Averages] = ()) -> SharedTrace:
    """Walk the trunk, and read the tails. Every layer's states are kept where something of `wanted` stands."""
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
    embeds = thinker.door.embed(batch.ids)
    n, edge = batch.early, batch.edges[batch.early]
    layers = any(one.in_tails for one in wanted)
    # Where nothing is picked at all, the shape of what is not there is still asked for.
    in_trunk = any(one.in_trunk for one in wanted) or bool(wanted and not layers)
    beside = (
        Beside(batch.at[:, :n], embeds[:, :edge], batch.cells[:edge], batch.keep[:, :edge], layers) if edge else None
    )
    schedule = "jacobi" if thinking.schedule == "jacobi" else "cached"
    trunk = run(thinker, batch.trunk, schedule=schedule, layers=in_trunk, beside=beside)
    tails = [] if trunk.aside is None else [trunk.aside]
    if edge < batch.edges[-1]:
        assert trunk.stream is not None
        branch = trunk.stream.branch(batch.at[:, n:])
        tails.append(branch.read(embeds[:, edge:], batch.cells[edge:] - n, batch.keep[:, edge:], layers))
    return SharedTrace(thinker, batch, trunk, tails)


def shared_loss(thinker, batch: SharedBatch, count: float | Tensor | None = None) -> Tensor:
    """Negative log-likelihood per learned token over all layouts of all examples."""
    each = read_shared(thinker, batch).nll()
    return mean(each, batch.weights, batch.learned if count is None else count)
