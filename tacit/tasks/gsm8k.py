"""Grade-school word problems: GSM8K, and its augmented forms with equations (-Aug) or sentences (-Aug-NL) as steps."""

import string
from collections.abc import Iterable
from fractions import Fraction
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Example
from tacit.tasks.base import Split, Task
from tacit.tasks.formats import Reading
from tacit.tasks.rows import Rows

HUB = {
    "gsm8k": ("openai/gsm8k", "main"),
    "gsm8k-aug": ("whyNLP/gsm8k-aug", None),
    "gsm8k-aug-nl": ("whyNLP/gsm8k-aug-nl", None),
}


class Gsm8k(Task):
    """GSM8K from the hub or from local files in any published format.

    GSM8K itself has no valid split: 5 % of train is taken.
    """

    variant: Literal["gsm8k", "gsm8k-aug", "gsm8k-aug-nl"] = "gsm8k"
    """Which data set, when it comes from the hub."""
    path: str = ""
    """A local file or folder instead of the hub."""
    steps: Literal["equations", "sentences"] = "equations"
    """For GSM8K's own format: steps are the <<a*b=c>> marks, or the sentences without them."""
    part: tuple[float, float] = (0.0, 1.0)
    """Which part of the shuffled train split to use: [0, 0.85] for supervised training leaves [0.85, 1] for RL."""
    seed: int = Field(default=42, ge=0)
    """Seed of that shuffle; a whole train split is not shuffled."""
    numeric_only: bool = False
    """Drop training rows whose answer is not a finite number."""
    drop_negative: bool = False
    """Drop training rows with a negative answer."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many rows of a split."""

    @model_validator(mode="after")
    def _a_part(self) -> "Gsm8k":
        if not 0 <= self.part[0] < self.part[1] <= 1:
            raise ValueError(f"part {list(self.part)} must be two rising numbers between 0 and 1")
        return self

    def examples(self, split: Split) -> Iterable[Example]:
        path, config = (self.path, None) if self.path else HUB[self.variant]
        limit = self.limit if split != "train" else None
        rows = list(Rows(path=path, config=config, reading=Reading(steps=self.steps), limit=limit).examples(split))
        if split != "train":
            return rows
        if self.part != (0.0, 1.0):
            order = np.random.default_rng(self.seed).permutation(len(rows))
            start, end = (round(share * len(rows)) for share in self.part)
            rows = [rows[index] for index in order[start:end]]
        rows = [row for row in rows if self._wanted(row)][: self.limit]
        if not rows:
            raise DataError(f"{path}: part, numeric_only and drop_negative leave no row of train")
        return rows

    def alphabet(self) -> str:
        return string.digits

    def _wanted(self, example: Example) -> bool:
        try:
            value = Fraction(example.answer.replace(",", ""))
        except (ValueError, ZeroDivisionError):  # "inf", words, 1/0
            return not self.numeric_only
        return value >= 0 or not self.drop_negative
