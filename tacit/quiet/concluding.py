"""From what thoughts were worth to the number that is minimised, and what is carried from step to step."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from tacit.methods.base import Lesson
from tacit.quiet.goal import Objective
from tacit.quiet.objective import Values, losses


class Keeper(Protocol):
    """What carries numbers from step to step."""

    training: bool
    steps: Tensor
    """Optimizer steps done."""
    usual: Tensor
    """The running mean of values."""
    pressure: Tensor
    """The bonus on undecidedness that comes to a target."""


def conclude(
    goal: Objective,
    values: Values,
    entropies: Tensor,
    keepers: Sequence[Keeper],
    counted: Tensor,
    variable: bool,
    lesson: Lesson,
    gate: Tensor | None = None,
    longest: int | None = None,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The loss of each model, and what is to be told of it, from what its thoughts were worth. `entropies` (S, C, T) are the
    sums over a thought's choices; `gate` (S, M, 1) is told where there is one. `longest`: every thought counts as so many
    choices, and those that it did not make as certain."""
    values.usual = torch.stack([keeper.usual for keeper in keepers]).to(values.real)
    parts = losses(goal, values, variable, lesson.step / lesson.steps)
    total = goal.nll * parts["nll"] + goal.policy * parts.get("policy", 0.0) + parts.get("judge", 0.0)
    choices = values.chosen if longest is None else torch.full_like(values.chosen, longest)
    entropy = entropies.sum(-1) / choices.sum(-1).clamp(min=1)
    entropy = (entropy * values.real).sum(-1)
    if goal.entropy:
        total = total - goal.entropy * entropy
    elif goal.entropy_target is not None:
        total = total - torch.stack([keeper.pressure for keeper in keepers]).to(values.real) * entropy
    if keepers[0].training:
        _remember(goal, keepers, values, entropy.detach(), counted)
    return total, _told(variable, parts, values, entropy, gate)


def _remember(goal: Objective, keepers: Sequence[Keeper], values: Values, entropy: Tensor, counted: Tensor) -> None:
    """What is carried from step to step: the usual value, and how much undecidedness is asked for. A part of a step
    moves them by its share."""
    places = values.real.sum(-1)
    found = (values.like.detach().mean(-1) * values.real).sum(-1) / places
    for keeper, value, spread, part in zip(keepers, found, entropy / places, places / counted):
        usual, share = keeper.usual, part.to(keeper.usual)
        begun = (keeper.steps > 0).to(usual)
        usual.lerp_(value.to(usual), (1.0 - goal.memory * begun) * share)
        if goal.entropy_target is not None:
            keeper.pressure.add_(share * goal.entropy_rate * (goal.entropy_target - spread)).clamp_(min=0)


def _told(
    variable: bool, parts: dict[str, Tensor], values: Values, entropy: Tensor, gate: Tensor | None
) -> dict[str, Tensor]:
    """Sums over cells, to be divided by their number."""
    tokens = values.chosen - values.ended.long()

    def mean(numbers: Tensor) -> Tensor:
        return (numbers.to(entropy).mean(-1) * values.real).sum(-1)

    told = {name: parts[name] for name in ("nll", "policy", "judge", "advantage") if name in parts}
    told |= {"entropy": entropy, "thought_tokens": mean(tokens)}
    if variable:
        told |= {"empty": mean(tokens == 0), "unfinished": mean(~values.ended)}
    if gate is not None:
        told["gate"] = mean(gate[..., 0].unflatten(1, tokens.shape[1:]))
    return told
