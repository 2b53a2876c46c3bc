"""Coconut: written steps give way to continuous thoughts, stage by stage (Hao et al., arXiv 2412.06769)."""

from pydantic import model_validator

from tacit.methods.base import only_given
from tacit.methods.curriculum import Replacing
from tacit.thinking import Thinking


class Coconut(Replacing):
    """Question, silent steps for those replaced, the remaining written steps, answer."""

    thoughts: Thinking = Thinking()
    """How a silent step is made."""

    @model_validator(mode="after")
    def _given_thoughts(self) -> "Coconut":
        only_given(self.thoughts)
        return self

    def thinking(self) -> Thinking:
        return self.thoughts
