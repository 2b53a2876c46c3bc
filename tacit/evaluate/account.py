"""What a completion consists of: silent steps, tokens written while thinking, tokens of the answer.

The model may think inside `<think> … </think>`, silently or in words, or write its steps in front of the words that
announce the answer. Everything is read from token ids, since text does not tell a silent step from a word for it.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from tacit.engine.complete import Completion
from tacit.layout import Layout
from tacit.vocab import Vocab

SILENT, FILLER, WRITTEN, BEFORE = "silent", "filler", "written", "before"


class Thought(NamedTuple):
    """One stretch of thinking."""

    kind: str
    """`silent` (a state fed back, or a pause in its place), `filler` (ordinary tokens that say nothing), `written`, or `before`
    (in front of every token of the answer, all of it together)."""
    length: int


class Account(NamedTuple):
    """Everything in front of an answer, and the answer's length."""

    thoughts: tuple[Thought, ...]
    answer_tokens: int
    marks: int = 0
    """How many <think>, </think> and the like there are."""
    announced: bool = True
    """Whether the words that announce the answer are there, in the prompt or behind it."""

    def columns(self, *kinds: str) -> int:
        return sum(thought.length for thought in self.thoughts if thought.kind in kinds)

    @property
    def latents(self) -> int:
        """Columns that say nothing."""
        return self.columns(SILENT, FILLER)

    @property
    def thought_tokens(self) -> int:
        return self.columns(WRITTEN, BEFORE)

    @property
    def reasoning_tokens(self) -> int:
        """Everything in front of the announced answer, with the marks around thoughts: six silent steps count as eight."""
        return sum(thought.length for thought in self.thoughts) + self.marks


def account(done: Completion, cue: Sequence[int], vocab: Vocab, around: Sequence[str] = ()) -> Account:
    """Take a completion apart. What is written between the prompt and the last `cue` is thinking; without a cue it is
    all answer, as it is for grading. `around`: a method's own marks around thoughts."""
    said: list[int] = []
    own = [vocab.extra[name] for name in around]
    runs = groupby(_kinds(done, vocab, own, said))
    thoughts = [Thought(kind, sum(1 for _ in run)) for kind, run in runs if kind is not None]
    end = after_cue(said, cue)
    steps = end - len(cue) if end else 0
    if steps:
        thoughts.append(Thought(WRITTEN, steps))
    if done.before is not None:
        thoughts.append(Thought(BEFORE, len(done.ids) * done.before.samples * done.before.tokens))
    marks = sum(token in {vocab.open, vocab.close, *own} for token in (*done.prompt.ids, *done.ids))
    asked = any(segment.name == "cue" for segment in done.prompt.segments)
    return Account(tuple(thoughts), len(said) - end, marks, bool(end) or asked or not cue)


def _kinds(done: Completion, vocab: Vocab, own: Sequence[int], said: list[int]) -> Iterator[str | None]:
    """The kind of thinking of each column, None where there is none; what is written outside thoughts goes to `said`."""
    fillers, inside = {*vocab.extra.values()} - {*own}, False
    opening, closing = {vocab.open, *own[:1]}, {vocab.close, *own[1:2]}
    if closing.isdisjoint(
        done.ids
    ):  # models of plain text are asked behind an own mark too, and what they write has no end
        opening = {vocab.open}
    for segment in done.prompt.segments:
        for token in segment.ids:
            inside = token in opening or (inside and token not in closing)
            filler = token in fillers or segment.name == "thought"
            yield SILENT if token == vocab.latent else FILLER if filler else None
    ended = done.ids[-1:] == [vocab.eos] and done.stopped in ("", "eos")
    for token in done.ids[:-1] if ended else done.ids:
        if token in {vocab.open, vocab.close, *own}:
            inside = token in opening or (inside and token not in closing)
            yield None
        elif token == vocab.latent:
            yield SILENT
        elif token in fillers:
            yield FILLER
        elif inside:
            yield WRITTEN
        else:
            said.append(token)
            yield None


def ends(prompt: Layout, cue: Sequence[int], vocab: Vocab) -> int:
    """How many end-of-text tokens a completion has: one, and those of a cue that is still to be written."""
    announced = any(segment.name == "cue" for segment in prompt.segments)
    return 1 if announced else 1 + list(cue).count(vocab.eos)


def after_cue(ids: Sequence[int], cue: Sequence[int]) -> int:
    """Where the last occurrence of the cue ends; 0 where there is none."""
    width = len(cue)
    for start in range(len(ids) - width, -1, -1) if width else ():
        if tuple(ids[start : start + width]) == tuple(cue):
            return start + width
    return 0
