"""Coconut's stage rule, shared by the methods that replace written steps: how many steps go, how many blocks come.

A block is what takes the place of one step: `latents_per_step` silent steps, or as many pauses.
"""

from numpy.random import Generator
from pydantic import Field

from tacit.methods.base import Method, Progress, stages_done


class Staged(Method):
    """The fields of the curriculum. Abstract: it knows when steps go, not what comes in their place."""

    latents_per_step: int = Field(default=1, ge=0)
    """Silent steps for each written step that is replaced."""
    epochs_per_stage: float = Field(default=3.0, gt=0)
    """Passes over the data before the next written step is replaced."""
    max_stage: int = Field(default=3, ge=0)
    """Written steps that are replaced one by one; beyond, all that remain go at once."""
    first_stage: int = Field(default=0, ge=0)
    """The stage that training starts in (after a warm start from written steps, usually 1)."""
    pad_to_max: bool = True
    """In the last stage, give every example as many blocks as `max_stage`, however few steps it has."""
    mix: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability that an example is laid out for a random stage between 0 and its own number of steps."""

    def stage(self, at: Progress) -> int:
        return self.first_stage + stages_done(at, self.epochs_per_stage)

    def replaced(self, count: int, stage: int | None, rng: Generator | None) -> tuple[int, int]:
        """(written steps that go, blocks that come) for an example with `count` steps."""
        if rng is not None and self.mix and rng.binomial(1, self.mix):
            stage = int(rng.integers(0, count + 1))
        if stage is None or stage > self.max_stage:
            return count, self.max_stage if self.pad_to_max else min(count, self.max_stage)
        return min(stage, count), stage

    def asked(self, stage: int | None) -> int:
        """Blocks of a prompt: those of the stage in training, or of the last one. The number of an example's own steps
        is not looked at, since a prompt must not tell how long the solution is."""
        return self.max_stage if stage is None else min(stage, self.max_stage)
