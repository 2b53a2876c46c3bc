"""A step of learning with drawn states, and what such a model makes of texts.

The states of a text are a chain. What is drawn in a column changes this prediction and all that follow, so it is worth the
log-probability of what comes: with all of it the gradient of the score function has the right mean, with less of it there is
less noise and a bias.

Shapes: B texts, L columns that predict, T chains of a text, C = L B places (columns outermost).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tacit.example import Encoded
from tacit.methods.base import Lesson, Loss
from tacit.quiet.drawn import GaussianForCausalLM
from tacit.quiet.objective import Values, log_mean, losses
from tacit.quiet.texts import normals, stacked, texts

if TYPE_CHECKING:
    from tacit.methods.gaussian import Gaussian
    from tacit.thinker import Thinker


def learn(method: "Gaussian", model: GaussianForCausalLM, lesson: Lesson, counts: dict[str, Any]) -> Loss:
    """The loss of a lesson, as of the cells of a text: a place is a cell, and its chains are the thoughts there."""
    view, goal = lesson.views["main"], method.objective
    ids, real = stacked([view])
    read = model.read(ids[0, :, :-1], _noise(lesson, method.samples, model), method.gradient == "pathwise")
    like = model.score(read.hidden, ids[0, :, 1:])

    def by_place(rows: Tensor) -> Tensor:
        return rows.flatten(0, 1)[None]

    # One choice at a place, and none that ends anything.
    chosen = torch.ones_like(by_place(like))
    values = Values(by_place(like), by_place(read.logp), chosen, torch.zeros_like(chosen), real)
    if method.gradient == "pathwise":
        goal = goal.model_copy(update={"policy": 0.0})
    else:
        kept = like.detach() * real.view(like.shape[:2])[..., None]
        values.worth = by_place(to_come(kept, method.ahead))
    if goal.judge:
        values.judged = by_place(model.guess(read.hidden))
    parts = losses(goal, values, variable=False, done=0.0)
    entropy = (by_place(read.entropy).mean(-1) * real).sum(-1)
    total = goal.nll * parts["nll"] + goal.policy * parts.get("policy", 0.0) + parts.get("judge", 0.0)
    total = total - goal.entropy * entropy
    told = parts | {"entropy": entropy, "cells": real.sum(-1)}
    return Loss((total / counts["main"])[0], {name: part[0].detach() for name, part in told.items()})


def to_come(values: Tensor, ahead: int | None) -> Tensor:
    """(L, …): the sum of each column's value and of those behind it, `ahead` columns in all; None: to the end."""
    sums = values.flip(0).cumsum(0).flip(0)
    if ahead is None or ahead >= len(values):
        return sums
    return torch.cat([sums[:-ahead] - sums[ahead:], sums[-ahead:]])


@torch.no_grad()
def measure(thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int) -> dict[str, float]:
    """Negative log-likelihood, in nats for each token of the texts: with drawn states (`nll`), with the mixture of `samples`
    chains of each text (`mixed_nll`), which is never worse, and with states that are their means (`steady_nll`); over so many
    `places`. Which states are drawn depends on a text's number alone."""
    model: GaussianForCausalLM = thinker.model
    sums: dict[str, Tensor] = {}
    for start in range(0, len(encoded), batch):
        rows = encoded[start : start + batch]
        view = texts([[*row.question, *row.answer] for row in rows], thinker.vocab.pad).to(thinker.device)
        lesson = Lesson({"main": view}, len(rows), picks=[(0, start + n) for n in range(len(rows))])
        inputs, targets = view.ids[:, :-1], view.ids[:, 1:]
        real = view.keep[:, 1:].T[..., None].double()
        like = model.score(model.read(inputs, _noise(lesson, samples, model)).hidden, targets) * real
        steady = model.score(model.read(inputs).hidden, targets) * real
        found = {"nll": -like.mean(-1).sum(), "steady_nll": -steady.sum(), "places": real.sum()}
        if samples > 1:
            found["mixed_nll"] = -log_mean(like.sum(0)).sum()
        sums = {name: value + sums.get(name, 0.0) for name, value in found.items()}
    numbers = {name: float(value) for name, value in sums.items()}
    places = numbers.pop("places")
    return {name: value / places for name, value in numbers.items()} | {"places": places}


def _noise(lesson: Lesson, samples: int, model: GaussianForCausalLM) -> Tensor:
    return normals(lesson, samples, model.config.hidden_size).to(model.dtype)
