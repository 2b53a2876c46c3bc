"""Parity: is the number of ones among some of the bits odd? A single bit changes the answer, so nothing is gained before all
of them are taken into account; with the running parity written down, each step adds one bit.

In words: `0 1 1 0 1 =` asks for the parity of all five bits, `1`, `0`, `0` are those of the first two, three and four, and
`#### 1` answers.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import Field, model_validator

from tacit.example import Example, Template
from tacit.tasks.blocks import BLOCK, Arrays, InBlocks, Solution

OWN = 3
"""Sets the choice of bits apart from the random numbers of the splits."""
BIT = np.array(["0", "1"], dtype=object)


class Parity(InBlocks):
    """Whether the ones among `counted` bits are odd in number; the same bits in every question."""

    template: Template = Template(
        kind="symbolic", question="{question} =", step="{step}", cue="####", answer="{answer}"
    )
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote: 0 or 1."""
    bits: int = Field(default=16, ge=2, le=1_000)
    """Bits of a question."""
    counted: int | None = Field(default=None, ge=2)
    """How many of them count; which ones, the seed decides and no question tells. Left out: all."""

    @model_validator(mode="after")
    def _enough_bits(self) -> "Parity":
        if (self.counted or 0) > self.bits:
            raise ValueError(
                f"{self.counted} of {self.bits} bits cannot be counted; set counted to {self.bits} or less"
            )
        return self

    def words(self) -> list[str]:
        return ["0", "1", "=", "####"]

    def choices(self, example: Example) -> tuple[str, str]:
        return ("0", "1")

    def counting(self) -> list[int]:
        """The bits that count, in order."""
        if self.counted is None:
            return list(range(self.bits))
        return sorted(np.random.default_rng([self.seed, OWN]).permutation(self.bits)[: self.counted].tolist())

    def draw(self, rng: np.random.Generator) -> Arrays:
        return (rng.integers(2, size=(BLOCK, self.bits)),)

    def questions(self, drawn: Arrays) -> list[str]:
        return list(map(" ".join, BIT[drawn[0]].tolist()))

    def solutions(self, drawn: Arrays, rng: np.random.Generator) -> Sequence[Solution]:
        running = BIT[drawn[0][:, self.counting()].cumsum(1) % 2].tolist()
        return [(tuple(parities[1:-1]), parities[-1]) for parities in running]
