"""States of every layer at a few columns, or their mean over a few: what one pass is compared with another by.

Only these columns are taken out of the layers that were read; nothing is copied for the others.

Shapes: P averages, n columns picked, H hidden size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Picks(NamedTuple):
    """Columns of one read, the average that each belongs to, and its share of it."""

    columns: Tensor  # (n,) flat index into its rows and columns
    owners: Tensor  # (n,)
    shares: Tensor  # (n,)

    def add_to(self, total: Tensor, states: Tensor) -> Tensor:
        """(P, H) with the picked ones of `states` (B, W, H) added to their averages."""
        picked = states.flatten(0, 1).index_select(0, self.columns).to(total.dtype)
        return total.index_add(0, self.owners, picked * self.shares.to(total.dtype)[:, None])


@dataclass
class Averages:
    """Means of states over sets of columns, of which some stand in a trunk and some in its tails. A set of one column is
    that column's state; the mean over none is zero."""

    count: int
    trunk: Picks
    tails: Picks

    @classmethod
    def of(cls, spots: np.ndarray, sizes: Sequence[int], trunk: int) -> "Averages":
        """`spots`: flat indices into the `trunk` columns of the trunk followed by those of the tails; so many of them, one
        after the other, for each average."""
        owners = np.repeat(np.arange(len(sizes)), sizes)
        shares = np.repeat([1 / max(1, size) for size in sizes], sizes)
        inside = spots < trunk
        first, second = (
            Picks(*map(torch.from_numpy, (spots[part] - start, owners[part], shares[part])))
            for part, start in ((inside, 0), (~inside, trunk))
        )
        return cls(len(sizes), first, second)

    @property
    def in_trunk(self) -> bool:
        return len(self.trunk.columns) > 0

    @property
    def in_tails(self) -> bool:
        return len(self.tails.columns) > 0

    def taken(self, trunk: Sequence[Tensor], tails: Sequence[Tensor]) -> Tensor:
        """(layers + 1, P, H) in float32 at least, from the output of the embedding and of every layer of both reads. A read
        in which no column is picked may come without its layers."""
        parts = [(layers, picks) for layers, picks in ((trunk, self.trunk), (tails, self.tails)) if layers]
        levels = []
        for level in range(len(parts[0][0])):
            one = parts[0][0][level]
            total = one.new_zeros(self.count, one.shape[-1], dtype=torch.promote_types(one.dtype, torch.float32))
            for layers, picks in parts:
                if len(picks.columns):
                    total = picks.add_to(total, layers[level])
            levels.append(total)
        return torch.stack(levels)

    def to(self, device) -> "Averages":
        trunk, tails = (Picks(*(tensor.to(device) for tensor in picks)) for picks in (self.trunk, self.tails))
        return Averages(self.count, trunk, tails)
