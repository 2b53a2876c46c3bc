"""When we say that a claim holds: rules that turn outcomes into a verdict."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tacit.study.intervals import Interval, Outcome, contrast, pairs_of

Word = Literal["match", "partly", "miss"]


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
        found, told = contrast(outcomes, self.better, self.worse)
        sure = found.mean >= self.margin and found.low > 0
        word: Word = "match" if sure else "partly" if found.mean > 0 else "miss"
        return Verdict(word, found, f"{told}; at least {self.margin:+.3f} was expected")


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
        found, gap = contrast(outcomes, self.better, self.worse)
        told, kept = [], found.low > 0
        for sign, word, bounds in ((1, "at least", self.floors), (-1, "at most", self.ceilings)):
            for arm, bound in bounds.items():
                values = [outcome.value for outcome in outcomes if outcome.arm == arm]
                inside = sum(sign * value >= sign * bound for value in values)
                kept = kept and bool(values) and inside == len(values)
                told.append(f"{arm} {word} {bound:g} in {inside} of {len(values)} runs")
        verdict: Word = "match" if kept else "partly" if found.mean > 0 else "miss"
        return Verdict(verdict, found, f"{gap}; {', '.join(told)}")


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
        found, gap = contrast(outcomes, self.after[0], self.before)
        told, kept = [], found.high < 0
        for arm in self.after:
            pairs = pairs_of(outcomes, arm, self.before)
            short = sum(one.value <= self.most for one, _ in pairs)
            right = sum(one.accuracy >= before.accuracy - self.lost for one, before in pairs)
            kept = kept and short == right == len(pairs)
            told.append(
                f"{arm} at most {self.most:g} in {short} of {len(pairs)} runs, "
                f"at most {self.lost:.1%} of accuracy lost in {right}"
            )
        verdict: Word = "match" if kept else "partly" if found.mean < 0 else "miss"
        return Verdict(verdict, found, f"{gap}; {', '.join(told)}")
