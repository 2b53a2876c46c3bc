"""By how much two arms of a claim differ, and how surely."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tacit.errors import TacitError

LEVEL = 0.95
RESAMPLES = 10_000
# The two-sided 95 % quantile of Student's t by degrees of freedom; from 30 on the normal one is within 4 %.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
NORMAL = 1.960


@dataclass(frozen=True)
class Outcome:
    """One run of one arm."""

    arm: str
    seed: int
    value: float
    """The claim's metric."""
    verdicts: Mapping[str, Sequence[bool]] = field(default_factory=dict)
    """By question, which answers were right; empty where rows were not kept."""

    @property
    def accuracy(self) -> float:
        answers = [right for question in self.verdicts.values() for right in question]
        return sum(answers) / len(answers) if answers else math.nan


@dataclass(frozen=True)
class Interval:
    """Where a number lies, and how that is known."""

    mean: float
    low: float
    high: float
    how: str
    level: float = LEVEL


def contrast(outcomes: Sequence[Outcome], first: str, second: str) -> tuple[Interval, str]:
    """The mean difference of two arms, and the same as words."""
    found = difference(pairs_of(outcomes, first, second))
    return found, (
        f"{first} − {second} = {found.mean:+.3f}, {found.level:.0%} interval {found.low:+.3f} to {found.high:+.3f} ({found.how})"
    )


def pairs_of(outcomes: Sequence[Outcome], first: str, second: str) -> list[tuple[Outcome, Outcome]]:
    """The outcomes of two arms by seed."""
    by_seed = {(outcome.arm, outcome.seed): outcome for outcome in outcomes}
    seeds = sorted({seed for arm, seed in by_seed if arm == first and (second, seed) in by_seed})
    if not seeds:
        raise TacitError(f"there is no seed with which both {first} and {second} were run")
    return [(by_seed[first, seed], by_seed[second, seed]) for seed in seeds]


def difference(pairs: Sequence[tuple[Outcome, Outcome]]) -> Interval:
    """The mean difference of two arms. With three seeds or more it is Student's interval over the seeds, which holds for
    new seeds too; with fewer, a bootstrap over the questions, which says nothing about other seeds."""
    gaps = [first.value - second.value for first, second in pairs]
    if len(gaps) >= 3:
        return around(gaps, t_quantile(len(gaps) - 1), f"paired t over {len(gaps)} seeds")
    mean = math.fsum(gaps) / len(gaps)
    if all(first.verdicts and second.verdicts for first, second in pairs):
        low, high = _bootstrap([_gaps_by_question(*pair) for pair in pairs])
        return Interval(mean, low, high, f"bootstrap over questions, {len(gaps)} seed{'s' * (len(gaps) > 1)}")
    return Interval(mean, -math.inf, math.inf, "unknown: too few seeds, and no rows were kept")


def t_quantile(freedom: int) -> float:
    return T_QUANTILES[freedom - 1] if freedom <= len(T_QUANTILES) else NORMAL


def around(values: Sequence[float], quantile: float, how: str) -> Interval:
    """The mean, and so many of its standard errors on either side."""
    mean = math.fsum(values) / len(values)
    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    half = quantile * deviation / math.sqrt(len(values))
    return Interval(mean, mean - half, mean + half, how)


def _gaps_by_question(first: Outcome, second: Outcome) -> list[float]:
    """Both arms answered the same questions; what they differ in is compared question by question."""
    shared = first.verdicts.keys() & second.verdicts.keys()
    return [_share(first.verdicts[key]) - _share(second.verdicts[key]) for key in sorted(shared)]


def _share(verdicts: Sequence[bool]) -> float:
    return sum(verdicts) / len(verdicts)


def _bootstrap(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """The percentile interval of the mean of the groups' means, their members drawn anew; always the same draws."""
    import numpy as np

    rng = np.random.default_rng(0)
    means = np.zeros(RESAMPLES)
    for group in groups:
        values = np.asarray(group)
        for part in np.array_split(np.arange(RESAMPLES), 20):
            means[part] += values[rng.integers(0, len(values), (len(part), len(values)))].mean(1) / len(groups)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)
