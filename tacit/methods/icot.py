"""Stepwise internalization: a written chain of thought loses its tokens one by one until the answer comes at once
(Deng et al., arXiv 2405.14838)."""

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, Loss, Method, Progress, answer, cue
from tacit.methods.gate import Gate, GateState
from tacit.methods.removal import EVERYTHING, Removal
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Icot(Method):
    """Question, what is left of the steps, answer."""

    removal: Removal = Removal()
    """The pace at which tokens vanish."""
    gate: Gate | None = None
    """Remove the next token when the frontier is learned, instead of at a steady pace."""
    frontier_weight: float = Field(default=1.0, gt=0)
    """Weight in the loss of the first token that is still written."""
    positions: Literal["shift", "keep"] = "shift"
    """shift: what follows a cut moves up. keep: it keeps its positions, and so does the last token before the cut, which
    takes that of the last removed one; answers are then generated at the same positions."""
    unit: Literal["token", "step"] = "token"
    """What is removed at a time."""

    def pacing(self) -> GateState | None:
        return GateState(self.gate) if self.gate else None

    def stage(self, at: Progress) -> int:
        return self.removal.count(at)

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int, rng: np.random.Generator) -> dict[str, Layout]:
        gone = self._gone(ex, stage)
        if gone < EVERYTHING:
            gone += self.removal.offset(rng)
        return {"main": self._layout(ex, vocab, gone)}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        chain = sum(len(step) for step in ex.steps)
        start, end = self.removal.span(chain, EVERYTHING if stage is None else self._gone(ex, stage))
        return Layout(*self._question(ex, end - start if start == 0 else 0))

    def _gone(self, ex: Encoded, stage: int) -> int:
        if self.unit == "token" or stage >= EVERYTHING:
            return stage
        steps = ex.steps[:stage] if self.removal.side == "left" else ex.steps[max(0, len(ex.steps) - stage) :]
        return sum(len(step) for step in steps)

    def _question(self, ex: Encoded, skipped: int) -> list[Segment]:
        """The question; with kept positions its last token stands where the last removed one stood."""
        if self.positions == "shift" or not skipped:
            return [Segment("question", ex.question)]
        return [Segment("question", ex.question[:-1]), Segment("question", ex.question[-1:], skip=skipped)]

    def _layout(self, ex: Encoded, vocab: Vocab, gone: int) -> Layout:
        chain = [token for step in ex.steps for token in step]
        start, end = self.removal.span(len(chain), gone)
        cut = end - start
        head = self._question(ex, cut if start == 0 else 0)
        before, after = chain[:start], chain[end:]
        pieces = []
        if before and cut and self.positions == "keep":
            pieces = [Segment("steps", before[:-1], 1.0), Segment("steps", before[-1:], 1.0, skip=cut)]
        elif before:
            pieces = [Segment("steps", before, 1.0)]
        if after:
            pieces += [Segment("frontier", after[:1], self.frontier_weight), Segment("steps", after[1:], 1.0)]
        return Layout(*head, *pieces, cue(ex), answer(ex, vocab))

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.methods.watching import watched_loss

        return watched_loss(thinker, lesson.views["main"], counts["main"])

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        from tacit.methods.watching import ratios

        return ratios(parts)
