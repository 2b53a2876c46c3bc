"""3SUM, or Match-3: do three of the rows sum to zero in every place? (Pfau et al., arXiv 2404.15758)

An answer takes all triples into account at once, which one read of the rows cannot do where there are many; a chain of
thought goes through the pairs. `pairs` is the chain that can be computed at all its places at once, so a model may learn
to do the same behind fillers that say nothing. `serial` tries triples until one fits, and no filler can stand for that.

In words, for three rows of two digits modulo 3: `a0 b1 a2 b0 a1 b2 P` asks; `0- 2!` says of rows 0 and 1 that row 2 completes
them, `2- a1` of rows 0 and 2 that none behind them does and that their first digits sum to 1; `A True` answers.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, count
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Example, Template
from tacit.tasks.base import Split
from tacit.tasks.blocks import BLOCK, Arrays, Solution
from tacit.tasks.digit_rows import DigitRows, corrupt, shuffled

PATIENCE = 300
"""Draws after which at least half of the instances that must not match should have been found."""


class Match3(DigitRows):
    """Three rows that sum to zero, in half of the instances. The others nearly have such a triple."""

    template: Template = Template(kind="symbolic", question="{question} P", step="{step}", cue="A", answer="{answer}")
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote: True or False."""
    true_rate: float = Field(default=0.5, ge=0, le=1)
    """Share of instances with a matching triple."""
    chain: Literal["pairs", "serial"] = "pairs"
    """pairs: for each pair of rows, the row that completes it or a digit of their sum. serial: for each triple whose first
    digits sum to zero, what the other digits sum to, until a triple matches."""
    keep_lengths: float | None = Field(default=None, gt=0, le=1)
    """Leave out train rows whose chain is longer than this quantile of the test split's; 0.95 is published for serial."""

    @model_validator(mode="after")
    def _lengths_differ(self) -> "Match3":
        if self.keep_lengths is not None and self.chain == "pairs":
            raise ValueError("chains of pairs are all equally long; set keep_lengths: null, or chain: serial")
        return self

    def words(self) -> list[str]:
        places = [f"{row}{mark}" for mark in "-!" for row in range(self.length)]
        digits = [word for d in range(self.dimension) for word in self.digit_words(d)]
        return [*dict.fromkeys([*self.row_symbols(), *digits]), *places, "True", "False", "P", "A"]

    def choices(self, example: Example) -> tuple[str, str]:
        return ("True", "False")

    def draw(self, rng: np.random.Generator) -> Arrays:
        matching = rng.random(BLOCK) < self.true_rate
        tables = self._instances(rng, BLOCK, corrupted=False)
        open_places = np.flatnonzero(~matching)
        wanted = len(open_places)
        for tried in count():
            if not len(open_places):
                return (tables,)
            if tried == PATIENCE and len(open_places) > wanted / 2:
                break
            tables[open_places] = self._instances(rng, len(open_places), corrupted=True)
            open_places = open_places[(self.thirds(tables[open_places]) >= 0).any(1)]
        raise DataError(
            f"Match3 with {self.length} rows of {self.dimension} digits modulo {self.base}: practically every instance has "
            "a matching triple, so none is False; set fewer rows, more digits, or a larger base"
        )

    def _instances(self, rng: np.random.Generator, size: int, corrupted: bool) -> np.ndarray:
        pair = self.random_rows(rng, size, 2)
        triple = np.concatenate([pair, self.negated(pair.sum(1, keepdims=True))], axis=1)
        if corrupted:
            triple = corrupt(triple, 3, self.base, rng)
        others = self.random_rows(rng, size, self.length - 3)
        return shuffled(np.concatenate([triple, others], axis=1), rng)

    def thirds(self, tables: np.ndarray) -> np.ndarray:
        """(N, L, D) -> (N, pairs): for each pair of rows, in lexicographic order, the first later row that makes their sum
        zero; -1 where there is none."""
        first, second = _pairs(self.length)
        needed = self.codes(self.negated(tables[:, first] + tables[:, second]))
        there = self.codes(tables)
        found = np.full(needed.shape, -1)
        for row in range(2, self.length):
            fits = (found < 0) & (second < row) & (needed == there[:, row, None])
            found[fits] = row
        return found

    def questions(self, drawn: Arrays) -> list[str]:
        return list(map(" ".join, self.row_texts(drawn[0]).tolist()))

    def solutions(self, drawn: Arrays, rng: np.random.Generator) -> Sequence[Solution]:
        (tables,) = drawn
        thirds = self.thirds(tables)
        answers = np.where((thirds >= 0).any(1), "True", "False").tolist()
        if self.chain == "pairs":
            return list(zip(self._pair_chains(tables, thirds, rng), answers))
        return list(zip(self._serial_chains(tables, rng), answers))

    def _pair_chains(
        self, tables: np.ndarray, thirds: np.ndarray, rng: np.random.Generator
    ) -> Iterator[tuple[str, ...]]:
        """One step a pair: one of its two rows, then the third row or a digit of the sum. As published, a last step names
        the last row and says a digit of the last pair's sum once more."""
        first, second = _pairs(self.length)
        first, second = np.append(first, self.length - 1), np.append(second, self.length - 1)
        named = np.where(rng.random((len(tables), len(first))) < 0.5, first, second)
        sums = (tables[:, first] + tables[:, second]) % self.base
        sums[:, -1] = sums[:, -2]
        place = rng.integers(self.dimension, size=named.shape)
        digit = np.take_along_axis(sums, place[:, :, None], axis=2)[:, :, 0]
        thirds = np.pad(thirds, ((0, 0), (0, 1)), constant_values=-1)
        said = np.where(thirds >= 0, thirds, self.length + place * self.base + digit)
        return map(tuple, self._pair_steps()[named, said].tolist())

    def _pair_steps(self) -> np.ndarray:
        """Every step that a chain of pairs can have: (row, third row or digit)."""
        digits = [word for d in range(self.dimension) for word in self.digit_words(d)]
        said = [*(f"{row}!" for row in range(self.length)), *digits]
        return np.array([[f"{row}- {word}" for word in said] for row in range(self.length)], dtype=object)

    def _serial_chains(self, tables: np.ndarray, rng: np.random.Generator) -> Iterator[tuple[str, ...]]:
        """One step for each triple whose first digits sum to zero, up to the first that matches: its rows, their digits in
        one place, and the sums in the places behind the first up to one that is not zero."""
        triples = np.array(list(combinations(range(self.length), 3)))
        sums = tables[:, triples].sum(2) % self.base
        matching = (sums == 0).all(2)
        last = np.where(matching.any(1), matching.argmax(1), len(triples))
        instance, triple = np.nonzero((sums[:, :, 0] == 0) & (np.arange(len(triples)) <= last[:, None]))
        words = np.stack([self.digit_words(d) for d in range(self.dimension)])
        place = rng.integers(self.dimension, size=len(triple))
        text = np.array([" ".join(f"{row}-" for row in rows) for rows in triples.tolist()], dtype=object)[triple]
        for row in range(3):
            text = text + " " + words[place, tables[instance, triples[triple, row], place]]
        still = np.arange(len(triple))
        for d in range(1, self.dimension):
            digit = sums[instance[still], triple[still], d]
            text[still] += " " + words[d, digit]
            still = still[digit == 0]
        ends = np.cumsum(np.bincount(instance, minlength=len(tables))).tolist()
        steps = text.tolist()
        return (tuple(steps[start:end]) for start, end in zip([0, *ends], ends))

    def candidates(self, split: Split, rng: np.random.Generator) -> Iterator[Example | None]:
        drawn = super().candidates(split, rng)
        if self.keep_lengths is None or split != "train":
            return drawn
        longest = np.quantile([_size(example) for example in self.examples("test")], self.keep_lengths)
        return (example if example is not None and _size(example) <= longest else None for example in drawn)


def _pairs(length: int) -> tuple[np.ndarray, np.ndarray]:
    return np.triu_indices(length, 1)


def _size(example: Example) -> int:
    return sum(step.count(" ") + 1 for step in example.steps)
