"""A text, token by token, and nothing else: the language model that thoughts are compared with."""

from numpy.random import Generator

from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Method, question
from tacit.vocab import Vocab


class Plain(Method):
    """Every token of a text is learned from those before it."""

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": Layout(question(ex), Segment("text", ex.answer, 1.0))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))
