"""Long multiplication, digit by digit, least significant digit first: 12 × 34 is `2 1 * 4 3`, its answer `8 0 4 0`.

Two chains of thought. `running` is the published one of N-by-N multiplication: partial products shifted to their place,
with a running sum behind each inner one, so that all rows of one size are equally long. `compact` is the partial
products alone.
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from tacit.example import Example, Template
from tacit.tasks.base import SPLITS, Split, Task, check_split

# The published draw: 810,000 pairs, of which the last two thousand are valid and test.
PUBLISHED_SEED = 1234
PUBLISHED_SPLITS: dict[Split, tuple[int, int]] = {
    "train": (0, 808_000),
    "valid": (808_000, 809_000),
    "test": (809_000, 810_000),
}
# Up to here all pairs fit in memory and are shuffled; above, pairs are drawn and practically never repeat.
ALL_PAIRS = 1_000_000


class Multiplication(Task):
    """Products of two numbers with a fixed count of digits. Valid and test pairs are never trained on."""

    template: Template = Template(
        kind="symbolic", question="{question} =", step="{step}", cue="####", answer="{answer}"
    )
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote: all digits must be there, in order."""
    left: int = Field(default=4, ge=1, le=100)
    """Digits of the first number."""
    right: int = Field(default=4, ge=1, le=100)
    """Digits of the second number; one step for each."""
    cot: Literal["running", "compact"] = "running"
    """running: shifted partial products and running sums, as published. compact: partial products alone."""
    published: bool = False
    """Use the published pairs in the published order (left = right, 3 to 9 digits); seed then plays no part."""
    held_out: Literal["halved", "whole"] = "halved"
    """halved: valid and test share the held-out pairs. whole: each has all of them, for tables so small that half says
    little."""
    seed: int = Field(default=0, ge=0)
    """Other seeds give other pairs, from the same held-out and trained-on halves."""
    train_rows: int = Field(default=100_000, ge=1)
    """At most this many train pairs; small tables have fewer, 2 × 2 digits about 7,600."""
    valid_rows: int = Field(default=1_000, ge=1)
    """At most this many valid pairs; 2 × 2 digits have about 250."""
    test_rows: int = Field(default=1_000, ge=1)
    """At most this many test pairs."""

    @model_validator(mode="after")
    def _published_sizes(self) -> "Multiplication":
        if self.published and not (self.left == self.right and 3 <= self.left <= 9):
            raise ValueError(
                f"published pairs exist for 3×3 to 9×9 digits, not {self.left}×{self.right}; set published: false"
            )
        return self

    def examples(self, split: Split) -> list[Example]:
        check_split(split)
        rows = {"train": self.train_rows, "valid": self.valid_rows, "test": self.test_rows}[split]
        pairs = self._published(split) if self.published else self._fresh(split)
        return [self.row(x, y, f"{split}-{number}") for number, (x, y) in zip(range(rows), pairs)]

    def places(self, example: Example, found: str | None) -> list[bool]:
        """Digits, the least significant first."""
        written = (found or "").split()
        return [place < len(written) and written[place] == digit for place, digit in enumerate(example.answer.split())]

    def words(self) -> list[str]:
        return [*"0123456789", "*", "+", "(", ")", "=", "####"]

    def row(self, x: int, y: int, id: str = "") -> Example:
        """The example of one product."""
        steps = self._running(x, y) if self.cot == "running" else self._compact(x, y)
        question = f"{digits(x, self.left)} * {digits(y, self.right)}"
        return Example(id, question, tuple(steps), digits(x * y, self.left + self.right))

    def _running(self, x: int, y: int) -> Iterator[str]:
        total = 0
        for place, digit in enumerate(map(int, str(y)[::-1])):
            term = x * digit * 10**place
            total += term
            size = self.left + 1 + place
            inner = 0 < place < self.right - 1
            yield ("+ " if place else "") + digits(term, size) + (f" ( {digits(total, size)} )" if inner else "")

    def _compact(self, x: int, y: int) -> Iterator[str]:
        return (digits(x * int(digit), self.left + 1) for digit in str(y)[::-1])

    def _published(self, split: Split) -> Iterator[tuple[int, int]]:
        smallest = 10 ** (self.left - 1)
        span = 9 * smallest
        ids = np.random.default_rng(PUBLISHED_SEED).choice(span * span, PUBLISHED_SPLITS["test"][1], replace=False)
        ids = ids[slice(*PUBLISHED_SPLITS[split])]
        return zip((smallest + ids % span).tolist(), (smallest + ids // span).tolist())

    def _fresh(self, split: Split) -> Iterator[tuple[int, int]]:
        """Different pairs of the split in random order, without end for large numbers."""
        home = "valid" if self.held_out == "whole" and split == "test" else split
        rng = np.random.default_rng([self.seed, SPLITS.index(home)])
        first, second = 10 ** (self.left - 1), 10 ** (self.right - 1)
        if 81 * first * second <= ALL_PAIRS:
            ids = rng.permutation(81 * first * second)
            pairs = zip((first + ids % (9 * first)).tolist(), (second + ids // (9 * first)).tolist())
        else:
            pairs = _endless_pairs(rng, self.left, self.right)
        seen: set[tuple[int, int]] = set()
        homes = {"valid", "test"} if self.held_out == "whole" and split != "train" else {split}
        for pair in pairs:
            if home_of(*pair) in homes and pair not in seen:
                seen.add(pair)
                yield pair


def digits(number: int, size: int) -> str:
    """The digits, least significant first, filled with zeros to a fixed count."""
    return " ".join(str(number)[::-1].ljust(size, "0"))


def home_of(x: int, y: int) -> Split:
    """A sixteenth of all pairs is held out, half of it for valid and half for test."""
    return {0: "valid", 16: "test"}.get((7919 * x + 104729 * y) % 32, "train")  # type: ignore[return-value]


def _endless_pairs(rng: np.random.Generator, left: int, right: int) -> Iterator[tuple[int, int]]:
    while True:
        # Digit by digit: numbers above 18 digits do not fit a machine word.
        block = rng.integers(0, 10, (4096, left + right))
        block[:, [0, left]] = rng.integers(1, 10, (4096, 2))
        for row in block.tolist():
            text = "".join(map(str, row))
            yield int(text[:left]), int(text[left:])
