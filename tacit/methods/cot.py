"""The written baselines: a chain of thought in words, and none.

`no_thoughts` is Coconut's ablation: the steps disappear stage by stage, and nothing takes their place.
"""

from numpy.random import Generator
from pydantic import Field

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Method, Progress, answer, cue, question, stages_done, steps
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


class NoThoughts(Method):
    """Written steps vanish from the front, one a stage, and nothing takes their place."""

    epochs_per_stage: float = Field(default=3.0, gt=0)
    """Passes over the data before the next step vanishes."""
    max_stage: int = Field(default=3, ge=0)
    """Beyond this stage all steps vanish."""

    def stage(self, at: Progress) -> int:
        return stages_done(at, self.epochs_per_stage)

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        gone = len(ex.steps) if stage is None or stage > self.max_stage else stage
        return {"main": Layout(question(ex), steps(ex, gone), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex))
