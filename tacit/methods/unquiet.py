"""A plain language model learns what a thinking one predicts: the gain of thoughts at the price of none.

The last part of Fast-Quiet-STaR. As published, it does not do that by its loss alone: the reward of a place says how much better
than the teacher the student predicts its true token, and what the reward makes likelier is another token, drawn from the student,
which has nothing to do with it. `kind: soft` is what one would expect: the teacher's distribution is learned.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from numpy.random import Generator
from pydantic import Field

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss, Method, question, text_or_answer
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Unquiet(Method):
    """Thoughts are learned from and left out."""

    teacher: str | None
    """A run or a folder of a thinker of quiet_star with the same tokenizer. null: the student as it began, without thoughts;
    the control."""
    kind: Literal["published", "soft"] = "soft"
    """published: a token drawn from the student becomes likelier, at temperature 3, where the student predicts the true token
    better than the teacher does, by that difference. soft: the student's distribution comes near the teacher's."""
    weight: float = Field(default=1.0, gt=0)
    """Of what is learned from the teacher."""
    nll: float = Field(default=1.0, ge=0)
    """Weight of the text itself. The published part says nothing about the true token, so that without this nothing does."""
    samples: int = Field(default=1, ge=1)
    """The teacher predicts with the mixture behind so many thoughts of every place."""
    top: int = Field(default=64, ge=1)
    """soft: so many of the teacher's likeliest tokens are told apart at a place, and all others are one."""

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": text_or_answer(ex, vocab)}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        """Row by row: a teacher is asked about texts, not about patterns of texts."""
        return Method.collate(self, rows, vocab)

    def start(self, thinker: "Thinker") -> Any:
        from tacit.quiet.lm.teacher import Teacher

        keep = self.top if self.kind == "soft" else 1
        return Teacher.of(self.teacher, thinker, self.samples, keep)

    def rollout(self, thinker: "Thinker", lesson: Lesson) -> Lesson:
        from tacit.quiet.lm.unthinking import asked

        return asked(lesson)

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.quiet.lm.unthinking import learn

        return learn(self, thinker, lesson, counts)
