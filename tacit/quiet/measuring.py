"""What thoughts are worth on texts, place by place: with them, without them, and with those of another place.

Shapes: C cells of a batch of texts, T thoughts of a cell.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from tacit.example import Encoded
from tacit.methods.base import Lesson
from tacit.quiet.mind import Mind
from tacit.quiet.objective import log_mean
from tacit.quiet.stack import Stack
from tacit.quiet.texts import cells, chances, stacked, texts
from tacit.quiet.thinking import Rule, Thoughts, null_thought, think, understand

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Seen(NamedTuple):
    """A batch of texts as a model takes it."""

    real: Tensor
    """(C,) 1 for cells of text, 0 for padding."""
    like: Tensor
    """(C, T) log p(next | thought), or (C, 1) where there are no thoughts."""
    thoughts: Thoughts | None = None
    null: Tensor | None = None
    """(C,) behind no thought at all."""
    swapped: Tensor | None = None
    """(C, T) behind the thoughts of another place."""


@torch.no_grad()
def look(thinker: "Thinker", rule: Rule, encoded: Sequence[Encoded], batch: int) -> Iterator[Seen]:
    """Batches of texts, each place behind `rule.samples` thoughts. Which are drawn depends on a text's number alone."""
    model = thinker.model
    mind = Mind(model.config, Stack([model]))
    for start in range(0, len(encoded), batch):
        rows = encoded[start : start + batch]
        view = texts([[*row.question, *row.answer] for row in rows], thinker.vocab.pad).to(thinker.device)
        lesson = Lesson({"main": view}, len(rows), picks=[(0, start + n) for n in range(len(rows))])
        ids, real = stacked([view])
        targets, trunk = cells(ids[..., 1:]), mind.trunk(ids[..., :-1])
        if trunk.seeds is None:
            yield Seen(real[0], mind.score(trunk.hidden, None, targets)[0, :, None])
            continue
        many = rule.samples
        thoughts = think(mind, trunk, rule, chances([lesson], many, rule.draws).to(trunk.hidden))
        understood = understand(mind, thoughts, rule)
        swapped = None
        if rule.length and mind.roles.interpreter == "afresh":
            # Half the batch away: another text, or another part of the same one.
            other = understood.unflatten(1, (-1, many)).roll(max(1, real.shape[1] // 2), 1).flatten(1, 2)
            swapped = mind.score(trunk.hidden, other, targets)[0].unflatten(0, (-1, many))
        null = mind.score(trunk.hidden, null_thought(mind, trunk, rule), targets)[0]
        like = mind.score(trunk.hidden, understood, targets)[0].unflatten(0, (-1, many))
        yield Seen(real[0], like, thoughts, null, swapped)


def measure(thinker: "Thinker", rule: Rule, encoded: Sequence[Encoded], batch: int) -> dict[str, float]:
    """Negative log-likelihood, in nats for each token of the texts: behind one drawn thought (`nll`), behind the mixture of
    `rule.samples` of them (`mixed_nll`), behind none (`null_nll`) and behind the thought of another place (`swapped_nll`); how
    much a thought is worth over that of another place (`used`), and its `tokens`; over so many `places`."""
    sums: dict[str, float] = {}
    for seen in look(thinker, rule, encoded, batch):
        means = {"nll": -seen.like.mean(-1)}
        if seen.like.shape[-1] > 1:
            means["mixed_nll"] = -log_mean(seen.like)
        if seen.null is not None:
            means["null_nll"] = -seen.null
        if seen.swapped is not None:
            means["swapped_nll"] = -seen.swapped.mean(-1)
        if seen.thoughts is not None:
            tokens = seen.thoughts.chosen - seen.thoughts.ended.long()
            means["tokens"] = tokens[0].unflatten(0, seen.like.shape).to(seen.like).mean(-1)
        for name, values in (means | {"places": torch.ones_like(seen.real)}).items():
            sums[name] = sums.get(name, 0.0) + float((values * seen.real).sum(dtype=torch.float64))
    places = sums.pop("places")
    found = {name: value / places for name, value in sums.items()} | {"places": places}
    return found | ({"used": found["swapped_nll"] - found["nll"]} if "swapped_nll" in found else {})
