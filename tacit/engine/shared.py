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
from itertools import chain
from typing import Any, NamedTuple

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
    cuts: np.ndarray  # (B, S) how many tokens of each layout stand in the trunk
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
        said = _Said.of(groups)
        trunks, cuts = _trunks(groups, said, [vocab.latent, vocab.close] if closing else [vocab.latent])
        trunk = Batch.of(trunks, vocab)
        at = np.array(trunk.starts)[:, None] + cuts - 1
        # A row's last token predicts nothing, so it is not read.
        own = (said.columns >= cuts[..., None]) & (said.columns < said.lengths[..., None] - 1)  # (B, S, L)
        widths = own.sum(-1).max(0)
        first = min([*trunk.latent_columns[:1], *trunk.close_columns[: int(closing)], trunk.shape[1]])
        late = (widths == 0) | (at.max(0) >= first)
        order = np.argsort(late, kind="stable")
        edges = np.array([0, *widths[order].cumsum()])
        ids = np.full((len(groups), edges[-1]), vocab.pad)
        keep = np.zeros(ids.shape, dtype=bool)
        r, s, c = own.nonzero()
        to = edges[order.argsort()][s] + c - cuts[r, s]
        ids[r, to], keep[r, to] = said.ids[r, s, c], True
        nothing = torch.empty(0, dtype=torch.long)
        made = cls(
            trunk=trunk,
            order=tuple(order.tolist()),
            early=int((~late).sum()),
            at=torch.from_numpy(at[:, order]),
            ids=torch.from_numpy(ids),
            keep=torch.from_numpy(keep),
            cells=torch.from_numpy(np.repeat(np.arange(len(order)), widths[order])),
            cuts=cuts,
            edges=tuple(edges.tolist()),
            last_position=max(map(_last_position, chain.from_iterable(groups))) if said.placed else said.last,
            sources=nothing,
            said=nothing,
            targets=nothing,
            weights=torch.empty(0),
            stages=nothing,
        )
        return replace(made, **made._targets(said))

    def _targets(self, said: "_Said") -> dict[str, Tensor]:
        learned = said.labels != IGNORE
        learned[..., 0] = False
        r, s, c = learned.nonzero()
        # What predicts a label stands in the column before it.
        found = {"sources": self.spots(r, s, c - 1), "said": said.ids[r, s, c - 1], "targets": said.labels[r, s, c]}
        found |= {"weights": said.weights[r, s, c], "stages": s}
        return {name: torch.from_numpy(values) for name, values in found.items()}

    def spots(self, rows: np.ndarray, stages: np.ndarray | int, columns: np.ndarray) -> np.ndarray:
        """Where tokens of some rows' layouts stand: flat indices into the trunk's columns followed by the tails' columns."""
        cut, (B, T) = self.cuts[rows, stages], self.trunk.shape
        edges = np.array(self.edges)
        tails = B * T + rows * edges[-1] + edges[np.argsort(self.order)][stages] - cut
        return columns + np.where(columns < cut, rows * T + np.array(self.trunk.starts)[rows], tails)

    @property
    def learned(self) -> float:
        return math.fsum(self.weights.tolist())

    def to(self, device) -> "SharedBatch":
        return replace(self, **{k: v.to(device) for k, v in self.__dict__.items() if isinstance(v, Tensor | Batch)})


class _Said(NamedTuple):
    """All layouts of all examples as arrays; L is the length of the longest."""

    rows: list[list[int]]
    """The ids of each layout, example by example."""
    lengths: np.ndarray  # (B, S)
    ids: np.ndarray  # (B, S, L), -1 behind the end
    labels: np.ndarray  # (B, S, L)
    weights: np.ndarray  # (B, S, L)
    placed: bool
    """A layout says itself at which positions its tokens stand."""

    @classmethod
    def of(cls, groups: Sequence[Sequence[Layout]]) -> "_Said":
        layouts = list(chain.from_iterable(groups))
        rows = [layout.ids for layout in layouts]
        lengths = np.array([len(row) for row in rows])
        inside = np.arange(lengths.max()) < lengths[:, None]
        ids, labels = np.full(inside.shape, -1), np.full(inside.shape, IGNORE)
        weights = np.zeros(inside.shape, dtype=np.float32)
        ids[inside] = np.fromiter(chain.from_iterable(rows), np.int64, lengths.sum())
        labels[inside] = np.fromiter(chain.from_iterable(layout.labels for layout in layouts), np.int64, lengths.sum())
        pieces = [piece for layout in layouts for piece in layout.segments]
        weights[inside] = np.repeat([piece.learn for piece in pieces], [len(piece.ids) for piece in pieces])
        shape = (len(groups), -1)
        cube = (*shape, inside.shape[1])
        placed = not all(layout.plain for layout in layouts)
        return cls(rows, lengths.reshape(shape), ids.reshape(cube), labels.reshape(cube), weights.reshape(cube), placed)

    @property
    def columns(self) -> np.ndarray:
        return np.arange(self.ids.shape[-1])

    @property
    def last(self) -> int:
        return int(self.lengths.max()) - 1


def _trunks(groups: Sequence[Sequence[Layout]], said: _Said, fed: Sequence[int]) -> tuple[list[Layout], np.ndarray]:
    """Of each example the layout with the longest chain, and (B, S) how far each layout follows that one."""
    thinks = np.isin(said.ids, fed)
    reach = np.where(thinks.any(-1), said.ids.shape[-1] - thinks[..., ::-1].argmax(-1), 0)
    longest = reach.argmax(1)
    which = np.arange(len(groups))
    ends = np.maximum(1, said.lengths[which, longest] - 1)
    follows = said.ids == said.ids[which, longest][:, None]
    follows &= said.columns < np.minimum(said.lengths, ends[:, None])[..., None]
    cuts = np.where(follows.all(-1), follows.shape[-1], follows.argmin(-1))
    trunks, stages = [], said.lengths.shape[1]
    for r, (s, end) in enumerate(zip(longest.tolist(), ends.tolist())):
        group = groups[r]
        placed = said.placed and not all(layout.plain for layout in group)
        positions = group[s].positions[:end] if placed else None
        if positions is not None or not cuts[r].all() or (reach[r] > cuts[r]).any():
            _check(group, group[s], cuts[r].tolist(), reach[r].tolist(), positions)
        trunks.append(Layout(Segment("trunk", said.rows[r * stages + s][:end], positions=positions)))
    return trunks, cuts


def _check(
    group: Sequence[Layout], trunk: Layout, cuts: list[int], reach: list[int], positions: list[int] | None
) -> None:
    for layout, cut, last in zip(group, cuts, reach):
        if not cut:
            raise DataError(f"{layout!r} and {trunk!r} have no beginning in common, so there is nothing to share")
        if last > cut:
            raise DataError(f"{layout!r} thinks after it has left the chain of {trunk!r}, so the two cannot share one")
        if positions is not None:
            follow = positions[cut - 1] + 1
            if layout.positions != [*positions[:cut], *range(follow, follow + len(layout) - cut)]:
                raise DataError(f"{layout!r} places its tokens at other positions than the chain it would share")


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
