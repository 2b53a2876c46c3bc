"""At which places of a text there is a thought, and for how many others each of them stands.

Sums over chosen places, each times its weight, are sums over all places in the mean, however they are chosen.
"""

from typing import Literal, NamedTuple

import torch
from torch import Tensor

Rule = Literal["even", "entropy"]


class Places(NamedTuple):
    at: Tensor
    """(B, K) columns."""
    weight: Tensor
    """(B, K): 0 where there is nothing to predict."""


def every(real: Tensor) -> Places:
    """All columns; `real` (B, L) is 1 where there is something to predict."""
    return Places(torch.arange(real.shape[1], device=real.device).expand(len(real), -1), real)


def some(real: Tensor, count: int, chance: Tensor) -> Places:
    """`count` different places of each text, all equally likely: by uniform random numbers `chance` (B, L)."""
    count = min(count, real.shape[1])
    order = torch.where(real > 0, chance.to(real), 2.0).argsort(dim=1)
    at = order[:, :count].sort(dim=1).values
    there = real.sum(1, keepdim=True)
    stands_for = (there / count).clamp(min=1.0)  # of a text with fewer places, all are chosen
    return Places(at, real.gather(1, at) * stands_for)


def likely(real: Tensor, entropy: Tensor, count: int, chance: Tensor) -> Places:
    """`count` draws of a place of each text, the likelier the less certain is what comes next there (`entropy`, (B, L) in nats);
    the same place may be drawn twice. `chance` (B, L)."""
    count = min(count, real.shape[1])
    share = entropy.clamp(min=1e-3) * (real > 0)
    share = share / share.sum(1, keepdim=True).clamp(min=1e-12)
    below = share.cumsum(1)
    wanted = chance[:, :count].to(share) * below[:, -1:]
    at = torch.searchsorted(below.contiguous(), wanted.contiguous(), right=True).clamp(max=real.shape[1] - 1)
    at = at.sort(dim=1).values
    return Places(at, real.gather(1, at) / (count * share.gather(1, at)).clamp(min=1e-12))
