"""What is to be learned from thoughts, as settings; `objective` computes it."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field, model_validator

from tacit.settings import Settings


class Objective(Settings):
    """How predictions and thoughts are learned."""

    goal: Literal["elbo", "log_mean", "trice"] = "elbo"
    """elbo: the mean of log p(next | thought). log_mean: the log of the mean of p(next | thought) over the thoughts of a cell.
    trice: the gradient of log p(next) itself, by a Markov chain over a cell's thoughts whose stationary distribution is that of
    thoughts given what came next."""
    policy: float = 1.0
    """Weight of learning to think: 0 never changes the reasoner, -1 teaches it to think badly."""
    nll: float = Field(default=1.0, ge=0)
    """Weight of learning to predict."""
    learned: int | None = Field(default=None, ge=1)
    """Thoughts of a cell that the prediction learns from; left out: all of them."""
    baseline: Literal["loo", "mean", "null", "ema"] = "loo"
    """What a thought is compared with. loo: the mean of the cell's other thoughts. mean: of all of them, its own included, which
    shrinks the gradient by (T - 1) / T. null: the empty thought. ema: a running mean over all cells."""
    memory: float = Field(default=0.99, ge=0, lt=1)
    """Weight of the past in the baseline ema."""
    only_positive: bool = False
    """Thoughts worse than usual are not made less likely."""
    clamp: float | None = Field(default=None, gt=0)
    """The most by which a thought counts as better or worse than usual."""
    normalize: bool = False
    """Advantages are divided by their standard deviation over the batch."""
    fit: Literal["policy", "listwise", "value"] = "policy"
    """How thoughts are learned. policy: REINFORCE. listwise: the shares of a cell's thoughts become those of exp(value /
    temperature). value: temperature (log p(thought) + log Z) is regressed onto the value, which works for thoughts of any
    origin."""
    temperature: float = Field(default=1.0, gt=0)
    """That of listwise and value."""
    judge: bool = False
    """The reasoner is taught by a learned guess of a thought's value, which is itself fitted to values."""
    gate: bool = False
    """Predictions learn from a thought only where it beats the empty one, and from the empty one elsewhere, so that ignoring
    thoughts is never learned."""
    entropy: float = 0.0
    """Reward for undecided choices, per choice: a bonus on their mean entropy in nats."""
    entropy_target: float | None = Field(default=None, gt=0)
    """Instead of a fixed bonus: one that grows while the mean entropy is below this, and shrinks while it is above."""
    entropy_rate: float = Field(default=1e-3, gt=0)
    """How fast that bonus grows, per nat and step."""
    punish_unfinished: float = Field(default=0.0, ge=0)
    """Taken from the value of a thought that did not end itself, for the reasoner alone."""
    punish_ramp: bool = True
    """That punishment rises from 0 over all of training."""
    length_penalty: float = Field(default=0.0, ge=0)
    """Taken from the value of a thought for each of its tokens, for the reasoner alone."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Objective":
        if self.entropy and self.entropy_target is not None:
            raise ValueError("entropy and entropy_target both set the bonus; leave one of them out")
        if self.fit != "policy" and self.goal != "elbo":
            raise ValueError(f"fit: {self.fit} is defined for goal: elbo; set one of them back")
        return self

    def check_samples(self, samples: int, thinks: bool = True) -> None:
        """Refuse what a language model's thoughts, so many of a place, cannot learn by this."""
        among = self.goal != "elbo" or self.fit != "policy" or self.baseline in ("loo", "mean")
        if samples == 1 and self.policy and among and thinks:
            raise ValueError(
                "samples: 1 leaves a thought no other of its place to be compared with; set samples to 2 or more, or "
                "objective.baseline to null or ema"
            )
        if self.learned and self.learned > samples:
            raise ValueError(f"objective.learned is {self.learned} of {samples} samples; set it no higher")
        if self.judge:
            raise ValueError("objective.judge belongs to models of family roles; leave it out")

    def needs_null(self) -> bool:
        return self.gate or self.baseline == "null"


def by_cell(parts: Mapping[str, float]) -> dict[str, float]:
    """Means from sums over cells; that of the squares of advantages as its root."""
    cells = max(1.0, parts["cells"])
    told = {name: value / cells for name, value in parts.items() if name != "cells"}
    if "advantage" in told:
        told["advantage"] = max(0.0, told["advantage"]) ** 0.5
    return told


def shared_out(told: dict[str, float]) -> dict[str, float]:
    """Means over empty thoughts, and over the others, from means over all; of what is not there, none."""
    found = dict(told)
    for name, share in (("gate_empty", told.get("empty", 0.0)), ("gate_thinking", 1.0 - told.get("empty", 0.0))):
        if name in found:
            value = found.pop(name)
            if share > 0:
                found[name] = value / share
    return found
