"""What is read in a thought before a token, in which order and at which positions.

A thought behind token i is: the opening mark, R tokens, the closing mark, then perhaps token i once more, so that what comes
next is predicted from a familiar token at a familiar place, then the true tokens i + 1, … if more than one is predicted.
"""

from typing import NamedTuple

from tacit.thinking import Speech


class Route(NamedTuple):
    """The columns of a thought."""

    length: int
    """Tokens that are drawn."""
    ahead: int = 1
    """Tokens of the text that are predicted behind it."""
    reread: bool = False
    """Whether token i is read again behind the thought."""
    reread_step: int = 0
    """At position i plus this."""
    one_mark: bool = False
    """The opening mark closes a thought too."""
    apart: int | None = None
    """Thoughts stand at positions of their own, shifted by this; otherwise they follow token i, and the text follows them."""
    together: bool = False
    """Each column also sees the thoughts of the same number behind earlier places, as far as it has come itself."""

    @classmethod
    def of(cls, speech: Speech, ahead: int = 1) -> "Route":
        return cls(
            speech.length, ahead, speech.reread, speech.reread_step, speech.one_mark, speech.apart, speech.together
        )

    @property
    def thought(self) -> list[int]:
        """Positions of the marks and of the tokens between them, relative to i."""
        first = 1 + (self.apart or 0)
        return list(range(first, first + self.length + 2))

    @property
    def behind(self) -> list[int]:
        """Positions of the true tokens that are read behind the thought."""
        if self.reread:
            return list(range(self.reread_step, self.reread_step + self.ahead))
        first = 1 if self.apart is not None else self.length + 3
        return list(range(first, first + self.ahead - 1))

    @property
    def true(self) -> list[int]:
        """Which tokens these are, relative to i."""
        return list(range(0 if self.reread else 1, self.ahead))

    @property
    def end(self) -> int:
        """The last position, relative to i."""
        return max(*self.thought, *self.behind)
