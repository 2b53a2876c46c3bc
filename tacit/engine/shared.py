"""One chain of thoughts for several stages of the same example.

A thought depends on the question and on the thoughts before it, never on what is written afterwards. So the suffixes of
all stages, with 0, c, 2c, … thoughts in front of them, can hang on one chain: the trunk is walked once, and every suffix is
a private continuation of the column where its own thoughts end. Losses and gradients are those of separate rows.

Shapes: B examples, S stages, T trunk columns, W columns of all tails together.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.run import check_positions, run
from tacit.engine.stream import drops_caches
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
    cells: Tensor  # (W,) which stage a column belongs to
    sources: Tensor  # (N,) flat index into the trunk's states followed by the tails' states
    said: Tensor  # (N,) ids of these columns
    targets: Tensor  # (N,)
    weights: Tensor  # (N,)
    last_position: int

    @classmethod
    def of(cls, groups: Sequence[Sequence[Layout]], vocab: Vocab) -> "SharedBatch":
        """`groups`: for each example, its layouts, as many for one as for another."""
        if len({len(group) for group in groups}) != 1:
            raise DataError("every example must come with the same number of layouts to share a chain")
        trunks, cuts = zip(*(_trunk(group, vocab) for group in groups))
        trunk = Batch.of(trunks, vocab)
        at = np.array([[start + cut - 1 for cut in row] for start, row in zip(trunk.starts, cuts)])
        # A row's last token predicts nothing, so it is not read.
        tails = [[layout.ids[cut:-1] for layout, cut in zip(group, row)] for group, row in zip(groups, cuts)]
        widths = [max(len(row[s]) for row in tails) for s in range(len(tails[0]))]
        edges = np.cumsum([0, *widths])
        ids = np.full((len(groups), edges[-1]), vocab.pad)
        keep = np.zeros(ids.shape, dtype=bool)
        B, T = trunk.shape
        found: list[tuple[int, int, int, float]] = []
        for r, group in enumerate(groups):
            for s, layout in enumerate(group):
                cut, edge = cuts[r][s], int(edges[s])
                tail = tails[r][s]
                ids[r, edge : edge + len(tail)] = tail
                keep[r, edge : edge + len(tail)] = True
                all_ids = layout.ids
                for column, (label, weight) in enumerate(_learned(layout)):
                    if label == IGNORE or column == 0:
                        continue
                    before = column - 1
                    inside = before < cut
                    source = (
                        r * T + trunk.starts[r] + before if inside else B * T + r * int(edges[-1]) + edge + before - cut
                    )
                    found.append((source, all_ids[before], label, weight))
        sources, said, targets, weights = zip(*found) if found else ((), (), (), ())
        return cls(
            trunk=trunk,
            at=torch.from_numpy(at),
            ids=torch.from_numpy(ids),
            keep=torch.from_numpy(keep),
            cells=torch.from_numpy(np.repeat(np.arange(len(widths)), widths)),
            sources=torch.tensor(sources, dtype=torch.long),
            said=torch.tensor(said, dtype=torch.long),
            targets=torch.tensor(targets, dtype=torch.long),
            weights=torch.tensor(weights, dtype=torch.float32),
            last_position=max(max(layout.positions) for layout in chain.from_iterable(groups)),
        )

    @property
    def learned(self) -> float:
        return math.fsum(self.weights.tolist())

    def to(self, device) -> "SharedBatch":
        return replace(self, **{k: v.to(device) for k, v in self.__dict__.items() if isinstance(v, Tensor | Batch)})


def _learned(layout: Layout) -> list[tuple[int, float]]:
    weights = chain.from_iterable([s.learn] * len(s.ids) for s in layout.segments)
    return list(zip(layout.labels, weights))


def _trunk(group: Sequence[Layout], vocab: Vocab) -> tuple[Layout, list[int]]:
    """The longest chain of the group, and for each layout how far it follows it."""

    def reach(layout: Layout) -> int:
        ids = layout.ids
        return len(ids) - ids[::-1].index(vocab.latent) if vocab.latent in ids else 0

    longest = max(group, key=reach)
    ids, positions = longest.ids[: reach(longest)], longest.positions[: reach(longest)]
    if not ids:
        raise DataError(
            "none of the layouts has a thought, so there is no chain to share; lay them out as ordinary rows"
        )
    cuts = []
    for layout in group:
        mine = layout.ids
        cut = next((i for i, (a, b) in enumerate(zip(mine, ids)) if a != b), min(len(mine), len(ids)))
        if vocab.latent in mine[cut:]:
            raise DataError(
                f"{layout!r} thinks after it has left the chain of {longest!r}, so the two cannot share one"
            )
        follow = positions[cut - 1] + 1
        if layout.positions != [*positions[:cut], *range(follow, follow + len(mine) - cut)]:
            raise DataError(f"{layout!r} places its tokens at other positions than the chain it would share")
        cuts.append(cut)
    return Layout(Segment("trunk", ids, positions=positions)), cuts


def shared_loss(thinker, batch: SharedBatch, count: float | Tensor | None = None) -> Tensor:
    """Negative log-likelihood per learned token over all stages of all examples."""
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
    trace = run(thinker, batch.trunk, schedule="jacobi" if thinking.schedule == "jacobi" else "cached")
    assert trace.stream is not None
    hidden = trace.stream.branch(batch.at).read(thinker.door.embed(batch.ids), batch.cells, batch.keep)
    states = torch.cat([trace.hidden.flatten(0, 1), hidden.flatten(0, 1)]).index_select(0, batch.sources)
    each = state_nll(thinker, states, batch.said, batch.targets)
    return mean(each, batch.weights, batch.learned if count is None else count)
