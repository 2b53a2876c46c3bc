"""A thought before the tokens of a text, drawn in parallel in any causal language model (Quiet-STaR).

Nothing tells the model what to think. Behind every place, or some of them, thoughts are drawn, each a private continuation;
those that made what comes next likelier than the others did become likelier themselves.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss
from tacit.quiet.goal import Objective, by_cell
from tacit.quiet.rows import LooksAhead
from tacit.thinking import Aside, Cast, Speech, Thinking

if TYPE_CHECKING:
    from torch import Tensor

    from tacit.thinker import Thinker


class QuietStar(Speech, LooksAhead):
    """Thoughts of one length behind the places of a text."""

    objective: Objective = Objective()
    """What predictions and thoughts learn."""
    samples: int = Field(default=2, ge=1)
    """Thoughts of every place."""
    marks_scale: float | None = Field(default=None, gt=0)
    """The two marks have vectors of their own, which take steps so many times larger than other weights. Left out: they are
    tokens like others."""
    mixer_width: int | None = Field(default=None, ge=1)
    """Inner width of the gate. Left out: that of the hidden state."""
    cast: Cast = Cast()
    """Which roles have weights of their own."""
    strengths: tuple[float, ...] = ()
    """Dropout on what the base model tells the prediction, one after another, step by step; thoughts are told which it is."""
    base: float = Field(default=0.0, ge=0)
    """Weight of learning to predict without thoughts."""
    echo: float = Field(default=0.0, ge=0)
    """Weight of predicting, at the closing mark, the token that the thought stands behind, where that is read next."""
    choice_temperature: float = Field(default=1.0, gt=0)
    """Divides the logits of a thought's tokens where they are learned; they are drawn at 1."""
    places: int | None = Field(default=None, ge=1)
    """Think at so many places of a text, drawn anew in every step, each standing for others; left out: at all of them."""
    place_by: Literal["even", "entropy"] = "even"
    """even: all places are equally likely. entropy: likelier where it is less certain what comes next."""
    again: bool = False
    """Draw thoughts without gradients and read them again in one go: the same numbers for more arithmetic and fewer launches."""

    @model_validator(mode="after")
    def _goes_together(self) -> "QuietStar":
        objective = self.objective
        objective.check_samples(self.samples, thinks=self.length > 0)
        if objective.punish_unfinished or objective.length_penalty:
            raise ValueError("these thoughts have one length; leave punish_unfinished and length_penalty out")
        if self.echo and not (self.reread and self.join == "after"):
            raise ValueError("echo predicts what is read next; set reread: true and join: after, or echo: 0")
        if self.reread_step and not self.reread:
            raise ValueError("reread_step is the position of a token that is read again; set reread: true")
        if self.mixer_width is not None and self.join != "mix":
            raise ValueError("mixer_width is that of the gate; set join: mix")
        if self.strengths and self.join == "after":
            raise ValueError("nothing of the base model reaches the prediction; set join: mix, or leave strengths out")
        if not all(0 <= share < 1 for share in self.strengths):
            raise ValueError("strengths are shares that are dropped, from 0 to below 1")
        if self.cast.base == "fixed" and self.marks_scale is None:
            raise ValueError(
                "the marks are tokens of the base model, which is fixed, so they would never be learned; set marks_scale: 1"
            )
        if self.place_by != "even" and self.places is None:
            raise ValueError("place_by chooses some of the places; set places to their number")
        return self

    def thinking(self) -> Thinking:
        aside = Aside(
            speech=Speech(**{name: getattr(self, name) for name in Speech.model_fields}),
            mixer=self.join == "mix",
            mixer_width=self.mixer_width,
            marks_scale=self.marks_scale,
            cast=self.cast,
            levels=len(self.strengths),
        )
        return Thinking(aside=aside)

    # -- learning -------------------------------------------------------------------------------------------------------

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.quiet.lm.learning import learn

        return learn(self, thinker, lesson, counts)

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """`nll` and `policy` are the two losses, `advantage` the root of the mean square of advantages, `entropy` that of a
        choice in nats, `base_nll` what the text alone predicts, `echo` the loss of the closing mark."""
        parts = dict(parts)
        base, read = parts.pop("base_nll", None), parts.pop("tokens_read", 1.0)
        told = by_cell(parts)
        return told if base is None else told | {"base_nll": base / max(1.0, read)}

    def predict(self, thinker: "Thinker", rows: Sequence[Layout], batch: int) -> "Iterator[Tensor]":
        from tacit.quiet.lm.speaking import Speaker

        return Speaker(thinker).predict(rows, batch)

    # -- measuring ------------------------------------------------------------------------------------------------------

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """See `tacit.quiet.measuring.measure`; besides `base_nll`, what the text alone predicts, and the arithmetic for each
        token, with one thought (`flops_per_token`) and without (`base_flops_per_token`)."""
        from tacit.evaluate.flops import reading_flops, thinking_flops
        from tacit.quiet.lm.measuring import look
        from tacit.quiet.lm.route import Route
        from tacit.quiet.measuring import summed

        lengths = [len(row.question) + len(row.answer) - 1 for row in encoded]
        costs = {
            "flops_per_token": thinking_flops(thinker, lengths, Route.of(self)),
            "base_flops_per_token": reading_flops(thinker, lengths),
        }
        return summed(look(self, thinker, encoded, batch, samples)) | costs
