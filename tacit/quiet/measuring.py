"""What thoughts are worth on texts, place by place: with them, without them, and with those of another place.

Shapes: C cells of a batch of texts, T thoughts of a cell.
"""

from collections.abc import Iterable, Iterator, Sequence
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
    tokens: Tensor | None = None
    """(C, T) of each thought."""
    thoughts: Thoughts | None = None
    null: Tensor | None = None
    """(C,) behind no thought at all."""
    swapped: Tensor | None = None
    """(C, T) behind the thoughts of another place."""
    base: Tensor | None = None
    """(C,) of the text alone."""


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
        swapped = swapped if rule.length else like  # Empty thoughts are the same everywhere.
        tokens = (thoughts.chosen - thoughts.ended.long())[0].unflatten(0, like.shape)
        yield Seen(real[0], like, tokens, thoughts, null, swapped)


def measure(thinker: "Thinker", rule: Rule, encoded: Sequence[Encoded], batch: int) -> dict[str, float]:
    """`summed` over texts, behind `rule.samples` thoughts at each place."""
    return summed(look(thinker, rule, encoded, batch))


def summed(batches: Iterable[Seen]) -> dict[str, float]:
    """Negative log-likelihood, in nats for each token of the texts: behind one drawn thought (`nll`), behind the mixture of
    several of them (`mixed_nll`), behind none (`null_nll`), behind the thought of another place (`swapped_nll`) and of the text
    alone (`base_nll`); how much a thought is worth over that of another place (`used`), and how long it is (`thought_tokens`);
    over so many `places`."""
    sums: dict[str, float] = {}
    for seen in batches:
        means = {"nll": -seen.like.mean(-1)}
        if seen.like.shape[-1] > 1:
            means["mixed_nll"] = -log_mean(seen.like)
        for name, found in (("null_nll", seen.null), ("base_nll", seen.base)):
            if found is not None:
                means[name] = -found
        if seen.swapped is not None:
            means["swapped_nll"] = -seen.swapped.mean(-1)
        if seen.tokens is not None:
            means["thought_tokens"] = seen.tokens.to(seen.like).mean(-1)
        for name, values in (means | {"places": torch.ones_like(seen.real)}).items():
            sums[name] = sums.get(name, 0.0) + float((values * seen.real).sum(dtype=torch.float64))
    places = sums.pop("places")
    found = {name: value / places for name, value in sums.items()} | {"places": places}
    return found | ({"used": found["swapped_nll"] - found["nll"]} if "swapped_nll" in found else {})
