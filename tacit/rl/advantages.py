"""How much better an answer is than the others to the same question."""

import math
from collections.abc import Sequence


def advantages(
    rewards: Sequence[float], shares: Sequence[float], *, epsilon: float, scale: bool, sampled: bool
) -> list[float]:
    """Distances from the mean of the group; with `scale`, in units of its standard deviation plus `epsilon`. `shares` say how
    large a part of the group each answer is, together 1."""
    center = mean(rewards, shares)
    unit = deviation(rewards, shares, sampled) + epsilon if scale else 1.0
    return [(reward - center) / unit for reward in rewards]


def mean(rewards: Sequence[float], shares: Sequence[float]) -> float:
    return math.fsum(share * reward for share, reward in zip(shares, rewards))


def deviation(rewards: Sequence[float], shares: Sequence[float], sampled: bool) -> float:
    """The standard deviation of a group. Where answers were `sampled` it is an estimate, with one degree of freedom less than
    there are answers; where shares are probabilities it is known."""
    center = mean(rewards, shares)
    variance = math.fsum(share * (reward - center) ** 2 for share, reward in zip(shares, rewards))
    return math.sqrt(max(variance, 0.0) * (len(rewards) / (len(rewards) - 1) if sampled else 1.0))
