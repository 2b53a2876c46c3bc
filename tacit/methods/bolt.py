"""Thoughts behind text (BoLT, arXiv 2503.18866): a document is chunks, and each chunk may come with a thought that explains it.

One model learns to think before a chunk (the prior) and to say afterwards what must have been thought (the posterior); a coin
decides for every chunk, each time it is read. A document with a question is one chunk, its answer, behind the question.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from numpy.random import Generator
from pydantic import Field

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Method, question
from tacit.vocab import Vocab

START, END = "<|START_OF_LATENT|>", "<|END_OF_LATENT|>"
BEFORE, AFTER = "<|PRIOR_PREFIX|>", "<|POSTERIOR_PREFIX|>"


class Marks(NamedTuple):
    """The four tokens around thoughts."""

    start: int
    end: int
    before: int
    after: int

    @classmethod
    def of(cls, vocab: Vocab) -> "Marks":
        return cls(*(vocab.extra[name] for name in (START, END, BEFORE, AFTER)))


class Bolt(Method):
    """Chunks and their thoughts, every token learned."""

    tokens = around = (START, END, BEFORE, AFTER)

    order: Literal["random", "prior", "posterior", "none"] = "random"
    """Where thoughts stand. random: before or behind their chunk, by a coin. none: nowhere, which is plain text."""
    marks: bool = True
    """A thought is told whether it comes before or behind its chunk. Without, order must not be random."""
    raw: float = Field(default=0.0, ge=0, le=1)
    """Share of documents that are read as plain text."""
    drop: float = Field(default=0.0, ge=0, le=1)
    """Share of thoughts that are left out."""
    bare: Literal["plain", "refuse"] = "plain"
    """What becomes of documents without any thought."""
    completion: bool = False
    """For questions: the loss is on what the model is to write alone. Without thoughts, START alone ends the question, and the
    steps are written as text before the answer, as published for models of plain text."""

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        marks, pairs = Marks.of(vocab), chunks(ex)
        if self.completion:
            return {"main": self._completion(ex, vocab)}
        plain = self.order == "none" or not any(thought for _, thought in pairs)
        if plain and self.bare == "refuse" and self.order != "none":
            raise DataError(f"{ex.id or 'example'} has no thought; set method.bare: plain to learn it as plain text")
        if not plain and self.raw and rng is not None and rng.integers(RESOLUTION) < self.raw * RESOLUTION:
            plain = True
        parts: list[Segment] = []
        for chunk, thought in pairs:
            if plain:
                parts.append(Segment("answer", chunk, 1.0))
            elif not thought or (self.drop and rng is not None and rng.integers(RESOLUTION) < self.drop * RESOLUTION):
                parts += untold(marks, chunk)
            elif self._before(rng):
                parts += prior(marks, thought, chunk, self.marks)
            else:
                parts += posterior(marks, thought, chunk, self.marks)
        asked = question(ex)._replace(learn=1.0)
        return {"main": Layout(asked, *parts, Segment("answer", (vocab.eos,), 1.0))}

    def _completion(self, ex: Encoded, vocab: Vocab) -> Layout:
        asked = self.prompt(ex, vocab)
        [(chunk, thought)] = chunks(ex)
        end = () if self.order == "none" else (Marks.of(vocab).end,)
        written = (*thought, *end, *chunk, vocab.eos)
        return Layout(*asked.segments, Segment("answer", written, 1.0))

    def _before(self, rng: Generator | None) -> bool:
        """Without random numbers, thoughts come first, as they do when the model is used."""
        if self.order != "random" or rng is None:
            return self.order != "posterior"
        return bool(rng.integers(2))

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        marks, told = Marks.of(vocab), self.order != "none"
        if not told and not self.completion:
            return Layout(question(ex))
        return Layout(question(ex), Segment("mark", (marks.start, *([marks.before] if self.marks and told else []))))


RESOLUTION = 1 << 20
"""Shares are drawn as whole numbers, so that examples of one shape are laid out once for all."""


def chunks(ex: Encoded) -> list[tuple[Sequence[int], Sequence[int]]]:
    """Each chunk of a document and its thought, which may be empty."""
    if ex.chunks:
        return list(ex.chunks)
    return [(ex.answer, tuple(i for step in ex.steps for i in step))]


def prior(marks: Marks, thought: Sequence[int], chunk: Sequence[int], told: bool = True) -> list[Segment]:
    """A thought, then the chunk that it leads to."""
    opening = (marks.start, marks.before) if told else (marks.start,)
    return [
        Segment("mark", opening, 1.0),
        Segment("steps", thought, 1.0),
        Segment("mark", (marks.end,), 1.0),
        Segment("answer", chunk, 1.0),
    ]


def untold(marks: Marks, chunk: Sequence[int]) -> list[Segment]:
    """A chunk before which nothing was thought."""
    return [Segment("mark", (marks.start, marks.end), 1.0), Segment("answer", chunk, 1.0)]


def posterior(marks: Marks, thought: Sequence[int], chunk: Sequence[int], told: bool = True) -> list[Segment]:
    """A chunk, then the thought that must have led to it."""
    opening = (marks.start, marks.after) if told else (marks.start,)
    return [
        *untold(marks, chunk),
        Segment("mark", opening, 1.0),
        Segment("steps", thought, 1.0),
        Segment("mark", (marks.end,), 1.0),
    ]
