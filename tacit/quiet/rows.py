"""How texts become rows for methods that think before their tokens."""

from abc import ABC
from collections.abc import Sequence
from typing import Any

from numpy.random import Generator
from pydantic import Field

from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Method, question, text_or_answer
from tacit.vocab import Vocab


class OfTexts(Method, ABC):
    """A method of plain texts, every token of which is predicted."""

    def check(self, encoded: Sequence[Encoded]) -> None:
        from tacit.quiet.texts import refuse_questions

        refuse_questions(encoded)

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": Layout(Segment("question", ex.question), Segment("text", ex.answer, 1.0))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(Segment("question", ex.question))

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        from tacit.quiet.texts import texts

        return {"main": texts([row["main"].ids for row in rows], vocab.pad)}


class LooksAhead(Method, ABC):
    """A method of texts, or of questions of which what is written behind them is learned."""

    ahead: int = Field(default=1, ge=1)
    """Tokens of the text that are predicted behind a thought, in training."""

    def check(self, encoded: Sequence[Encoded]) -> None:
        from tacit.quiet.texts import refuse_short

        refuse_short(encoded, self.ahead)

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": text_or_answer(ex, vocab)}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        from tacit.quiet.texts import collated

        return {"main": collated([row["main"] for row in rows], vocab.pad, self.ahead)}
