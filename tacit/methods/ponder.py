"""As much computation for a token as it needs, in hidden states instead of words: the continuous comparator of quiet thoughts.

Behind the model's last hidden state a small recurrent cell takes up to `steps` steps. After each it may stop, with a probability
that is learned, and each of its states predicts the next token through the model's own head. The loss is the exact mean over when
it stops, and keeps near a prior that says how long is usual (PonderNet; nothing is sampled).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from numpy.random import Generator
from pydantic import Field

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss, Method, question, text_or_answer
from tacit.thinking import Aside, Pondering, Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Ponder(Method):
    """Steps of a recurrent cell before every token, and when to stop."""

    steps: int = Field(default=4, ge=1)
    """At most so many steps for a token."""
    prior: float = Field(default=0.5, gt=0, lt=1)
    """Probability with which each step is the last under the prior, a geometric distribution whose last step takes what is left;
    the cell begins with it."""
    kl: float = Field(default=0.01, ge=0)
    """Weight of the distance from the prior (Kullback-Leibler, in nats a token)."""

    def thinking(self) -> Thinking:
        return Thinking(aside=Aside(ponder=Pondering(steps=self.steps, halt=self.prior)))

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": text_or_answer(ex, vocab)}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.quiet.pondering import learn

        return learn(self, thinker, lesson.views["main"], counts["main"])

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """See `tacit.quiet.pondering.measure`."""
        from tacit.quiet.pondering import measure

        return measure(thinker, encoded, batch)
