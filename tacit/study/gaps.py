"""A rule for losses, of which less is better: how far arms lie apart."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tacit.study.intervals import NORMAL, Interval, Outcome, around, pairs_of
from tacit.study.rules import Verdict, Word


@dataclass(frozen=True)
class Gap:
    """The metric of `worse` minus that of `better`, over the seeds that both were run with."""

    worse: str
    better: str
    least: float | None = None
    """It is at least this, and unless this is negative, its interval lies above zero."""
    most: float | None = None
    """It is at most this."""

    def __str__(self) -> str:
        return f"{self.worse} − {self.better}"

    def by_seed(self, outcomes: Sequence[Outcome]) -> dict[int, float]:
        pairs = pairs_of(outcomes, self.worse, self.better)
        return {worse.seed: worse.value - better.value for worse, better in pairs}

    def found(self, outcomes: Sequence[Outcome]) -> Interval:
        return of_seeds(list(self.by_seed(outcomes).values()))

    def holds(self, found: Interval) -> bool:
        if self.least is not None and not (found.mean >= self.least and (self.least < 0 or found.low > 0)):
            return False
        return self.most is None or found.mean <= self.most

    def told(self, found: Interval) -> str:
        wanted = [f"at least {self.least:g}"] if self.least is not None else []
        wanted += [f"at most {self.most:g}"] if self.most is not None else []
        return told(str(self), found, self.holds(found), " and ".join(wanted))


@dataclass(frozen=True)
class Shrink:
    """One gap is larger than another, seed by seed, and surely so."""

    wide: Gap
    narrow: Gap
    least: float = 0.0

    def found(self, outcomes: Sequence[Outcome]) -> Interval:
        gaps = [gap.by_seed(outcomes) for gap in (self.wide, self.narrow)]
        return of_seeds([wide - gaps[1][seed] for seed, wide in gaps[0].items() if seed in gaps[1]])

    def holds(self, found: Interval) -> bool:
        return found.mean >= self.least and found.low > 0

    def told(self, found: Interval) -> str:
        return told(f"({self.wide}) − ({self.narrow})", found, self.holds(found), f"at least {self.least:g}")


def of_seeds(values: Sequence[float]) -> Interval:
    """The mean and 1.96 standard errors around it; without an end where there is but one seed."""
    if len(values) == 1:
        return Interval(values[0], -math.inf, math.inf, "one seed")
    return around(values, NORMAL, f"1.96 standard errors, {len(values)} seeds")


def told(what: str, found: Interval, holds: bool, wanted: str) -> str:
    around = f" ± {found.high - found.mean:.3f}" if math.isfinite(found.high) else ""
    return f"{what} = {found.mean:+.3f}{around}, {'as' if holds else 'not as'} expected ({wanted})"


@dataclass(frozen=True)
class Level:
    """A number of an arm lies on one side of a bound in every run."""

    arm: str
    least: float = -math.inf
    most: float = math.inf

    def values(self, outcomes: Sequence[Outcome]) -> list[float]:
        return [outcome.value for outcome in outcomes if outcome.arm == self.arm]

    def holds(self, values: Sequence[float]) -> bool:
        return bool(values) and all(self.least <= value <= self.most for value in values)

    def told(self, values: Sequence[float]) -> str:
        verdict = "as" if self.holds(values) else "not as"
        listed = ", ".join(f"{value:.2g}" for value in values) or "unknown"
        return f"{self.arm} = {listed}, {verdict} expected ({bounds(self.least, self.most)})"


@dataclass(frozen=True)
class Some:
    """A number of arms lies between two bounds in at least one run of any of them."""

    arms: tuple[str, ...]
    least: float = -math.inf
    most: float = math.inf

    def values(self, outcomes: Sequence[Outcome]) -> list[float]:
        return [outcome.value for outcome in outcomes if outcome.arm in self.arms]

    def holds(self, values: Sequence[float]) -> bool:
        return any(self.least <= value <= self.most for value in values)

    def told(self, values: Sequence[float]) -> str:
        inside = sum(self.least <= value <= self.most for value in values)
        verdict = "as" if inside else "not as"
        wanted = f"some {bounds(self.least, self.most)}"
        return f"{', '.join(self.arms)}: {inside} of {len(values)} runs, {verdict} expected ({wanted})"


def bounds(least: float, most: float) -> str:
    wanted = [f"at least {least:g}"] if math.isfinite(least) else []
    wanted += [f"at most {most:g}"] if math.isfinite(most) else []
    return " and ".join(wanted)


@dataclass(frozen=True)
class Gaps:
    """match: every gap and every level is what was expected. partly: at least half of them are. miss: fewer."""

    gaps: tuple[Gap | Shrink, ...]
    levels: tuple[Level | Some, ...] = ()

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        found = [gap.found(outcomes) for gap in self.gaps]
        values = [level.values(outcomes) for level in self.levels]
        held = sum(gap.holds(one) for gap, one in zip(self.gaps, found))
        held += sum(level.holds(one) for level, one in zip(self.levels, values))
        every = len(found) + len(values)
        word: Word = "match" if held == every else "partly" if 2 * held >= every else "miss"
        told = [gap.told(one) for gap, one in zip(self.gaps, found)]
        told += [level.told(one) for level, one in zip(self.levels, values)]
        return Verdict(word, found[0] if found else of_seeds(values[0] or [math.nan]), "; ".join(told))


@dataclass(frozen=True)
class Near:
    """Arms come to published numbers: match where all lie within two standard deviations, partly within four."""

    values: Mapping[str, float]
    """The published number of each arm."""
    deviation: float | None = None
    """The published standard deviation; left out: that of our own seeds."""

    def judge(self, outcomes: Sequence[Outcome]) -> Verdict:
        told, intervals, off = [], [], []
        for arm, value in self.values.items():
            values = [outcome.value for outcome in outcomes if outcome.arm == arm]
            mean = math.fsum(values) / len(values)
            spread = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / max(1, len(values) - 1))
            half = NORMAL * spread / math.sqrt(len(values)) if len(values) > 1 else math.inf
            off.append(abs(mean - value) / max(self.deviation or spread, 1e-9))
            intervals.append(Interval(mean, mean - half, mean + half, f"{len(values)} seeds"))
            told.append(f"{arm} {mean:.4f} over {len(values)} seeds, {off[-1]:.1f} standard deviations from {value}")
        word: Word = "match" if max(off) <= 2 else "partly" if max(off) <= 4 else "miss"
        return Verdict(word, intervals[0], "; ".join(told))
