"""Coconut: written steps give way to continuous thoughts, stage by stage (Hao et al., arXiv 2412.06769)."""

from tacit.methods.curriculum import Replacing
from tacit.thinking import Thinking


class Coconut(Replacing):
    """Question, silent steps for those replaced, the remaining written steps, answer."""

    thoughts: Thinking = Thinking()
    """How a silent step is made."""

    def thinking(self) -> Thinking:
        return self.thoughts
