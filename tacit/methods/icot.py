"""Stepwise internalization: a written chain of thought loses its tokens one by one until the answer comes at once
(Deng et al., arXiv 2405.14838)."""

from typing import Literal

from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Progress, answer, cue, opening, question
from tacit.methods.gated import Gated
from tacit.methods.removal import EVERYTHING, Removal
from tacit.vocab import Vocab


class Icot(Gated):
    """Question, what is left of the steps, answer."""

    removal: Removal = Removal()
    """The pace at which tokens vanish."""
    positions: Literal["shift", "keep"] = "shift"
    """shift: what follows a cut moves up. keep: it keeps its positions, and so does the last token before the cut, which
    takes that of the last removed one; answers are then generated at the same positions. With `side: right` that holds once
    all is gone: steps that are still written are generated without the gap that they were learned with."""
    length: int | None = Field(default=None, ge=1, le=100_000)
    """With kept positions: tokens of the chain whose place is left free before an answer. Left out: as many as an example's own
    written steps have, which only a row with steps can tell; set it where all chains have one length, and to answer questions
    that come alone."""
    unit: Literal["token", "step"] = "token"
    """What is removed at a time."""

    @model_validator(mode="after")
    def _one_pace(self) -> "Icot":
        if self.gate and (paced := self.removal.paced()):
            raise ValueError(
                f"the gate says when the next token goes, and removal.{paced[0]} says it too; set gate: null, or leave "
                f"removal.{paced[0]} out"
            )
        if self.removal.side == "right" and self.frontier_weight != 1.0:
            raise ValueError(
                "from the right, the first token that is still written is always the first of all and no frontier; set "
                "frontier_weight: 1.0, or removal.side: left"
            )
        if self.length and self.positions == "shift":
            raise ValueError("no place is left free where positions shift; set length: null, or positions: keep")
        return self

    def stage(self, at: Progress) -> int:
        return self.removal.count(at)

    def row(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> Layout:
        if self.length and rng is not None and _length(ex) != self.length:
            raise DataError(
                f"{ex.id or 'example'}: it has {_length(ex)} written tokens, and method.length promises {self.length} for every "
                "question; set method.length: null, or take chains of one length"
            )
        gone = EVERYTHING if stage is None else self._tokens(ex, stage)
        if gone < EVERYTHING:
            gone += self.removal.offset(rng)
        chain = [token for step in ex.steps for token in step]
        start, end = self.removal.span(len(chain), gone)
        cut = end - start
        before, after = chain[:start], chain[end:]
        pieces = [*self._question(ex, cut if start == 0 else 0), *opening(ex)]
        if before and cut and self.positions == "keep":
            pieces += [Segment("steps", before[:-1], 1.0), Segment("steps", before[-1:], 1.0, skip=cut)]
        elif before:
            pieces.append(Segment("steps", before, 1.0))
        return Layout(*pieces, *self.written(after), cue(ex), answer(ex, vocab))

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        chain = _length(ex) or self.length or 0
        start, end = self.removal.span(chain, EVERYTHING if stage is None else self._tokens(ex, stage))
        return Layout(*self._question(ex, end - start if start == 0 else 0))

    def units(self, ex: Encoded) -> int:
        return len(ex.steps) if self.unit == "step" else _length(ex)

    def asked_without(self) -> bool:
        return self.positions == "keep"

    def _tokens(self, ex: Encoded, stage: int) -> int:
        """How many tokens are gone at a stage."""
        gone = self.gone(stage) if stage < EVERYTHING else EVERYTHING
        if self.unit == "token" or gone >= EVERYTHING:
            return gone
        steps = ex.steps[:gone] if self.removal.side == "left" else ex.steps[max(0, len(ex.steps) - gone) :]
        return sum(len(step) for step in steps)

    def _question(self, ex: Encoded, skipped: int) -> list[Segment]:
        """The question; with kept positions its last token stands where the last removed one stood."""
        whole = question(ex)
        if self.positions == "shift" or not skipped:
            return [whole]
        before = whole._replace(ids=whole.ids[:-1], positions=whole.positions and whole.positions[:-1])
        return [before, Segment("question", whole.ids[-1:], skip=skipped)]


def _length(ex: Encoded) -> int:
    return sum(len(step) for step in ex.steps)
