"""What a thought is worth, and what is learned from that.

A thought's value is the log-probability that it gives to what came next. The prediction learns from its gradient; the
reasoner, whose choices have none, learns that thoughts better than usual should be likelier (REINFORCE). "Usual" is a
baseline: it changes the variance of the gradient and not its mean, as long as it does not depend on the thought itself.

Shapes: S models, C cells, T thoughts of a cell. Losses are sums over cells of means over thoughts, one number per model.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.quiet.goal import Objective


@dataclass
class Values:
    """What is known of the thoughts of some cells."""

    like: Tensor
    """(S, C, T) log p(next | thought), with its gradient."""
    logp: Tensor
    """(S, C, T) log p(thought), with its gradient unless nothing is learned from it."""
    chosen: Tensor
    """(S, C, T) tokens chosen."""
    ended: Tensor
    """(S, C, T) whether a thought ended itself."""
    real: Tensor
    """(S, C) 1 for cells of text, 0 for padding."""
    null: Tensor | None = None
    """(S, C) log p(next | no thought), with its gradient."""
    judged: Tensor | None = None
    """(S, C, T) the guess of what a thought is worth, with its gradient."""
    worth: Tensor | None = None
    """(S, C, T) what a thought is worth, where that is not `like`."""
    usual: Tensor | None = None
    """(S,) the running mean of values."""


def losses(objective: Objective, values: Values, variable: bool, done: float) -> dict[str, Tensor]:
    """The parts of the loss by name, each (S,), and under "advantage" their spread. `done` is how much of training is over."""
    v = values
    parts = {"nll": _prediction(objective, v)}
    known = v.like.detach() if v.worth is None else v.worth
    if objective.policy and v.like.shape[-1]:
        worth = known if v.judged is None else v.judged.detach()
        worth = worth - _shaping(objective, v, done) if variable else worth
        parts["policy"], parts["advantage"] = _thinking(objective, v, worth)
    if v.judged is not None:
        parts["judge"] = _sum((v.judged - known) ** 2, v.real)
    return parts


def _prediction(objective: Objective, v: Values) -> Tensor:
    """Minus what is to be maximised by predicting."""
    like = v.like if objective.learned is None else v.like[..., : objective.learned]
    if objective.gate:
        assert v.null is not None
        # The better of the two learns; where the thought is worse, the empty thought is what would be used.
        null = v.null[..., None].expand_as(like)
        like = torch.where(like.detach() > null.detach(), like, null)
    if objective.goal == "elbo":
        return -_sum(like, v.real)
    if objective.goal == "log_mean":
        return -_sum(log_mean(like)[..., None], v.real)
    return -_sum(like * chain(like.detach()), v.real) * like.shape[-1]


def _thinking(objective: Objective, v: Values, worth: Tensor) -> tuple[Tensor, Tensor]:
    if objective.fit == "listwise":
        wanted = (worth / objective.temperature).softmax(-1)
        fitted = -(wanted * v.logp.log_softmax(-1)).sum(-1, keepdim=True)
        return _sum(fitted, v.real), _spread(worth, v.real)
    if objective.fit == "value":
        # Z is estimated with the thoughts at hand, weighed by how likely they were to be drawn.
        log_z = log_mean(worth / objective.temperature - v.logp.detach())[..., None]
        guess = objective.temperature * (v.logp + log_z)
        return _sum((guess - worth) ** 2, v.real), _spread(worth, v.real)
    advantage = _advantages(objective, v, worth)
    return -_sum(advantage * v.logp, v.real), _spread(advantage, v.real)


def _advantages(objective: Objective, v: Values, worth: Tensor) -> Tensor:
    T = worth.shape[-1]
    if objective.goal == "log_mean":
        advantage = log_mean(worth)[..., None] - _others_log_mean(worth)
        advantage = advantage * T  # each thought has a share in one log-mean, and losses are means over thoughts
    elif objective.goal == "trice":
        # How often the chain is there, minus how often thoughts are drawn: what is drawn has no gradient in the mean.
        advantage = chain(worth) * T - 1.0
    elif objective.baseline == "loo":
        advantage = (worth - worth.mean(-1, keepdim=True)) * (T / (T - 1))
    elif objective.baseline == "mean":
        advantage = worth - worth.mean(-1, keepdim=True)
    elif objective.baseline == "null":
        assert v.null is not None
        advantage = worth - v.null.detach()[..., None]
    else:
        assert v.usual is not None
        advantage = worth - v.usual[:, None, None]
    if objective.normalize:
        advantage = advantage / _spread(advantage, v.real, mean=True)[:, None, None].clamp(min=1e-8)
    if objective.only_positive:
        advantage = advantage.clamp(min=0)
    if objective.clamp is not None:
        advantage = advantage.clamp(-objective.clamp, objective.clamp)
    return advantage


def _shaping(objective: Objective, v: Values, done: float) -> Tensor:
    unfinished = objective.punish_unfinished * (done if objective.punish_ramp else 1.0)
    tokens = v.chosen - v.ended.long()
    return unfinished * (~v.ended).to(v.like) + objective.length_penalty * tokens.to(v.like)


def log_mean(values: Tensor) -> Tensor:
    """log of the mean of exp, over thoughts."""
    return values.logsumexp(-1) - math.log(values.shape[-1])


def _others_log_mean(worth: Tensor) -> Tensor:
    """(…, T): the log-mean of the cell's other thoughts, for each of them."""
    T = worth.shape[-1]
    own = torch.eye(T, dtype=torch.bool, device=worth.device)
    others = worth[..., None, :].expand(*worth.shape, T).masked_fill(own, float("-inf"))
    return others.logsumexp(-1) - math.log(T - 1)


def chain(worth: Tensor) -> Tensor:
    """How often each thought is where a chain stands that begins with the first and moves to the next with probability
    min(1, p(next | that thought) / p(next | this one)): (…, T) shares of its T states. Expectations over the moves are taken
    exactly, so no random numbers are needed and no memory of earlier passes."""
    T = worth.shape[-1]
    standing = torch.zeros_like(worth)
    standing[..., 0] = 1.0
    visited = standing.clone()
    for at in range(1, T):
        move = (worth[..., at : at + 1] - worth[..., :at]).exp().clamp(max=1.0)
        moved = (standing[..., :at] * move).sum(-1)
        standing[..., :at] = standing[..., :at] * (1.0 - move)
        standing[..., at] = moved
        visited = visited + standing
    return visited / T


def _sum(per_thought: Tensor, real: Tensor) -> Tensor:
    """(S, C, T) -> (S,): the sum over cells of the mean over thoughts."""
    return (per_thought.mean(-1) * real).sum(-1)


def _spread(values: Tensor, real: Tensor, mean: bool = False) -> Tensor:
    """The sum over cells, or the mean, of squares; the root of the mean is a standard deviation around 0."""
    squares = _sum(values**2, real)
    return (squares / real.sum(-1).clamp(min=1)).sqrt() if mean else squares
