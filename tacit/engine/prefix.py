"""Attention of many cells to one shared text: every cell sees the text up to a column of its own.

The cells are sorted by that column, so a block of neighbours sees nearly the same keys: it is one product with the keys that any
of them sees, and who sees less is told by comparing numbers of columns. What comes back can be merged with other columns, as the
largest score and the sums are kept apart.

Shapes: B rows, H heads of keys, T text columns, C cells, M queries of a cell on one head of keys, D size of a head.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tacit.engine import masks

SCORES = {"cpu": 2**19}
"""How many scores are at hand at once: on a CPU those that its cache holds, elsewhere enough to be busy with."""
MANY = 2**24


class Block(NamedTuple):
    cells: slice
    keys: slice
    sure: int
    """So many of these keys are seen by all of the cells."""


@dataclass(frozen=True)
class Prefix:
    """What the cells of one read see of the text."""

    keep: Tensor | None  # (B, T), None where no column is a pad
    at: Tensor  # (B, C) the last column seen, ascending in every row
    first: Tensor | None  # (B, C, n) the first column seen by each of a cell's queries, where there is a window
    low: tuple[int, ...]  # C each: over all rows, the first column seen,
    sure: tuple[int, ...]  # the smallest and
    high: tuple[int, ...]  # the largest last one

    @classmethod
    def of(cls, keep: Tensor | None, at: Tensor, first: Tensor | None = None) -> "Prefix":
        low = [0] * at.shape[1] if first is None else first.amin((0, 2)).tolist()
        return cls(keep, at, first, tuple(low), tuple(at.amin(0).tolist()), tuple(at.amax(0).tolist()))

    def windowed(self, step: int, n: int, window: int) -> "Prefix":
        """For n queries of each cell, the first of which follows `step` others: windows count tokens."""
        keep = self._kept
        number = masks.order(keep)
        here = number.gather(1, self.at)[..., None] + 1 + step + torch.arange(n, device=number.device)
        first = torch.searchsorted(number, (here - window).flatten(1), right=True).view(here.shape)
        return Prefix.of(self.keep, self.at, first)

    @property
    def _kept(self) -> Tensor:
        if self.keep is not None:
            return self.keep
        return torch.ones(len(self.at), int(max(self.high)) + 1, dtype=torch.bool, device=self.at.device)

    def blocks(self, rows: int, M: int) -> Iterator[Block]:
        """Blocks of cells, given `rows` of M queries for each cell."""
        C, end = self.at.shape[1], max(self.high) + 1
        room = SCORES.get(self.at.device.type, MANY)
        count = max(1, -(-16 // M), room // (rows * M * end))
        for start in range(0, C, count):
            cells = slice(start, min(start + count, C))
            low, high = min(self.low[cells]), max(self.high[cells]) + 1
            plain = self.keep is None and self.first is None
            yield Block(cells, slice(low, max(low, high)), min(self.sure[cells]) + 1 - low if plain else 0)

    def hide(self, scores: Tensor, block: Block, heads: int) -> Tensor:
        """Scores (B · H, c · M, K) of a block, with those of unseen columns at minus infinity."""
        first = None if self.first is None else self.first[:, block.cells]
        keys = slice(block.keys.start + block.sure, block.keys.stop)
        if keys.start < keys.stop:
            seen = masks.between(self.at[:, block.cells], first, self.keep, keys)  # (B, c, 1 or n, K)
            B, c, n, _ = seen.shape
            unsure = scores.view(B, heads, c, -1, n, scores.shape[-1])[..., block.sure :]
            unsure.masked_fill_(~seen[:, None, :, None], -torch.inf)
        return scores

    def attend(self, query: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Scaled queries (B, H, C, M, D) and a text (B · H, T, D) -> sums of values (B, H, C, M, D) weighted by exp(score -
        top), the largest score `top` and the sum of the weights, both (B, H, C, M, 1)."""
        B, H, C, M, _ = query.shape
        flat = query.flatten(0, 1)
        out = query.new_empty(B * H, C, M, values.shape[-1])
        top, total = query.new_empty(2, B * H, C, M, 1)
        for block in self.blocks(B * H, M):
            if block.keys.start == block.keys.stop:  # the window has left the text behind
                out[:, block.cells], total[:, block.cells] = 0.0, 0.0
                top[:, block.cells] = torch.finfo(top.dtype).min
                continue
            scores = torch.bmm(flat[:, block.cells].flatten(1, 2), keys[:, block.keys].transpose(1, 2))
            self.hide(scores, block, H)
            shape = (B * H, -1, M, 1)
            # Who sees nothing has no largest score, and minus infinity less itself is no number.
            largest = scores.amax(-1, keepdim=True).clamp_(min=torch.finfo(scores.dtype).min)
            scores.sub_(largest).exp_()
            top[:, block.cells] = largest.view(shape)
            total[:, block.cells] = scores.sum(-1, keepdim=True).view(shape)
            out[:, block.cells] = torch.bmm(scores, values[:, block.keys]).unflatten(1, (-1, M))
        return tuple(each.unflatten(0, (B, H)) for each in (out, top, total))  # type: ignore[return-value]

    def gradients(
        self, query: Tensor, keys: Tensor, values: Tensor, lse: Tensor, slope: Tensor, mean: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Of scaled queries, keys and values. `lse` (B, H, C, M, 1): the logarithm of the sum over all columns that a query
        sees, here and elsewhere. `slope` (B, H, C, M, D): the gradient of the output, and `mean` its product with the output."""
        B, H, _, M, _ = query.shape
        flat, steep, level, middle = (each.flatten(0, 1) for each in (query, slope, lse, mean))
        found = torch.empty_like(flat)
        for_keys, for_values = torch.zeros_like(keys), torch.zeros_like(values)
        for block in self.blocks(B * H, M):
            if block.keys.start == block.keys.stop:
                found[:, block.cells] = 0.0
                continue
            mine, theirs, log, centre = (each[:, block.cells].flatten(1, 2) for each in (flat, steep, level, middle))
            k, v = keys[:, block.keys], values[:, block.keys]
            weight = self.hide(torch.baddbmm(log, mine, k.transpose(1, 2), beta=-1), block, H).exp_()
            for_values[:, block.keys] += torch.bmm(weight.transpose(1, 2), theirs)
            change = torch.baddbmm(centre, theirs, v.transpose(1, 2), beta=-1).mul_(weight)
            for_keys[:, block.keys] += torch.bmm(change.transpose(1, 2), mine)
            found[:, block.cells] = torch.bmm(change, k).unflatten(1, (-1, M))
        return found.unflatten(0, (B, H)), for_keys, for_values
