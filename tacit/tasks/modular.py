"""Chains of sums and products modulo a small prime: a start, up to five operations, one token each, and nothing else.

A chain of m operations needs m dependent look-ups in one table, which a model of two layers cannot do in one read. With the
value after every operation written out it is easy. So the task shows what steps, written or silent, are good for, and how
many of them a model uses; accuracy is told for each length of the chain.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from pydantic import Field

from tacit.example import Example, Template
from tacit.tasks.base import Generated, Split

EMPTY = "."
"""Fills the places of operations that a shorter chain does not have."""


class Operation(NamedTuple):
    """`+3` or `*3`."""

    sign: str
    number: int

    def apply(self, value: int, modulus: int) -> int:
        return (value + self.number if self.sign == "+" else value * self.number) % modulus


@cache
def _operations(modulus: int) -> tuple[Operation, ...]:
    """All that change some value."""
    return *(Operation("+", a) for a in range(1, modulus)), *(Operation("*", a) for a in range(2, modulus))


class Modular(Generated):
    """Chains of operations modulo a prime. Held-out questions never occur in training; training questions may recur."""

    wordings: ClassVar[int] = 1
    """A chain is its words."""

    template: Template = Template(kind="symbolic", question="{question}", step="{step}", cue=":", answer="{answer}")
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote, and compared: a name of tacit.answers.EXTRACTORS."""
    modulus: int = Field(default=11, ge=3)
    """Values are 0 to one below this. With a prime no product loses what came before it."""
    longest: int = Field(default=5, ge=1)
    """Operations of the longest chain; every length up to it is equally likely."""
    steps: Literal["narrow", "wide"] = "narrow"
    """narrow: a step is the value after an operation. wide: the value before it, the operation and the value after it."""

    def problem(self, rng: np.random.Generator) -> tuple[int, list[Operation]]:
        operations = _operations(self.modulus)
        length = int(rng.integers(1, self.longest + 1))
        chosen = [operations[i] for i in rng.integers(0, len(operations), length)]
        return int(rng.integers(self.modulus)), chosen

    def pose(self, problem: tuple[int, list[Operation]], rng: np.random.Generator) -> Example:
        value, operations = problem
        words = [str(value), *(f"{sign}{number}" for sign, number in operations)]
        steps = []
        for word, operation in zip(words[1:], operations):
            before, value = value, operation.apply(value, self.modulus)
            steps.append(str(value) if self.steps == "narrow" else f"{before} {word} {value}")
        question = " ".join(words + [EMPTY] * (self.longest - len(operations)))
        return Example(question=question, steps=tuple(steps), answer=str(value))

    def examples(self, split: Split) -> Iterable[Example]:
        if split != "train":
            return super().examples(split)
        # There are few short chains, and a model must meet them as often as the others: so they may recur.
        rng, found = self.rng(split), []
        while len(found) < self.train_rows:
            example = self._posed(split, rng)
            if example is not None:
                found.append(replace(example, id=f"{split}-{len(found)}"))
        return found

    def kind(self, example: Example) -> str:
        return str(len(example.steps))

    def words(self) -> list[str]:
        numbers = [str(n) for n in range(self.modulus)]
        return [*numbers, *(f"+{n}" for n in numbers[1:]), *(f"*{n}" for n in numbers[2:]), EMPTY]
