"""Pauses: as many extra columns as Coconut has silent steps, but nothing is fed back. The control for "more compute".

A pause is a latent column whose input is one learned vector, so rows are laid out exactly as Coconut's and only the source
of the vector differs. With `curriculum` the written steps give way to pauses stage by stage; without, the pauses stand
before an answer that is learned without steps from the start.
"""

from tacit.methods.curriculum import Replacing
from tacit.thinking import Thinking


class Pause(Replacing):
    """Question, pauses, the remaining written steps, answer."""

    def thinking(self) -> Thinking:
        return Thinking(feedback="pause")
