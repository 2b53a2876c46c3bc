"""Examples of three renderings in one run: with written steps, with fillers that say nothing, and with neither
(Pfau et al., arXiv 2404.15758).

A model that only ever sees fillers does not learn to use them; one that sees the steps of some examples may do the same work
behind the fillers of others. Which rendering an example gets is drawn anew in every epoch.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, Loss, Method, answer, cue, question, steps
from tacit.methods.filler import PAUSE
from tacit.settings import Settings
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker

Rendering = Literal["cot", "filler", "none"]
RENDERINGS: tuple[Rendering, ...] = ("cot", "filler", "none")


class Echo(Settings):
    """Fillers that repeat the question: each of its first stretches again, followed by as many pauses. The second one is
    followed by twice as many, which makes them as long as the written steps of Match-2."""

    stretches: int = Field(ge=1, le=10_000)
    """How many stretches of the question are repeated."""
    width: int = Field(default=1, ge=1, le=10_000)
    """Tokens of a stretch."""


class Mixed(Method):
    """Each example at random with its steps, with fillers or with neither, then the answer."""

    tokens: ClassVar[tuple[str, ...]] = (PAUSE,)

    cot: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Share of examples with their written steps. Shares count in relation to each other."""
    filler: float = Field(default=0.5, ge=0, allow_inf_nan=False)
    """Share of examples with fillers instead."""
    none: float = Field(default=0.0, ge=0, allow_inf_nan=False)
    """Share of examples with neither."""
    fillers: int = Field(default=100, ge=0, le=100_000)
    """Pauses of an example with fillers; published for 3SUM is the square of its number of rows. When answering, they are
    fed."""
    echo: Echo | None = None
    """Repeat the question among the pauses, whose number then follows from it."""
    mask: Literal["P", "Final"] = "P"
    """What is learned. P: everything behind the question, fillers too. Final: the answer alone."""
    answer_weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Weight in the loss of the answer."""
    ask: Rendering = "filler"
    """How the model is asked for answers. filler: behind fillers. none: at once. cot: steps are written, and where an
    example has steps of its own, the first token of them is given, since a model of a mixture must be told what to begin."""

    @model_validator(mode="after")
    def _something(self) -> "Mixed":
        if not self.cot + self.filler + self.none:
            raise ValueError("cot, filler and none are all zero; set at least one of them")
        if not getattr(self, self.ask):
            raise ValueError(
                f"no example is learned as it is to be asked: ask is {self.ask} and its share {self.ask}: 0; set ask to one of "
                f"{', '.join(name for name in RENDERINGS if getattr(self, name))}, or the share of {self.ask}"
            )
        if self.ask == "cot" and self.mask == "Final":
            raise ValueError("with mask: Final no step is learned, so none can be written; set mask: P, or another ask")
        return self

    def check(self, encoded: Sequence[Encoded]) -> None:
        wanted = self.echo.stretches * self.echo.width if self.echo else 0
        for ex in encoded:
            if len(ex.question) < wanted:
                raise DataError(
                    f"{ex.id or 'example'}: its question has {len(ex.question)} tokens, and method.echo repeats "
                    f"{self.echo and self.echo.stretches} stretches of {self.echo and self.echo.width}; set fewer or shorter ones"
                )

    def layouts(
        self, ex: Encoded, vocab: Vocab, stage: int | None, rng: np.random.Generator | None
    ) -> dict[str, Layout]:
        learn = 1.0 if self.mask == "P" else 0.0
        middle = self._middle(ex, vocab, learn)[self.ask if rng is None else self._drawn(rng)]
        return {"main": Layout(question(ex), *middle, cue(ex, learn), answer(ex, vocab, self.answer_weight))}

    def _drawn(self, rng: np.random.Generator) -> Rendering:
        place = rng.random() * (self.cot + self.filler + self.none)
        return "cot" if place < self.cot else "filler" if place < self.cot + self.filler else "none"

    def _middle(self, ex: Encoded, vocab: Vocab, learn: float) -> dict[Rendering, list[Segment]]:
        """What stands between question and answer."""
        return {"cot": [steps(ex, learn=learn)], "filler": self._fillers(ex, vocab, learn), "none": []}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        if self.ask == "cot":
            begun = [i for step in ex.steps for i in step][:1]
            return Layout(question(ex), *([Segment("steps", begun)] if begun else []))
        return Layout(question(ex), *self._middle(ex, vocab, 0.0)[self.ask], cue(ex, 0.0))

    def _fillers(self, ex: Encoded, vocab: Vocab, learn: float) -> list[Segment]:
        pause = (vocab.extra[PAUSE],)
        if self.echo is None:
            return [Segment("pause", pause * self.fillers, learn)]
        pieces = []
        for number in range(self.echo.stretches):
            again = ex.question[number * self.echo.width : (number + 1) * self.echo.width]
            pieces.append(Segment("echo", again, learn))
            pieces.append(Segment("pause", pause * (self.echo.width * (2 if number == 1 else 1)), learn))
        return pieces

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.methods.mixed_loss import loss_by_kind

        batch = lesson.views["main"]
        return loss_by_kind(thinker, batch, counts["main"], [rendering(row) for row in batch.layouts], RENDERINGS)

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        from tacit.methods.mixed_loss import accuracies

        return accuracies(parts)


def rendering(row: Layout) -> Rendering:
    """Which of the three a row is."""
    names = {segment.name for segment in row.segments}
    return "filler" if "pause" in names else "cot" if "steps" in names else "none"
