"""The written baselines: a chain of thought in words, and none.

`no_thoughts` is Coconut's ablation: the steps disappear stage by stage, and nothing takes their place.
"""

from numpy.random import Generator

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Method, answer, cue, question, steps
from tacit.methods.curriculum import Staged
from tacit.vocab import Vocab


class Cot(Method):
    """Question, every written step, answer."""

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": Layout(question(ex), steps(ex), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))


class NoCot(Method):
    """Question, answer."""

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": Layout(question(ex), steps(ex, len(ex.steps)), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))


class NoThoughts(Staged):
    """Written steps vanish from the front, one a stage, and nothing takes their place."""

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        gone = self.gone(len(ex.steps), self.drawn(len(ex.steps), stage, rng))
        return {"main": Layout(question(ex), steps(ex, gone), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))
