"""A step of learning to think before every token: draw thoughts, see what they are worth, and add up the losses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from tacit.methods.base import Lesson, Loss
from tacit.quiet.concluding import Keeper, conclude
from tacit.quiet.extremes import extremes, of_gate
from tacit.quiet.goal import Objective
from tacit.quiet.mind import Mind, Trunk
from tacit.quiet.model import QuietForCausalLM
from tacit.quiet.objective import Values
from tacit.quiet.roles import Roles
from tacit.quiet.stack import Stack
from tacit.quiet.texts import aligned, cells, chances, kept, stacked
from tacit.quiet.thinking import null_thought, think, understand
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.methods.quiet import Quiet

CYCLE = 5
"""Levels of dropout that are gone through, where it goes in a cycle."""


class Place(NamedTuple):
    """What a step learns from, and what its sums are divided by."""

    trunk: Trunk
    targets: Tensor
    """(S, C)"""
    real: Tensor
    """(S, C)"""
    counted: Tensor
    """(S,)"""


class Side(NamedTuple):
    """Models side by side."""

    method: "Quiet"
    stack: Stack
    vocab: Vocab

    def losses(self, lessons: Sequence[Lesson], counts: Sequence[dict[str, Any]]) -> list[Loss]:
        return together(self.method, self.stack, self.vocab, lessons, counts)

    def share_gradients(self) -> None:
        self.stack.share_gradients()


def together(
    method: "Quiet", stack: Stack, vocab: Vocab, lessons: Sequence[Lesson], counts: Sequence[dict[str, Any]]
) -> list[Loss]:
    """The losses of several models side by side, each with a lesson of its own; all have equally many texts and stand at
    the same step."""
    models: list[QuietForCausalLM] = list(stack.models)  # type: ignore[arg-type]
    roles, lessons = models[0].config.parts, aligned(lessons, vocab.pad)
    for model, lesson in zip(models, lessons):
        model.steps.fill_(lesson.step)
    level = lessons[0].step % CYCLE if roles.dropout_cycle else 0
    dropped = roles.base_dropout * (level / (CYCLE - 1) if roles.dropout_cycle else 1.0) if models[0].training else 0.0
    noise = kept(lessons, models[0].config.hidden_size, dropped) if dropped else None
    mind = Mind(models[0].config, stack, level, noise)
    ids, real = stacked([lesson.views["main"] for lesson in lessons])
    targets = cells(ids[..., 1:])
    trunk = mind.trunk(ids[..., :-1])
    counted = real.new_tensor([float(count["main"]) for count in counts])
    if not roles.thinks:
        sums = {"nll": -(mind.score(trunk.hidden, None, targets) * real).sum(-1)}
        total = sums["nll"]
    else:
        chance = chances(lessons, method.samples, max(method.length, method.starts_at or 0, 1)).to(real)
        place = Place(trunk, targets, real, counted)
        total, sums = thought(method, mind, place, chance, lessons[0], vocab)
    count = real.sum(-1)
    sums |= {"cells": count, "weights_norm": stack.norms() * count}
    total = total / counted
    return [Loss(total[s], {name: part[s].detach() for name, part in sums.items()}) for s in range(len(models))]


def thought(
    method: "Quiet", mind: Mind, place: "Place", chance: Tensor, lesson: Lesson, vocab: Vocab
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of each model, summed over cells, and what is to be told of it."""
    trunk, targets, real, counted = place
    goal = method.objective
    models: list[QuietForCausalLM] = list(mind.weights.models)  # type: ignore[arg-type]
    rule = method.rule(vocab, lesson.step)

    def by_cell(rows: Tensor) -> Tensor:
        return rows.unflatten(1, (-1, method.samples))

    with torch.set_grad_enabled(torch.is_grad_enabled() and _teaches_thinking(goal, mind.roles)):
        thoughts = think(mind, trunk, rule, chance)
    understood = understand(mind, thoughts, rule)
    like = by_cell(mind.score(trunk.hidden, understood, targets))
    gate = mind.gate
    values = Values(like, by_cell(thoughts.logp), by_cell(thoughts.chosen), by_cell(thoughts.ended), real)
    if goal.needs_null():
        values.null = mind.score(trunk.hidden, null_thought(mind, trunk, rule), targets)
    if goal.judge:
        values.judged = by_cell(mind.judge(trunk.hidden, understood))
    keepers: list[Keeper] = list(models)
    longest = rule.length if method.counts_pads else None
    entropies = by_cell(thoughts.entropy)
    total, told = conclude(goal, values, entropies, keepers, counted, method.variable, lesson, gate, longest)
    with torch.no_grad():
        told |= extremes("entropy", by_cell(thoughts.surest), by_cell(thoughts.least_sure), real)
        told |= extremes("thought_entropy", entropies, entropies, real)
        told |= {"thought_entropy": (entropies.mean(-1) * real).sum(-1), "longest": rule.length * real.sum(-1)}
        if gate is not None:
            told |= of_gate(by_cell(gate[..., 0]), values, method.variable)
    return total, told


def _teaches_thinking(goal: Objective, roles: Roles) -> bool:
    """Whether anything is learned from how thoughts came about; of a reasoner that also interprets, always."""
    taught = goal.policy or goal.entropy or goal.entropy_target is not None
    return bool(taught) or roles.interpreter == "onward"
