"""Pauses: as many extra columns as Coconut has silent steps, but nothing is fed back. The control for "more compute".

A pause is a latent column whose input is one learned vector, so rows are laid out exactly as Coconut's and only the source
of the vector differs. With `curriculum` the written steps give way to pauses stage by stage; without, the pauses stand
before an answer that is learned without steps from the start.
"""

from numpy.random import Generator

from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import answer, cue, question, steps
from tacit.methods.curriculum import Staged
from tacit.thinking import Thinking
from tacit.vocab import Vocab


class Pause(Staged):
    """Question, pauses, the remaining written steps, answer."""

    curriculum: bool = True
    """Replace written steps stage by stage, matching Coconut's curriculum; otherwise none is ever written."""

    def thinking(self) -> Thinking:
        return Thinking(feedback="pause")

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        gone, blocks = self.replaced(len(ex.steps), stage, rng) if self.curriculum else (len(ex.steps), self.max_stage)
        thought = vocab.thought(blocks * self.latents_per_step)
        return {"main": Layout(question(ex), *thought, steps(ex, gone), cue(ex), answer(ex, vocab))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        blocks = self.asked(stage) if self.curriculum else self.max_stage
        return Layout(question(ex), *vocab.thought(blocks * self.latents_per_step))
