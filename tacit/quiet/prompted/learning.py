"""A step of learning to think behind a prompt: first act, which decides where to think and writes thoughts; then learn from one
read of them.

Shapes: B texts, L columns, K places of a text, T thoughts of a place.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from tacit.methods.base import Lesson, Loss
from tacit.objectives import state_nll
from tacit.quiet.concluding import conclude
from tacit.quiet.lm.learning import chosen_places, places_of
from tacit.quiet.lm.places import Places
from tacit.quiet.lm.readers import Readers
from tacit.quiet.lm.walk import read_text
from tacit.quiet.objective import Values
from tacit.quiet.prompted.deciding import by_kind, guess, kinds, means_by_kind, wanted
from tacit.quiet.prompted.prompts import Words, in_ids
from tacit.quiet.prompted.thinking import Thought, draw, nothing, readers, understand
from tacit.quiet.texts import numbers

if TYPE_CHECKING:
    from tacit.methods.prompted import Prompted
    from tacit.thinker import Thinker

EXPLORE = 1 << 43
"""Sets the random numbers of what is tried apart from others."""


class Acted(NamedTuple):
    """What was done with some texts before anything was learned."""

    places: Places
    think: Tensor
    """(B, K) whether there is a thought."""
    thoughts: list[list[list[Thought]]]
    """T of each of these places, and empty ones of others."""
    base: Tensor
    """(B, K) what the text alone predicts of the next token, as log-probability."""


@torch.no_grad()
def act(method: "Prompted", thinker: "Thinker", words: Words, lesson: Lesson, samples: int, always: bool) -> Acted:
    """Chooses places by the text alone, whatever the prompt is, decides and thinks. `always`: at all of them."""
    view = lesson.views["main"]
    text = read_text(thinker, view.ids)
    real = places_of(view, method.ahead).to(text.hidden)
    places = chosen_places(method, thinker, text, real, lesson)
    real_places = places.weight > 0
    think = real_places
    if method.decide is not None and not always:
        hidden = readers(thinker, words.prompt, view.ids, method.ahead).interpreter.hidden
        chance = numbers(lesson, EXPLORE).to(hidden.device).gather(1, places.at)
        think = real_places & wanted(method.decide, thinker, at_places(hidden, places.at), chance)
    thoughts = draw(method, thinker, words, lesson, places.at, think, samples)
    targets = view.ids.gather(1, places.at + 1)
    alone = at_places(text.hidden, places.at).flatten(0, 1)
    base = -state_nll(thinker, alone, targets.flatten(), targets.flatten()).view(targets.shape)
    return Acted(places, think, thoughts, base)


def at_places(hidden: Tensor, at: Tensor) -> Tensor:
    """(B, L, H) -> (B, K, H)"""
    return hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))


def rollout(method: "Prompted", thinker: "Thinker", lesson: Lesson) -> Lesson:
    words = in_ids(method.preface, method.chat, thinker)
    return replace(lesson, extra={"acted": act(method, thinker, words, lesson, method.samples, False)})


def learn(method: "Prompted", thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
    """What places predict behind thoughts, and which thoughts were better; behind the null thought where there is no other."""
    view, goal, acted = lesson.views["main"], method.objective, lesson.extra["acted"]
    thinker.aside.steps.fill_(lesson.step)
    words = in_ids(method.preface, method.chat, thinker)
    read = readers(thinker, words.prompt, view.ids, method.ahead)
    at, weight = acted.places
    null = nothing(thinker, read, at, words, method.ahead)
    counted = torch.tensor([float(counts["main"])], device=null.device, dtype=null.dtype)
    plain = -(null * weight * ~acted.think).sum()
    # Predictions are means over what is predicted.
    total, found = goal.nll * plain / method.ahead, {"nll": plain.detach() / method.ahead}
    if bool(acted.think.any()):
        total_thoughts, told, gain = _thoughts(method, thinker, read, acted, null, counted, lesson)
        total = total + total_thoughts
        found |= told | {"nll": found["nll"] + told["nll"]}
        if method.decide is not None:
            guessed = guess(thinker, at_places(read.interpreter.hidden, at))
            wrong = ((guessed - gain) ** 2 * weight * acted.think).sum()
            total, found = total + wrong, found | {"guess": wrong.detach()}
    cells = {"null_nll": null / -method.ahead, "base_nll": -acted.base, "thinks": acted.think}
    found |= {name: (part.detach() * weight).sum() for name, part in cells.items()}
    if method.decide is not None:
        found |= by_kind("thinks", weight, kinds(thinker.tokenizer, view.ids, at), acted.think)
    return Loss(total / counted[0], {**found, "cells": weight.sum()})


def _thoughts(
    method: "Prompted",
    thinker: "Thinker",
    read: Readers,
    acted: Acted,
    null: Tensor,
    counted: Tensor,
    lesson: Lesson,
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The loss of places with thoughts, what there is to tell, and (B, K) what thoughts were worth over none."""
    goal, think = method.objective, acted.think
    # Places with thoughts first, and of each text as many columns as the text with most of them needs.
    some = (~think).long().argsort(dim=1, stable=True)[:, : int(think.sum(1).max())]
    at, real = acted.places.at.gather(1, some), (acted.places.weight * think).gather(1, some)
    thoughts = [[acted.thoughts[b][k] for k in row] for b, row in enumerate(some.tolist())]
    found = understand(thinker, read, at, thoughts, method.ahead)
    ended = torch.tensor([[[one.ended for one in several] for several in row] for row in thoughts], device=at.device)
    length = torch.tensor(
        [[[len(one.ids) for one in several] for several in row] for row in thoughts], device=at.device
    )
    parts = (found.like, found.logp, length + ended.long(), ended, real, null.gather(1, some))
    values = Values(*(part.flatten(0, 1)[None] for part in parts))
    ahead = goal.model_copy(update={"nll": goal.nll / method.ahead})
    entropy = found.entropy.flatten(0, 1)[None]
    total, told = conclude(ahead, values, entropy, [thinker.aside], counted, True, lesson)
    gains = (found.like.mean(-1) - null.gather(1, some)).detach()
    gain = torch.zeros_like(null).scatter(1, some, gains)
    parts = {name: part[0].detach() for name, part in told.items()} | {"gain": (gains * real).sum()}
    return total[0], parts | {"nll": parts["nll"] / method.ahead}, gain


OF_THOUGHTS = ("policy", "advantage", "entropy", "thought_tokens", "empty", "unfinished", "gain", "guess")
"""Means over places with thoughts; the others are means over all that were looked at."""


def told(parts: dict[str, float]) -> dict[str, float]:
    """Means from the sums of a step."""
    plain = {name: value for name, value in parts.items() if ":" not in name}
    cells, thoughts = max(1.0, plain.pop("cells")), max(1e-9, plain["thinks"])
    found = {name: value / (thoughts if name in OF_THOUGHTS else cells) for name, value in plain.items()}
    if "advantage" in found:
        found["advantage"] = max(0.0, found["advantage"]) ** 0.5
    return found | means_by_kind(parts, ("thinks",))
