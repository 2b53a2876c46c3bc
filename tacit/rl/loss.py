"""Make good choices likelier: clipped ratios times advantages, a mean over all chosen tokens of the step, and what holds the
policy near to where it began.

Shapes: N actions.
"""

from typing import Any

import torch
from torch import Tensor

from tacit.engine.dropout import without_dropout
from tacit.methods.base import Loss
from tacit.rl.actions import Actions


def policy_loss(
    thinker, actions: Actions, counts: dict[str, Any], *, clip: tuple[float, float], kl: float, temperature: float
) -> Loss:
    """`counts` are those of the whole update: of all tokens, decisions and groups."""
    with without_dropout(thinker):
        likely, entropy = actions.choices(thinker, temperature)
    weights, advantages = actions.weights.to(likely), actions.advantages.to(likely)
    ratio = (likely - actions.old.to(likely)).exp()
    near = ratio.clamp(1 - clip[0], 1 + clip[1])
    each = -torch.minimum(ratio * advantages, near * advantages)
    told = {
        "off_policy": (ratio - 1).abs(),
        "clipped": (ratio * advantages > near * advantages).to(likely),
        "entropy": entropy,
    }
    if actions.reference is not None:
        behind = actions.reference.to(likely) - likely
        drift = behind.exp() - behind - 1
        each = each + kl * drift
        told["kl"] = drift
    parts = {name: (weights * value.detach()).sum() / counts["main"] for name, value in told.items()}
    if counts["decisions"]:
        parts["stop_entropy"] = (weights * entropy * actions.deciding).sum() / counts["decisions"]
    parts |= {name: _number(value / counts["groups"], likely) for name, value in actions.told.items()}
    return Loss((weights * each).sum() / counts["main"], parts)


def _number(value: float, like: Tensor) -> Tensor:
    return torch.tensor(value, dtype=like.dtype, device=like.device)
