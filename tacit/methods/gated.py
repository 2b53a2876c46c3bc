"""What methods share whose written steps disappear: when the next of them goes, what the first that is left weighs in the
loss, and how often a row of an earlier stage is met again."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

from numpy.random import Generator
from pydantic import Field

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, Loss, Method
from tacit.methods.gate import Gate, GateState
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker

REPEATED = "repeated"
"""An empty segment that marks a row of an earlier stage."""


class Gated(Method):
    """A chain of thought that disappears."""

    gate: Gate | None = None
    """Take the next token (or step) away when the hardest part is learned, instead of at a steady pace."""
    frontier_weight: float = Field(default=1.0, gt=0, allow_inf_nan=False)
    """Weight in the loss of the first token that is still written."""
    replay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of rows that are laid out as in an earlier stage, any of them with the same probability."""

    def pacing(self) -> GateState | None:
        return GateState(self.gate) if self.gate else None

    def gone(self, stage: int) -> int:
        """Tokens (or steps) that are gone at a stage."""
        return self.gate.gone(stage) if self.gate else stage

    @abstractmethod
    def row(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> Layout:
        """An example at a stage."""

    @abstractmethod
    def units(self, ex: Encoded) -> int:
        """Tokens (or steps) that an example can lose."""

    @abstractmethod
    def asked_without(self) -> bool:
        """Whether the prompt of a trained model stands for a chain of which nothing is written."""

    def earlier(self, ex: Encoded, stage: int, rng: Generator) -> int:
        """One of the stages before this one that differ for an example."""
        return int(rng.integers(max(1, min(stage, self.units(ex)))))

    def check(self, encoded: Sequence[Encoded]) -> None:
        if self.gate is None or not self.asked_without():
            return
        gone = self.gone(self.gate.stages)
        for ex in encoded:
            if (units := self.units(ex)) > gone:
                raise DataError(
                    f"{ex.id or 'example'}: {units} tokens or steps are to disappear, and only {gone} are gone at the last "
                    "stage, but a trained model is asked as if nothing were written; set method.gate.stages higher"
                )

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        if self.replay and stage and rng is not None and rng.binomial(1, self.replay):
            return {"main": self.row(ex, vocab, self.earlier(ex, stage, rng), rng) + Layout(Segment(REPEATED, ()))}
        return {"main": self.row(ex, vocab, stage, rng)}

    def written(self, tokens: list[int]) -> list[Segment]:
        """The steps that are left, the first token of them apart."""
        if not tokens:
            return []
        return [Segment("frontier", tokens[:1], self.frontier_weight), Segment("steps", tokens[1:], 1.0)]

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.methods.watching import watched_loss

        return watched_loss(thinker, lesson.views["main"], counts["main"])

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        from tacit.methods.watching import ratios

        return ratios(parts)
