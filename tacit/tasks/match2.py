"""2SUM-Transform, or Match-2: how many rows find their negation among the rows? (Pfau et al., arXiv 2404.15758)

The rows are shown in disguise: each digit was shifted by its place's number in one of a few fixed sequences, and which
sequence it was is said behind all rows. So nothing can be done while the rows are read; all of it happens behind them.

In words, for two rows of two digits: `a7 b7 a6 b3 T 7` asks, `a7 b7 a4 b6` shows the first row again and as it is behind
disguise 7, which is 46, the negation of the other; `L2` answers.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from pydantic import Field, model_validator

from tacit.example import Example, Template
from tacit.tasks.base import Grade
from tacit.tasks.blocks import BLOCK, Arrays, Solution
from tacit.tasks.digit_rows import DigitRows, corrupt, shuffled

SEQUENCES = np.random.default_rng(0).integers(10, size=(10, 100))
"""The disguises: what is added to each place of a table, modulo the base. They never change."""


class Match2(DigitRows):
    """Count the rows whose negation is a row, behind a disguise that is revealed last. As published, a row of zeros and
    halves of the base, which is its own negation, counts in any case."""

    template: Template = Template(kind="symbolic", question="{question}", step="{step}", cue="", answer="{answer}")
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote: the letter L and the count."""
    length: int = Field(default=10, ge=2, le=100, multiple_of=2)
    """Rows of an instance."""
    dimension: int = Field(default=4, ge=1, le=16)
    """Digits of a row."""
    true_rate: float = Field(default=0.1, ge=0, le=1)
    """Share of instances in which all rows have their negation. In the others some digits of the first rows were overwritten."""

    @model_validator(mode="after")
    def _disguised(self) -> "Match2":
        if self.length * self.dimension > SEQUENCES.shape[1]:
            raise ValueError(
                f"{self.length} rows of {self.dimension} digits are {self.length * self.dimension} digits, and disguises have "
                f"{SEQUENCES.shape[1]}; set a smaller length or dimension"
            )
        return self

    def grade(self, example: Example, text: str) -> Grade:
        """Nothing announces the answer: it is the last word."""
        return super().grade(example, text.split()[-1] if text.split() else "")

    def words(self) -> list[str]:
        counts = [f"L{count}" for count in range(self.length + 1)]
        digits = [word for d in range(self.dimension) for word in self.digit_words(d)]
        return [*dict.fromkeys([*self.row_symbols(), *digits, "T", *map(str, range(len(SEQUENCES)))]), *counts]

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Tables as they are, and the number of each one's disguise."""
        half = self.random_rows(rng, BLOCK, self.length // 2)
        # Shuffled before the first rows are overwritten too, so that a row and its negation may both be among them.
        tables = shuffled(np.concatenate([half, self.negated(half)], axis=1), rng)
        true = rng.random(BLOCK) < self.true_rate
        tables = np.where(true[:, None, None], tables, corrupt(tables, self.length, self.base, rng))
        return shuffled(tables, rng), rng.integers(len(SEQUENCES), size=BLOCK)

    def shown(self, tables: np.ndarray, disguises: np.ndarray) -> np.ndarray:
        """The rows in disguise; adding the sequence undoes it."""
        shifts = SEQUENCES[disguises, : self.length * self.dimension].reshape(tables.shape)
        return (tables - shifts) % self.base

    def matched(self, tables: np.ndarray) -> np.ndarray:
        """(N, L, D) -> (N, L): whether the negation of a row is there."""
        there, wanted = self.codes(tables), self.codes(self.negated(tables))
        return (wanted[:, :, None] == there[:, None, :]).any(2)

    def questions(self, drawn: Arrays) -> list[str]:
        tables, disguises = drawn
        rows = self.row_texts(self.shown(tables, disguises)).tolist()
        return [f"{' '.join(words)} T {disguise}" for words, disguise in zip(rows, disguises.tolist())]

    def solutions(self, drawn: Arrays, rng: np.random.Generator) -> Sequence[Solution]:
        tables, disguises = drawn
        matched = self.matched(tables)
        answers = [f"L{count}" for count in matched.sum(1).tolist()]
        return list(zip(self._chains(tables, disguises, matched, rng), answers))

    def _chains(
        self, tables: np.ndarray, disguises: np.ndarray, matched: np.ndarray, rng: np.random.Generator
    ) -> Iterator[tuple[str, ...]]:
        """One step for each row but the last: the row as shown, then as it is. The second also says the sum of both so
        far; a later one that has its negation says that instead, half of the time."""
        negate = matched & (rng.random(matched.shape) < 0.5)
        negate[:, :2] = False
        told = np.where(negate[:, :, None], self.negated(tables), tables)
        text = self.row_texts(self.shown(tables, disguises)) + " " + self.row_texts(told)
        text[:, 1] += " " + self.row_texts(tables[:, :2].sum(1) % self.base)
        return map(tuple, text[:, :-1].tolist())
