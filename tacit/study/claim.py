"""A published claim as data: what is trained, what should come out, and when we say that it did."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tacit.errors import TacitError
from tacit.registry import nearest

Word = Literal["match", "partly", "miss"]
SIZES = ("smoke", "cpu", "gpu", "paper")
"""Scales from the smallest to the largest."""
LEVEL = 0.95
RESAMPLES = 10_000
# The two-sided 95 % quantile of Student's t by degrees of freedom; from 30 on the normal one is within 4 %.
T_QUANTILES = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
NORMAL = 1.960


@dataclass(frozen=True)
class Arm:
    """What is trained under one name."""

    recipe: str
    overrides: Mapping[str, Any] = field(default_factory=dict)
    seeds: tuple[int, ...] | None = None
    """Of the scale's seeds, those that this arm is run with, where not all of them are worth their time."""
    by: Literal["train", "bolt"] = "train"
    """What makes the run: training, or the rounds of `tacit bolt run`."""
    begins: str | None = None
    """The arm whose final weights of the same seed it begins with; it comes after that one."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Settings that are the run of another arm with the same seed, such as model.parts.base."""
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other ways of asking what was trained, each a name and options of `tacit.evaluate`. A rule may judge each as an arm
    called `ARM, NAME`."""

    def seeds_of(self, size: "Scale") -> tuple[int, ...]:
        return tuple(seed for seed in size.seeds if self.seeds is None or seed in self.seeds)


@dataclass(frozen=True)
class Scale:
    """How large, and how often."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """For every arm, over its own."""
    seeds: tuple[int, ...] = (0, 1, 2)


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


@dataclass(frozen=True)
class Verdict:
    word: Word
    interval: Interval
    sentence: str


class Rule(Protocol):
    """Turns outcomes into a verdict."""

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict: ...


@dataclass(frozen=True)
class Beats:
    """One arm is better than another by a margin.

    match: the mean difference reaches the margin and its interval lies above zero. partly: the difference has the right
    sign. miss: it has not.
    """

    better: str
    worse: str
    margin: float = 0.0

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        pairs = _pairs(outcomes, self.better, self.worse)
        found = difference(pairs)
        sure = found.mean >= self.margin and found.low > 0
        word: Word = "match" if sure else "partly" if found.mean > 0 else "miss"
        sentence = (
            f"{self.better} − {self.worse} = {found.mean:+.3f}, {found.level:.0%} interval {found.low:+.3f} to "
            f"{found.high:+.3f} ({found.how}); at least {self.margin:+.3f} was expected"
        )
        return Verdict(word, found, sentence)


@dataclass(frozen=True)
class Levels:
    """One arm is better than another, and every run of an arm reaches its floor or stays under its ceiling.

    match: so it is, and the interval of the difference lies above zero. partly: the difference has the right sign. miss: it
    has not.
    """

    better: str
    worse: str
    floors: Mapping[str, float] = field(default_factory=dict)
    ceilings: Mapping[str, float] = field(default_factory=dict)

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        found = difference(_pairs(outcomes, self.better, self.worse))
        told, kept = [], found.low > 0
        for sign, word, bounds in ((1, "at least", self.floors), (-1, "at most", self.ceilings)):
            for arm, bound in bounds.items():
                values = [outcome.value for outcome in outcomes if outcome.arm == arm]
                inside = sum(sign * value >= sign * bound for value in values)
                kept = kept and bool(values) and inside == len(values)
                told.append(f"{arm} {word} {bound:g} in {inside} of {len(values)} runs")
        verdict: Word = "match" if kept else "partly" if found.mean > 0 else "miss"
        sentence = (
            f"{self.better} − {self.worse} = {found.mean:+.3f}, {found.level:.0%} interval {found.low:+.3f} to "
            f"{found.high:+.3f} ({found.how}); {', '.join(told)}"
        )
        return Verdict(verdict, found, sentence)


@dataclass(frozen=True)
class Rises:
    """In every run of some arms, each of several shown numbers is larger than the one before; one arm is better than another,
    and every run of an arm stays under its ceiling.

    match: so it is, and the interval of the difference lies above zero. partly: the difference has the right sign. miss: it
    has not.
    """

    arms: Sequence[str]
    numbers: Sequence[str]
    better: str
    worse: str
    ceilings: Mapping[str, float] = field(default_factory=dict)

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        level = Levels(self.better, self.worse, ceilings=self.ceilings).judge(outcomes)
        told, kept = [], level.word == "match"
        for arm in self.arms:
            found = {(o.arm, o.seed): o.value for o in outcomes}
            rows = {
                o.seed: [found[key] for name in self.numbers if (key := (f"{arm}: {name}", o.seed)) in found]
                for o in outcomes
                if o.arm == arm
            }
            rising = sum(all(a < b for a, b in zip(row, row[1:])) for row in rows.values())
            kept = kept and bool(rows) and rising == len(rows)
            told.append(f"{arm} rises every time in {rising} of {len(rows)} runs")
        word: Word = "match" if kept else "partly" if level.interval.mean > 0 else "miss"
        return Verdict(word, level.interval, f"{level.sentence}; {', '.join(told)}")


@dataclass(frozen=True)
class Saves:
    """Arms have less of the metric than one before them, no more than they need, and are hardly less accurate.

    match: every run of these arms is at `most` and loses at most `lost` of the accuracy before, and the interval of the first
    arm's difference lies below zero. partly: that difference has the right sign. miss: it has not.
    """

    before: str
    after: tuple[str, ...]
    most: float
    lost: float = 0.01

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        found = difference(_pairs(outcomes, self.after[0], self.before))
        told, kept = [], found.high < 0
        for arm in self.after:
            pairs = _pairs(outcomes, arm, self.before)
            short = sum(one.value <= self.most for one, _ in pairs)
            right = sum(one.accuracy >= before.accuracy - self.lost for one, before in pairs)
            kept = kept and short == right == len(pairs)
            told.append(
                f"{arm} at most {self.most:g} in {short} of {len(pairs)} runs, "
                f"at most {self.lost:.1%} of accuracy lost in {right}"
            )
        verdict: Word = "match" if kept else "partly" if found.mean < 0 else "miss"
        sentence = (
            f"{self.after[0]} − {self.before} = {found.mean:+.3f}, {found.level:.0%} interval {found.low:+.3f} to "
            f"{found.high:+.3f} ({found.how}); {', '.join(told)}"
        )
        return Verdict(verdict, found, sentence)


@dataclass(frozen=True)
class Claim:
    """One claim with its controls."""

    name: str
    source: str
    """Paper and place in it."""
    expected: str
    """What should come out, in words."""
    rule: Rule
    """The same as a rule."""
    arms: Mapping[str, Arm]
    scales: Mapping[str, Scale]
    metric: str = "accuracy"
    """A number of the runs' last evaluation."""
    shown: tuple[str, ...] = ()
    """Further numbers of it, by which the picture tells each arm and which stand in the table beside the metric."""
    listed: tuple[str, ...] = ()
    """Further numbers that stand in the table alone."""
    traced: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    """Numbers of training at a step, such as `entropy at 50`: (entropy, 50). They stand in the table, and a rule may judge each
    as an arm called `ARM: NAME`."""

    def scale(self, name: str) -> Scale:
        if name not in self.scales:
            known = ", ".join(size for size in SIZES if size in self.scales)
            raise TacitError(
                f"claim {self.name} is not set up at scale {name!r}{nearest(name, self.scales)}. Scales: {known}"
            )
        return self.scales[name]


def _pairs(outcomes: Sequence[Outcome], first: str, second: str) -> list[tuple[Outcome, Outcome]]:
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
    mean = math.fsum(gaps) / len(gaps)
    if len(gaps) >= 3:
        half = t_quantile(len(gaps) - 1) * _deviation(gaps, mean) / math.sqrt(len(gaps))
        return Interval(mean, mean - half, mean + half, f"paired t over {len(gaps)} seeds")
    if all(first.verdicts and second.verdicts for first, second in pairs):
        low, high = _bootstrap([_gaps_by_question(*pair) for pair in pairs])
        return Interval(mean, low, high, f"bootstrap over questions, {len(gaps)} seed{'s' * (len(gaps) > 1)}")
    return Interval(mean, -math.inf, math.inf, "unknown: too few seeds, and no rows were kept")


def t_quantile(freedom: int) -> float:
    return T_QUANTILES[freedom - 1] if freedom <= len(T_QUANTILES) else NORMAL


def _deviation(values: Sequence[float], mean: float) -> float:
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))


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
