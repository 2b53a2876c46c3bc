"""Coconut: written steps give way to continuous thoughts, stage by stage (Hao et al., arXiv 2412.06769)."""

from numpy.random import Generator

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import answer, cue, question, steps
from tacit.methods.curriculum import Staged
from tacit.thinking import Thinking
from tacit.vocab import Vocab


class Coconut(Staged):
    """Question, silent steps for those replaced, the remaining written steps, answer."""

    thoughts: Thinking = Thinking()
    """How a silent step is made."""

    def thinking(self) -> Thinking:
        return self.thoughts

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        gone, blocks = self.replaced(len(ex.steps), stage, rng)
        thought = vocab.thought(blocks * self.latents_per_step)
        return {"main": Layout(question(ex), *thought, steps(ex, gone), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(question(ex), *vocab.thought(self.asked(stage) * self.latents_per_step))
