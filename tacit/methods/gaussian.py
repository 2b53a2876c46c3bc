"""Hidden states that are drawn at every token of a text, and learned by what they are good for."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tacit.errors import ModelError
from tacit.example import Encoded
from tacit.methods.base import Lesson, Loss
from tacit.quiet.goal import Objective, by_cell
from tacit.quiet.rows import OfTexts
from tacit.quiet.states import GaussianStates

if TYPE_CHECKING:
    from tacit.quiet.drawn import GaussianForCausalLM
    from tacit.thinker import Thinker

ELSEWHERE = ("goal", "gate", "entropy_target", "punish_unfinished", "length_penalty")
"""Parts of an objective that speak about thoughts in words."""
OF_SCORES = ("baseline", "only_positive", "clamp", "normalize", "fit", "judge")
"""Parts that mean nothing where gradients pass through draws."""


class Gaussian(OfTexts):
    """A text; the states in which a recurrent model reads it are drawn, several times over."""

    samples: int = Field(default=10, ge=1)
    """Chains of states of each text, in training."""
    gradient: Literal["score", "pathwise"] = "score"
    """score: as with words, a draw has no gradient, and draws better than others become likelier. pathwise: gradients pass
    through a draw to the mean and the variance that it was made of (reparameterised)."""
    ahead: int | None = Field(default=None, ge=1)
    """With score: a draw is worth the log-probabilities of so many tokens behind it. Left out: of all to the end of the text,
    the only choice whose gradient has the right mean; 1 is what the earliest experiments had."""
    objective: Objective = Objective()
    """What is learned from draws; a text's chains are its thoughts, compared place by place."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Gaussian":
        objective, plain = self.objective, Objective()
        foreign = [name for name in ELSEWHERE if getattr(objective, name) != getattr(plain, name)]
        if foreign:
            raise ValueError(f"objective.{foreign[0]} is about thoughts in words, and these are states; leave it out")
        if objective.baseline in ("null", "ema"):
            raise ValueError(
                f"objective.baseline: {objective.baseline} is about thoughts in words; set it to loo or mean"
            )
        if objective.learned and objective.learned > self.samples:
            raise ValueError(f"objective.learned is {objective.learned} of {self.samples} samples; set it no higher")
        if self.gradient == "pathwise":
            idle = [name for name in OF_SCORES if getattr(objective, name) != getattr(plain, name)]
            idle = ["ahead"] * (self.ahead is not None) + [f"objective.{name}" for name in idle]
            if idle:
                raise ValueError(
                    f"{idle[0]} has no meaning with gradient: pathwise; leave it out, or set gradient: score"
                )
        elif self.samples == 1 and objective.policy:
            raise ValueError(
                "samples: 1 leaves a draw no other to be compared with; set samples to 2 or more, or gradient: pathwise"
            )
        return self

    def faults(self, states: GaussianStates) -> dict[str, str]:
        """Settings that a model with such states cannot be trained with, each with the reason and the remedy."""
        found: dict[str, str] = {}
        if states.drawn == "nothing" and self.gradient == "score" and self.objective.policy:
            found["gradient"] = (
                "nothing is drawn in this model (model.tiny.gaussian.drawn: nothing), so there are no scores: set "
                "method.gradient: pathwise"
            )
        if self.objective.judge and not states.judge:
            found["objective.judge"] = (
                "this model has no part that guesses what a draw is worth: set model.tiny.gaussian.judge: true, or "
                "method.objective.judge: false"
            )
        return found

    # -- learning and measuring -----------------------------------------------------------------------------------------

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.quiet.chains import learn

        return learn(self, self._model(thinker), lesson, counts)

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """`nll`, `policy` and `judge` are the losses, `advantage` the root of the mean square of advantages, `entropy` that of
        a draw in nats."""
        return by_cell(parts)

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """See `tacit.quiet.chains.measure`."""
        from tacit.quiet.chains import measure

        self._model(thinker)
        return measure(thinker, encoded, batch, samples)

    def _model(self, thinker: "Thinker") -> "GaussianForCausalLM":
        from tacit.quiet.drawn import GaussianForCausalLM

        if not isinstance(thinker.model, GaussianForCausalLM):
            raise ModelError(
                f"method gaussian needs a model that draws its states, and this is a {type(thinker.model).__name__}; set "
                "model.tiny.family: gaussian"
            )
        for sentence in self.faults(thinker.model.config.states).values():
            raise ModelError(sentence)
        return thinker.model
