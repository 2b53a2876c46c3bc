"""Short word problems made on the fly: one quantity changes step by step, each change one calculator step `<<a*b=c>>`.

They look like GSM8K-Aug and have its distribution of steps, but need no data: enough to try a method that replaces
steps.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import Field, field_validator

from tacit.example import Example
from tacit.tasks.base import Generated

# Shares of problems with 1, 2, … 8 steps in GSM8K-Aug's valid split.
STEP_SHARES = (6.4, 31.0, 28.0, 18.0, 11.0, 3.6, 1.4, 0.8)
LARGEST = 9_999

NAMES = (
    "Ada",
    "Ben",
    "Cleo",
    "Dan",
    "Ela",
    "Finn",
    "Hana",
    "Ivo",
    "June",
    "Kai",
    "Lena",
    "Milo",
    "Nora",
    "Otto",
    "Pia",
)
THINGS = (
    "apples",
    "beads",
    "books",
    "cards",
    "coins",
    "eggs",
    "pens",
    "plums",
    "shells",
    "stamps",
    "stickers",
    "stones",
)
BOXES = ("bags", "boxes", "crates", "jars", "packs", "trays")

START = ("{name} has {a} {things}.", "At first {name} owns {a} {things}.", "{name} starts the week with {a} {things}.")
FINISH = (
    "How many {things} does {name} have now?",
    "How many {things} are left with {name}?",
    "What is {name}'s number of {things} in the end?",
)


class Change(NamedTuple):
    """One event of a story: its kind and its numbers."""

    kind: str
    numbers: tuple[int, ...]
    steps: tuple[str, ...]
    """The calculator steps."""
    value: int
    """The quantity afterwards."""


# kind -> ways to tell it; {a} and {b} are its numbers.
PHRASES: dict[str, tuple[str, ...]] = {
    "gain": ("A friend gives {name} {a} more.", "{name} finds {a} more {things}.", "{a} more {things} arrive by mail."),
    "lose": ("{name} gives away {a} of them.", "{a} {things} get lost.", "{name} sells {a} {things}."),
    "times": (
        "By trading, {name} ends up with {a} times as many.",
        "The number of {things} grows to {a} times what it was.",
    ),
    "share": (
        "{name} splits them evenly among {a} people and keeps one share.",
        "{name} keeps only one of every {a} {things}.",
    ),
    "packs": ("{name} buys {a} {boxes} with {b} {things} in each.", "Then come {a} {boxes} of {b} {things} each."),
    "meals": ("For {a} days, {name} uses up {b} {things} a day.", "{name} hands {a} children {b} {things} each."),
}


def _gain(value: int, rng: np.random.Generator) -> Change:
    a = _between(2, 60, rng)
    return Change("gain", (a,), (f"<<{value}+{a}={value + a}>>",), value + a)


def _lose(value: int, rng: np.random.Generator) -> Change | None:
    if value < 3:
        return None
    a = _between(1, value - 1, rng)
    return Change("lose", (a,), (f"<<{value}-{a}={value - a}>>",), value - a)


def _times(value: int, rng: np.random.Generator) -> Change:
    a = _between(2, 6, rng)
    return Change("times", (a,), (f"<<{value}*{a}={value * a}>>",), value * a)


def _share(value: int, rng: np.random.Generator) -> Change | None:
    divisors = [a for a in range(2, 11) if value % a == 0 and value > a]
    if not divisors:
        return None
    a = divisors[_between(0, len(divisors) - 1, rng)]
    return Change("share", (a,), (f"<<{value}/{a}={value // a}>>",), value // a)


def _packs(value: int, rng: np.random.Generator) -> Change:
    a, b = _between(2, 9, rng), _between(2, 12, rng)
    return Change("packs", (a, b), (f"<<{a}*{b}={a * b}>>", f"<<{value}+{a * b}={value + a * b}>>"), value + a * b)


def _meals(value: int, rng: np.random.Generator) -> Change | None:
    a, b = _between(2, 7, rng), _between(2, 9, rng)
    if a * b >= value:
        return None
    return Change("meals", (a, b), (f"<<{a}*{b}={a * b}>>", f"<<{value}-{a * b}={value - a * b}>>"), value - a * b)


ONE_STEP: tuple[Callable[[int, np.random.Generator], Change | None], ...] = (_gain, _lose, _times, _share)
TWO_STEPS: tuple[Callable[[int, np.random.Generator], Change | None], ...] = (_packs, _meals)


class Arithmetic(Generated):
    """Chains of 1 to 8 calculator steps told as a short story; all numbers are whole and positive."""

    step_shares: tuple[float, ...] = STEP_SHARES
    """Shares of problems with 1, 2, 3, … steps; the default is GSM8K-Aug's. [0, 0, 1] gives three steps always."""

    largest: int = Field(default=LARGEST, ge=10)
    """No number gets larger than this; 20 makes chains that a very small model can learn."""

    @field_validator("step_shares")
    @classmethod
    def _shares(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value or min(value) < 0 or not 0 < sum(value) < math.inf:
            raise ValueError(f"{list(value)} must be finite shares, none below zero and not all zero")
        return value

    def problem(self, rng: np.random.Generator) -> tuple[int, list[Change]]:
        shares = np.cumsum(self.step_shares)
        wanted = 1 + int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
        start = value = _between(3, min(80, self.largest), rng)
        changes: list[Change] = []
        while wanted:
            kinds = ONE_STEP + TWO_STEPS if wanted > 1 else ONE_STEP
            change = kinds[_between(0, len(kinds) - 1, rng)](value, rng)
            if change is None or change.value > self.largest:
                continue
            changes.append(change)
            wanted -= len(change.steps)
            value = change.value
        return start, changes

    def pose(self, problem: tuple[int, list[Change]], rng: np.random.Generator) -> Example:
        start, changes = problem
        words = {"name": _one_of(NAMES, rng), "things": _one_of(THINGS, rng), "boxes": _one_of(BOXES, rng)}
        story = [_one_of(START, rng).format(a=start, **words)]
        for change in changes:
            numbers = dict(zip("ab", change.numbers))
            story.append(_one_of(PHRASES[change.kind], rng).format(**numbers, **words))
        story.append(_one_of(FINISH, rng).format(**words))
        steps = tuple([step for change in changes for step in change.steps])
        return Example(question=" ".join(story), steps=steps, answer=str(changes[-1].value))


def _between(low: int, high: int, rng: np.random.Generator) -> int:
    return low + int(rng.random() * (high - low + 1))


def _one_of(items: tuple[str, ...], rng: np.random.Generator) -> str:
    return items[int(rng.random() * len(items))]
