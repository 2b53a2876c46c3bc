"""A curriculum that listens: go to the next stage when the hardest part of this one is learned, not when time is up.

Averages hide the one token that broke, so what is watched is the worst: the first written token that is still there, and the
worst place of the answer.
"""

from typing import Literal

from pydantic import Field, model_validator

from tacit.settings import Settings


class Gate(Settings):
    """When to advance."""

    threshold: float = Field(default=0.96, gt=0, lt=1)
    """The next stage begins when the running mean of the watched accuracy reaches this. A running mean never reaches one."""
    memory: float = Field(default=0.9, ge=0, lt=1)
    """Weight of the past in the running mean."""
    least: int = Field(default=20, ge=1)
    """Steps that a stage takes at least."""
    most: int | None = Field(default=1500, ge=1)
    """Steps after which a stage ends all the same; null waits for ever."""
    warmup: int = Field(default=200, ge=0)
    """Steps that the first stage takes at least, whatever is watched."""
    stages: int = Field(ge=1)
    """The last stage."""
    chunk: Literal["one", "double"] = "one"
    """What a stage takes away more than the one before it. one: one token (or step). double: 1, 2, 4, 8… of them, so that
    n are gone in log2 of n stages."""

    @model_validator(mode="after")
    def _least_before_most(self) -> "Gate":
        if self.most is not None and self.most < self.least:
            raise ValueError(
                f"a stage takes at least {self.least} steps and at most {self.most}; set most to {self.least} or more, or a "
                "lower least"
            )
        return self

    def gone(self, stage: int) -> int:
        """Tokens (or steps) that are gone at a stage."""
        return stage if self.chunk == "one" else 2**stage - 1


class GateState:
    """A gate at work. Its three numbers are saved with a checkpoint."""

    def __init__(self, gate: Gate):
        self.gate = gate
        self.stage = 0
        self.since = 0
        self.mean = 0.0

    def observe(self, parts: dict[str, float]) -> None:
        """Count one optimizer step; `watched` is the accuracy in it that matters, absent where no row of it shows that."""
        self.since += 1
        warming = self.stage == 0 and self.since <= self.gate.warmup
        if "watched" in parts:
            self.mean = self.gate.memory * self.mean + (1 - self.gate.memory) * parts["watched"]
        if warming or self.stage >= self.gate.stages or self.since < self.gate.least:
            return
        if self.mean >= self.gate.threshold or (self.gate.most is not None and self.since >= self.gate.most):
            self.stage, self.since, self.mean = self.stage + 1, 0, 0.0

    def state(self) -> dict[str, float]:
        return {"stage": self.stage, "since": self.since, "mean": self.mean}

    def restore(self, state: dict[str, float]) -> None:
        self.stage, self.since, self.mean = int(state["stage"]), int(state["since"]), float(state["mean"])
