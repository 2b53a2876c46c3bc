"""What the two matching tasks share: tables of digits, how they are written as words, and how they are corrupted.

A table is an array (N, L, D): N instances with L rows of D digits each, all modulo a small base.
"""

from itertools import product
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from tacit.tasks.blocks import InBlocks

GOES_ON = 0.25
"""Corruptions are geometric: each is followed by another one with this probability."""
LETTERS = "abcdefghijklmnop"
DIGITS = np.array(list("0123456789"), dtype=object)
MOST_ROW_WORDS = 10_000


class DigitRows(InBlocks):
    """Rows of random digits, in which some rows sum to zero modulo the base.

    The published models read multi-hot vectors; here symbols are words, each with a learned embedding.
    """

    length: int = Field(default=10, ge=3, le=100)
    """Rows of an instance."""
    dimension: int = Field(default=3, ge=1, le=len(LETTERS))
    """Digits of a row."""
    base: int = Field(default=10, ge=2, le=10)
    """Digits are 0 … base − 1, and sums are modulo base."""
    written: Literal["digits", "row"] = "digits"
    """digits: one word for each digit, which names its place, as in `a3 b7 c5`; dimension × base words in all. row: one word
    for a row, as in `375`; shorter questions, but base ** dimension words."""

    @model_validator(mode="after")
    def _few_words(self) -> "DigitRows":
        if self.written == "row" and self.base**self.dimension > MOST_ROW_WORDS:
            raise ValueError(
                f"rows of {self.dimension} digits would be {self.base**self.dimension} words; set written: digits"
            )
        return self

    def row_texts(self, rows: np.ndarray) -> np.ndarray:
        """(…, D) -> (…) rows in words: one word or several, as `written` says."""
        whole = self.written == "row"
        text, *rest = [(DIGITS if whole else self.digit_words(d))[rows[..., d]] for d in range(self.dimension)]
        for place in rest:
            text = text + ("" if whole else " ") + place
        return text

    def row_symbols(self) -> list[str]:
        """Every word that `row_texts` uses."""
        if self.written == "row":
            return list(map("".join, product(DIGITS[: self.base], repeat=self.dimension)))
        return [word for d in range(self.dimension) for word in self.digit_words(d)]

    def digit_words(self, place: int) -> np.ndarray:
        """The words of the digits in one place, `a0 … a9`."""
        return LETTERS[place] + DIGITS[: self.base]

    def codes(self, rows: np.ndarray) -> np.ndarray:
        """(…, D) -> (…): a row as one number."""
        return rows @ (self.base ** np.arange(self.dimension)[::-1])

    def negated(self, rows: np.ndarray) -> np.ndarray:
        return -rows % self.base

    def random_rows(self, rng: np.random.Generator, count: int, length: int) -> np.ndarray:
        return rng.integers(self.base, size=(count, length, self.dimension))


def corrupt(tables: np.ndarray, most: int, base: int, rng: np.random.Generator) -> np.ndarray:
    """The published corruption: c rows, the first ones, get fresh digits in c random places, the same digits in all of them.
    c is geometric and at most `most`. As published, a place may be drawn twice, so that fewer than c places change."""
    count, rows, places = tables.shape
    c = np.minimum(rng.geometric(1 - GOES_ON, count), most)[:, None]
    drawn = rng.integers(places, size=(count, most))
    counted = (np.arange(most) < c)[:, :, None]
    chosen = (counted & (drawn[:, :, None] == np.arange(places))).any(1)
    fresh = rng.integers(base, size=(count, 1, places))
    return np.where((np.arange(rows) < c)[:, :, None] & chosen[:, None, :], fresh, tables)


def shuffled(tables: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The rows of each instance in random order."""
    count, length, _ = tables.shape
    order = rng.permuted(np.tile(np.arange(length), (count, 1)), axis=1)
    return np.take_along_axis(tables, order[:, :, None], axis=1)
