"""What thoughts of a language model are worth on texts, place by place.

Shapes: B texts, L columns, T thoughts of a place, R tokens of a thought.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch

from tacit.example import Encoded
from tacit.methods.base import Lesson
from tacit.objectives import state_nll
from tacit.quiet.lm.learning import null_likelihood, places_of, predicted_nll
from tacit.quiet.lm.places import every
from tacit.quiet.lm.readers import Readers, ponder
from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, reread
from tacit.quiet.measuring import Seen
from tacit.quiet.texts import THOUGHTS, numbers, texts

if TYPE_CHECKING:
    from tacit.methods.quiet_star import QuietStar
    from tacit.thinker import Thinker


@torch.no_grad()
def look(
    method: "QuietStar", thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int
) -> Iterator[Seen]:
    """Batches of texts, every place behind `samples` thoughts, with the next token predicted. Which thoughts are drawn depends
    on a text's number alone."""
    one = method.model_copy(update={"ahead": 1, "samples": samples})
    route = Route.of(one)
    for start in range(0, len(encoded), batch):
        rows = encoded[start : start + batch]
        view = texts([[*row.question, *row.answer] for row in rows], thinker.vocab.pad).to(thinker.device)
        lesson = Lesson({"main": view}, len(rows), picks=[(0, start + n) for n in range(len(rows))])
        readers = Readers.of(thinker, view.ids)
        text = readers.base
        real = places_of(view, 1).to(text.hidden)
        at = every(real).at
        chance = numbers(lesson, THOUGHTS, samples, max(1, one.length))
        drawing = Drawing(chance.to(real.device), thinker.aside.banned(thinker.vocab))
        thoughts = ponder(thinker, readers, at, samples, route, drawing)
        like = -predicted_nll(one, thinker, text, at, thoughts)[..., 0]  # (B, L, T)
        swapped = None
        if one.length:
            # Half the batch away: another text, or another part of the same one.
            half = max(1, real.numel() // 2)
            other = thoughts.tokens.flatten(0, 1).roll(half, 0).view(thoughts.tokens.shape)
            theirs = reread(thinker, readers.interpreter, at, other, route, drawing)
            swapped = -predicted_nll(one, thinker, text, at, theirs)[..., 0].flatten(0, 1)
        targets = view.ids[:, 1:].flatten()
        base = -state_nll(thinker, text.hidden.flatten(0, 1), targets, targets)
        null = null_likelihood(one, thinker, readers, at)
        tokens = torch.full(like.shape, one.length, device=real.device)
        yield Seen(
            real.flatten(), like.flatten(0, 1), tokens.flatten(0, 1), None, null.flatten(), swapped, base.to(real)
        )
