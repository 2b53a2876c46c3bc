"""A published claim as data: what is trained, what should come out, and the rule by which we say that it did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tacit.errors import TacitError
from tacit.registry import nearest
from tacit.study.rules import Rule

SIZES = ("smoke", "cpu", "gpu", "paper")
"""Scales from the smallest to the largest."""


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
    """The arm whose final weights of the same seed it begins with, or a run inside that one's folder, as ARM/warm; it comes after
    that one."""
    parts: Mapping[str, str] = field(default_factory=dict)
    """Settings that are the run of another arm with the same seed, such as model.parts.base, or a folder inside it: ARM/warm is
    the warm start of an arm made by bolt."""
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Other ways of asking what was trained, each a name and options of `tacit.evaluate`. A rule may judge each as an arm
    called `ARM, NAME`."""
    costs: str | None = None
    """The arm, made by bolt, whose rounds it costs as much as, inference included: so many steps does it take. It comes after
    that one."""
    judged: bool = True
    """False: it only lends its weights, and need not tell the claim's metric."""

    def seeds_of(self, size: "Scale") -> tuple[int, ...]:
        return tuple(seed for seed in size.seeds if self.seeds is None or seed in self.seeds)


@dataclass(frozen=True)
class Scale:
    """How large, and how often."""

    overrides: Mapping[str, Any] = field(default_factory=dict)
    """For every arm. They may not undo what an arm sets itself, which is what it is about."""
    seeds: tuple[int, ...] = (0, 1, 2)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """For every arm that does not set the same itself."""
    replaces: tuple[str, ...] = ()
    """Of `overrides`, those that may undo an arm's own setting, such as the steps of a scale that only shows that all runs."""
    arms: tuple[str, ...] | None = None
    """Of the claim's arms, those that are worth their time here; left out: all."""
    rule: Rule | None = None
    """What is expected of these; left out: the claim's rule."""
    smaller: str = ""
    """In words, what is smaller here than where the claim was published."""


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
    over: str = ""
    """What follows each other in the numbers shown, such as rounds in accuracy/0, accuracy/1: the picture then has lines."""
    listed: tuple[str, ...] = ()
    """Further numbers that stand in the table alone. A rule may judge them, as those of `shown`, as an arm called `ARM: NAME`."""
    compared: tuple[str, ...] = ()
    """Numbers that are told of each way of asking an arm; left out: those that are shown."""
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

    def arms_at(self, scale: str) -> dict[str, Arm]:
        """The arms that a scale trains."""
        names = self.scale(scale).arms
        return {name: self.arms[name] for name in (self.arms if names is None else names)}

    def rule_at(self, scale: str) -> Rule:
        return self.scale(scale).rule or self.rule

    def settings(self, scale: str) -> dict[str, dict[str, Any]]:
        """What is set over each arm's recipe. Refused where the scale would make an arm another than it says."""
        size = self.scale(scale)
        found = {}
        for name, arm in self.arms_at(scale).items():
            for path, value in arm.overrides.items():
                undone = next(
                    (other for other in size.overrides if _undoes(other, size.overrides[other], path, value)), None
                )
                if undone is not None and undone not in size.replaces:
                    raise TacitError(
                        f"claim {self.name}: scale {scale} sets {undone} to {size.overrides[undone]!r}, but arm {name!r} is "
                        f"about {path}: {value!r}; put it into the scale's defaults, or into its replaces if that is meant"
                    )
            found[name] = {**size.defaults, **arm.overrides, **size.overrides}
        return found


def _undoes(path: str, value: Any, own: str, own_value: Any) -> bool:
    """Whether a value set at a path changes what an arm has set at its own."""
    if path == own:
        return value != own_value
    return own.startswith(f"{path}.") or path.startswith(f"{own}.")
