"""How many tokens of the chain of thought are gone, and where: the schedule and the cut of stepwise internalization."""

import math
from typing import Literal

from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.methods.base import Progress
from tacit.settings import Settings

EVERYTHING = 1 << 20
"""A count that no chain of thought reaches: all of it is removed."""
PACE = ("per_epoch", "every", "start_from", "from_step", "pretrain_epochs", "all_beyond")


class Removal(Settings):
    """Tokens vanish at a steady pace, a few an epoch."""

    side: Literal["left", "right"] = "left"
    """Which end of the chain of thought vanishes first."""
    per_epoch: float = Field(default=8.0, ge=1e-6)
    """Tokens removed in each pass over the data."""
    every: int | None = Field(default=None, ge=1)
    """Optimizer steps for each removed token, instead of a number per epoch."""
    start_from: int = Field(default=0, ge=0)
    """Tokens that are gone from the start."""
    from_step: int = Field(default=0, ge=0)
    """Optimizer step at which removal begins; before it nothing is gone, not even `start_from`."""
    pretrain_epochs: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Passes over the data before more than `start_from` goes."""
    all_beyond: int | None = Field(default=None, ge=0)
    """When so many tokens are gone, all others go at once; null never."""
    smoothing: float | None = Field(default=None, gt=0)
    """Some examples lose a few tokens more, o of them with probability (1 - e^-s) e^(-s o); null loses none more."""

    @model_validator(mode="after")
    def _reachable(self) -> "Removal":
        if self.all_beyond is not None and self.all_beyond < self.start_from:
            raise ValueError(
                f"all_beyond: {self.all_beyond} is below start_from: {self.start_from}, so all tokens would be gone from the "
                "first step; set all_beyond higher, or start_from lower"
            )
        return self

    def paced(self) -> list[str]:
        """The fields that set a pace and are not as they are by default: what a gate, which sets its own, would ignore."""
        return self.changed(*PACE)

    def count(self, at: Progress) -> int:
        """Tokens gone at this point of training, before smoothing."""
        if at.step < self.from_step:
            return 0
        started = max(self.from_step, math.ceil(self.pretrain_epochs * at.per_epoch))
        pace = self.every or max(1, round(at.per_epoch / self.per_epoch))
        gone = self.start_from + max(0, at.step - started) // pace
        # What is longer than every chain is everything: the stage ends there, and no optimizer is reset for nothing.
        most = max(1, at.chain)
        if self.all_beyond is not None:
            most = min(most, self.all_beyond)
        return EVERYTHING if gone >= most else gone

    def offset(self, rng: Generator | None) -> int:
        """The further tokens that one example loses; without random numbers, none. The tail beyond 99 counts as 99."""
        if self.smoothing is None or rng is None:
            return 0
        return min(100, int(rng.geometric(-math.expm1(-self.smoothing)))) - 1

    def span(self, length: int, gone: int) -> tuple[int, int]:
        """Which tokens of a chain of `length` are removed: (start, end)."""
        gone = min(gone, length)
        return (0, gone) if self.side == "left" else (length - gone, length)
