"""Parallel continuous thoughts (Wu et al., arXiv 2506.18582): all silent steps of a row are computed at once, in a few rounds,
and taught by the same model writing its steps.

The student thinks and answers; the teacher writes all steps but the last, which is the answer already. Both learn to answer,
and at the token before the answer the student's states are drawn towards the teacher's. There is no curriculum.
"""

from typing import TYPE_CHECKING, Annotated, Any, Literal

from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss, Method, answer, cue, question, steps
from tacit.settings import Settings
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Distance(Settings):
    """How the student's states are compared with the teacher's, in every layer."""

    measure: Literal["smooth_l1", "l2"] = "smooth_l1"
    """smooth_l1: mean over dimensions, quadratic below a difference of 1. l2: Euclidean length."""
    norm: Literal["layer_std", "row_std", "none"] = "layer_std"
    """What a distance is divided by. layer_std: the standard deviation of the teacher's numbers in a layer, over the rows of a
    micro-batch, which is the published choice and makes the size of a micro-batch matter. row_std: over each row's own
    numbers. none: nothing."""
    embedding: bool = False
    """Compare the output of the embedding too, as one layer more."""


class Pccot(Method):
    """Student: question, silent steps, answer. Teacher: question, written steps but the last, answer."""

    latents: int = Field(default=24, ge=0)
    """Silent steps of every row."""
    rounds: int = Field(default=3, ge=1)
    """How often all silent steps are computed; with as many rounds as silent steps they are exact."""
    feedback: Literal["identity", "mlp"] = "identity"
    """What turns a state into the next silent step: nothing, or an MLP with a norm."""
    drop_last: bool = True
    """The teacher does not write the last step."""
    teacher: Weight = 1.0
    """Weight of the teacher's cross-entropy."""
    student: Weight = 1.0
    """Weight of the student's cross-entropy."""
    distill: Weight = 1.0
    """Weight of the distance between their states at the token before the answer."""
    distance: Distance = Distance()
    """How states are compared."""

    @model_validator(mode="after")
    def _something_to_learn(self) -> "Pccot":
        if not (self.student or self.distill):
            raise ValueError("the student learns nothing; set student or distill above 0")
        return self

    def thinking(self) -> Thinking:
        return Thinking(schedule="jacobi", rounds=self.rounds, feedback=self.feedback)

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        if not ex.cue:
            raise DataError(
                f"{ex.id or 'example'}: there are no words before the answer, where student and teacher could be compared; set "
                "template.cue"
            )
        written = ex._replace(steps=ex.steps[:-1]) if self.drop_last else ex
        student = Layout(*self.prompt(ex, vocab).segments, answer(ex, vocab))
        return {"main": student, "teacher": Layout(question(ex), steps(written), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex), *vocab.thought(self.latents), cue(ex, 0.0))

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.methods.pccot_loss import taught

        weights = {"main": self.student, "teacher": self.teacher, "distill": self.distill}
        return taught(thinker, lesson, counts, self.distance, weights)
