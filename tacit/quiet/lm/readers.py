"""Three roles over one text: what the text alone predicts, who thinks, and who predicts behind thoughts. Roles that share a
network share what it has read."""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, Text, Thoughts, read_text, reread, think

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Readers(NamedTuple):
    """A text, as each role has read it."""

    base: Text
    reasoner: Text
    interpreter: Text

    @classmethod
    def of(cls, thinker: "Thinker", ids: Tensor, ahead: int = 1) -> "Readers":
        cast = thinker.aside.cast
        played = {role: cast.player(role) for role in cls._fields}
        texts = {player: read_text(thinker, ids, ahead, player) for player in dict.fromkeys(played.values())}
        return cls(**{role: texts[player] for role, player in played.items()})

    @property
    def alone(self) -> bool:
        """Whether who thinks also interprets."""
        return self.reasoner is self.interpreter


def ponder(
    thinker: "Thinker", readers: Readers, at: Tensor, samples: int, route: Route, drawing: Drawing, again: bool = False
) -> Thoughts:
    """Thoughts behind places, by who thinks, and what they mean to who interprets."""
    thoughts = think(thinker, readers.reasoner, at, samples, route, drawing, again)
    if readers.alone:
        return thoughts
    understood = reread(thinker, readers.interpreter, at, thoughts.tokens, route, drawing)
    return thoughts._replace(states=understood.states, closed=understood.closed)


def nothing(thinker: "Thinker", readers: Readers, at: Tensor, route: Route, level: int = 0) -> Thoughts:
    """The empty thought behind places."""
    none = torch.empty(*at.shape, 1, 0, dtype=torch.long, device=at.device)
    return reread(thinker, readers.interpreter, at, none, route._replace(length=0), Drawing(level=level))
