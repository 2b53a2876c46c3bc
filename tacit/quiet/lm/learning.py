"""A step of learning to think before the tokens of a text, in a language model.

Shapes: B texts, L columns, K places of a text, T thoughts of a place, A tokens that are predicted behind a thought, C = B K.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from tacit.methods.base import Lesson, Loss
from tacit.objectives import state_nll
from tacit.quiet.concluding import conclude
from tacit.quiet.lm.places import Places, every, likely, some
from tacit.quiet.lm.readers import Readers, nothing, ponder
from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, Text, Thoughts, joined
from tacit.quiet.objective import Values
from tacit.quiet.texts import DROPOUT, THOUGHTS, Texts, numbers, predictable

if TYPE_CHECKING:
    from tacit.methods.prompted import Prompted
    from tacit.methods.quiet_star import QuietStar
    from tacit.thinker import Thinker

PLACES = 1 << 42
"""Sets the random numbers of places apart from those of thoughts."""


def learn(method: "QuietStar", thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
    """The loss of a lesson: what places predict behind their thoughts, and which thoughts were better than others."""
    view, goal = lesson.views["main"], method.objective
    thinker.aside.steps.fill_(lesson.step)
    readers = Readers.of(thinker, view.ids, method.ahead)
    real = places_of(view, method.ahead).to(readers.base.hidden)
    places = chosen_places(method, thinker, readers.base, real, lesson)
    chance = numbers(lesson, THOUGHTS, method.samples, max(1, method.length))
    rows = torch.arange(len(real), device=real.device)[:, None]
    level, readers = _weakened(method, readers, lesson)
    drawing = Drawing(chance[rows, places.at], thinker.aside.banned(thinker.vocab), method.choice_temperature, level)
    thoughts = ponder(
        thinker, readers, places.at, method.samples, Route.of(method, method.ahead), drawing, method.again
    )
    like = -predicted_nll(method, thinker, readers.base, places.at, thoughts)  # (B, K, T, A)
    chosen = torch.full(like.shape[:3], method.length, device=real.device)
    values = Values(
        _cells(like.sum(-1)), _cells(thoughts.logp), _cells(chosen), _cells(chosen < 0), places.weight.view(1, -1)
    )
    if goal.needs_null():
        values.null = _cells(null_likelihood(method, thinker, readers, places.at, level))
    counted = values.real.new_tensor([float(counts["main"])])
    ahead = goal.model_copy(update={"nll": goal.nll / method.ahead})  # predictions are means over what is predicted
    total, told = conclude(ahead, values, _cells(thoughts.entropy), [thinker.aside], counted, False, lesson)
    told["nll"] = told["nll"] / method.ahead
    parts = {name: value[0].detach() for name, value in told.items()} | {"cells": values.real.sum()}
    loss = total[0] / counted[0]
    if method.echo:
        echo = _echo(thinker, readers.base, places, thoughts)
        loss = loss + method.echo * echo / counted[0]
        parts["echo"] = echo.detach()
    if method.base:
        plain = text_nll(thinker, readers.base, view.keep)
        loss = loss + method.base * plain / counts["read"]
        parts |= {"base_nll": plain.detach(), "tokens_read": torch.tensor(view.sums["read"])}
    return Loss(loss, parts)


def _weakened(method: "QuietStar", readers: Readers, lesson: Lesson) -> tuple[int, Readers]:
    """The base model at the strength whose turn it is: dropout on what it tells the prediction, which thoughts are told."""
    if not method.strengths:
        return 0, readers
    level = lesson.step % len(method.strengths)
    if not method.strengths[level]:
        return level, readers
    hidden = readers.base.hidden
    kept = (numbers(lesson, DROPOUT, hidden.shape[-1]) >= method.strengths[level]).to(hidden)
    # Whoever shares the base model's network goes on from what was really read.
    return level, readers._replace(base=readers.base._replace(hidden=hidden * kept / (1 - method.strengths[level])))


def chosen_places(
    method: "QuietStar | Prompted", thinker: "Thinker", text: Text, real: Tensor, lesson: Lesson
) -> Places:
    if method.places is None:
        return every(real)
    chance = numbers(lesson, PLACES).to(real.device)
    if method.place_by == "even":
        return some(real, method.places, chance)
    with torch.no_grad():
        told = thinker.door.head(text.hidden).float().log_softmax(-1)
        entropy = -(told.exp() * told).sum(-1)
    return likely(real, entropy.to(real), method.places, chance)


def predicted_nll(method: "QuietStar", thinker: "Thinker", text: Text, at: Tensor, thoughts: Thoughts) -> Tensor:
    """(B, K, T, A) behind thoughts, as this method joins them with what the text alone would predict."""
    where = at[..., None] + torch.arange(method.ahead, device=at.device)  # (B, K, A)
    targets = text.ids.gather(1, (where + 1).flatten(1)).view(where.shape)
    states = thoughts.states
    if method.join != "after":
        last = where.clamp(max=text.hidden.shape[1] - 1).flatten(1)
        base = text.hidden.gather(1, last[..., None].expand(-1, -1, text.hidden.shape[-1]))
        states = joined(thinker, base.unflatten(1, where.shape[1:])[:, :, None], states)
    targets = targets[:, :, None].expand(states.shape[:-1])
    said = targets  # decisions to stop thinking silently are no part of this
    return state_nll(thinker, states.flatten(0, -2), said.flatten(), targets.flatten()).view(targets.shape)


def null_likelihood(method: "QuietStar", thinker: "Thinker", readers: Readers, at: Tensor, level: int = 0) -> Tensor:
    """(B, K): log-likelihood of what comes next behind the empty thought."""
    empty = nothing(thinker, readers, at, Route.of(method, method.ahead), level)
    return -predicted_nll(method, thinker, readers.base, at, empty).sum(-1)[..., 0]


def text_nll(thinker: "Thinker", text: Text, keep: Tensor) -> Tensor:
    """The sum, over the tokens of the text, of what the text alone predicts."""
    L = text.hidden.shape[1]
    at = keep[:, 1:].reshape(-1).nonzero()[:, 0]
    targets = text.ids[:, 1 : L + 1].reshape(-1)[at]
    states = text.hidden.flatten(0, 1)[at]
    return state_nll(thinker, states, targets, targets).sum()


def _echo(thinker: "Thinker", text: Text, places: Places, thoughts: Thoughts) -> Tensor:
    """The closing mark shall predict the token that the thought stands behind."""
    targets = text.ids.gather(1, places.at)[..., None].expand(thoughts.closed.shape[:-1])
    each = state_nll(thinker, thoughts.closed.flatten(0, -2), targets.flatten(), targets.flatten())
    return (each.view(targets.shape).mean(-1) * places.weight).sum()


def _cells(rows: Tensor) -> Tensor:
    """(B, K, …) -> (1, C, …)"""
    return rows.flatten(0, 1)[None]


def places_of(view: Texts, ahead: int) -> Tensor:
    """(B, L): whether all of the next `ahead` tokens are there and are to be predicted."""
    return torch.nn.functional.pad(predictable(view.keep, ahead), (0, ahead - 1))
