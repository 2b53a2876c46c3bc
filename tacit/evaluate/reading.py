"""One read of what should be written, teacher-forced: how likely it is, and how much of it the model would write itself.

Greedy decoding writes exactly what a layout has behind the prompt if each token of it is the likeliest after those before
it. So one read decides what otherwise takes a read per token; where it says no, only decoding knows what comes instead.

Shapes: B rows, T columns, N learned tokens.
"""

import math
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import torch

from tacit.batch import Batch
from tacit.engine.dropout import without_dropout
from tacit.engine.run import run
from tacit.evaluate.flops import Work, reading_work
from tacit.layout import Layout
from tacit.objectives import token_nll_and_hits
from tacit.vocab import Vocab


class Reading(NamedTuple):
    """What one read of a layout told."""

    nll: float
    """Negative log-likelihood, summed over its learned tokens."""
    right: int
    """How many of them were the likeliest."""
    learned: int
    known: tuple[int, ...]
    """What greedy decoding writes behind the prompt, up to the first token that is another one."""
    cost: Work


@torch.no_grad()
def read(thinker, layouts: Sequence[Layout], prompts: Sequence[Layout], batch: int) -> list[Reading | None]:
    """A reading of each layout; None for those that need more positions than the model has. `prompts`: where the model
    would start to write."""
    limit = thinker.door.limit
    fit = [i for i, layout in enumerate(layouts) if limit is None or max(layout.positions) < limit]
    fit.sort(key=lambda i: len(layouts[i]))  # neighbours need little padding
    found: list[Reading | None] = [None] * len(layouts)
    with without_dropout(thinker):
        for start in range(0, len(fit), batch):
            part = fit[start : start + batch]
            readings = _read(thinker, [layouts[i] for i in part], [prompts[i] for i in part])
            for i, reading in zip(part, readings):
                found[i] = reading
    return found


def _read(thinker, layouts: list[Layout], prompts: list[Layout]) -> list[Reading]:
    rows = Batch.of(layouts, thinker.vocab).to(thinker.device)
    # What the other exact schedule reads again and again is only of use for gradients.
    schedule = "jacobi" if thinker.thinking.schedule == "jacobi" else "cached"
    each, hits = token_nll_and_hits(thinker, run(thinker, rows, schedule=schedule, end=rows.end).hidden, rows)
    losses, right = iter(each.double().tolist()), iter(hits.tolist())
    counts = torch.bincount(rows.sources // rows.shape[1], minlength=len(layouts)).tolist()
    readings = []
    for layout, prompt, count in zip(layouts, prompts, counts):
        loss, told = math.fsum(islice(losses, count)), list(islice(right, count))
        rest = continuation(layout, prompt, thinker.vocab)
        behind = told[count - len(rest) :]
        known = rest[: behind.index(False)] if False in behind else rest
        readings.append(Reading(loss, sum(told), count, known, reading_work(layout, thinker)))
    return readings


def continuation(layout: Layout, prompt: Layout, vocab: Vocab) -> tuple[int, ...]:
    """What a layout has behind a prompt, if decoding could write it: the layout begins with the prompt, goes on without
    leaving out positions, and every token is learned as it is. Otherwise nothing. Silent steps are left to the sampler, which
    decides how many there may be."""
    start = len(prompt)
    positions, rest = layout.positions, layout.ids[start:]
    begins = layout.ids[:start] == prompt.ids and positions[:start] == prompt.positions
    follows = positions[start:] == list(range(prompt.positions[-1] + 1, prompt.positions[-1] + 1 + len(rest)))
    decodable = layout.labels[start:] == rest and vocab.latent not in rest
    return tuple(rest) if begins and follows and decodable else ()
