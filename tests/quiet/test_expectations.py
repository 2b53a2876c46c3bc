"""What is learned on average is the gradient of what the objective says: all thoughts of one token are enumerated."""

from itertools import product

import pytest
import torch
from torch import Tensor

from tacit.methods.quiet import Quiet
from tacit.quiet.goal import Objective
from tacit.quiet.learning import Place, thought
from tacit.quiet.mind import Mind
from tacit.quiet.objective import Values, chain, log_mean, losses
from tacit.quiet.stack import Stack
from tacit.quiet.texts import cells, stacked
from tests.quiet.minds import Plain, lesson, small

WORDS = 4


def parameters() -> tuple[Tensor, Tensor, Tensor]:
    """Scores of thoughts, what each makes of what comes next, and what none makes of it; all are learned."""
    made = torch.randn(3, WORDS, dtype=torch.float64)
    return made[0].clone().requires_grad_(), made[1].clone().requires_grad_(), made[2, 0].clone().requires_grad_()


def average(objective: Objective, T: int, scores: Tensor, told: Tensor, null: Tensor) -> list[Tensor]:
    """The gradient of the loss, over all T thoughts that can be drawn, each weighed by how often it is."""
    logp, like = scores.log_softmax(-1), -torch.nn.functional.softplus(told)
    drawn = torch.tensor(list(product(range(WORDS), repeat=T)))
    weight = logp.detach()[drawn].sum(-1).exp()
    nothing = torch.zeros(1, len(drawn), T)
    values = Values(
        like[drawn][None],
        logp[drawn][None],
        nothing,
        nothing,
        weight[None],
        -torch.nn.functional.softplus(null).expand(1, len(drawn)),
    )
    values.usual = torch.tensor([-0.7], dtype=torch.float64)
    parts = losses(objective, values, False, 0.0)
    return gradient(parts["nll"][0] + parts["policy"][0], scores, told, null)


def gradient(loss: Tensor, *parameters: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found)]


def off(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other))


@pytest.mark.parametrize("T", [2, 3])
@pytest.mark.parametrize("baseline", ["loo", "null", "ema"])
def test_elbo(baseline, T):
    scores, told, null = parameters()
    wanted = -(scores.softmax(-1) * -torch.nn.functional.softplus(told)).sum()
    found = average(Objective(baseline=baseline), T, scores, told, null)
    assert off(found, gradient(wanted, scores, told, null)) < 1e-12


@pytest.mark.parametrize("T", [2, 3])
def test_the_mean_as_a_baseline_shrinks_what_is_learned_of_thinking(T):
    """And only that: the prediction's gradient is whole. (Twin: it is not the gradient of the objective.)"""
    scores, told, null = parameters()
    wanted = gradient(-(scores.softmax(-1) * -torch.nn.functional.softplus(told)).sum(), scores, told, null)
    found = average(Objective(baseline="mean"), T, scores, told, null)
    assert off(found[1:], wanted[1:]) < 1e-12
    assert off(found[:1], [wanted[0] * (T - 1) / T]) < 1e-12
    assert off(found[:1], wanted[:1]) > 1e-3


@pytest.mark.parametrize("T", [2, 3])
def test_log_mean(T):
    scores, told, null = parameters()
    drawn = torch.tensor(list(product(range(WORDS), repeat=T)))
    weight = scores.log_softmax(-1)[drawn].sum(-1).exp()
    wanted = -(weight * log_mean(-torch.nn.functional.softplus(told)[drawn])).sum()
    found = average(Objective(goal="log_mean"), T, scores, told, null)
    assert off(found, gradient(wanted, scores, told, null)) < 1e-12


def test_trice_comes_to_the_gradient_of_the_marginal():
    """A chain of T states has forgotten where it began the better the longer it is; the mean over thoughts never does."""
    scores, told, null = parameters()
    like = -torch.nn.functional.softplus(told)
    wanted = gradient(-(scores.log_softmax(-1) + like).logsumexp(-1), scores, told, null)
    bias = [off(average(Objective(goal="trice"), T, scores, told, null), wanted) for T in (1, 2, 4, 7)]
    assert bias == sorted(bias, reverse=True) and bias[-1] < bias[0] / 4
    assert off(average(Objective(), 7, scores, told, null), wanted) > bias[-1]


def test_a_chain_goes_where_thoughts_are_better():
    worth = torch.tensor([[0.0, 30.0, 0.0], [30.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=torch.float64)
    expected = torch.tensor([[1, 2, 0], [3, 0, 0], [1, 1, 1]]) / 3
    assert torch.allclose(chain(worth), expected.double(), atol=1e-10)


def test_of_a_whole_model():
    """Every pair of one-token thoughts before the second letter of a text, by the random numbers that lead to them."""
    thinker = small(hidden=3, join="add")
    model, method = thinker.model, Quiet(length=1, samples=2)
    given = lesson(thinker, rows=1, length=2)
    named = dict(model.named_parameters())
    ids, real = stacked([given.views["main"]])
    target, plain = int(ids[0, 0, 1]), Plain(model)
    banned = list(method.rule(thinker.vocab).banned)
    prefix = [int(ids[0, 0, 0])]
    [told] = plain.choices(prefix, [0])
    allowed = [z for z in range(len(told)) if z not in banned]
    p = torch.zeros_like(told)
    p[allowed] = told[allowed].softmax(-1)
    wanted = -sum(p[z] * plain.after(prefix, [z])[target] for z in allowed)
    wanted_grads = gradient(wanted, *named.values())
    middle = (p.cumsum(0) - p / 2).detach()
    found = [torch.zeros_like(g) for g in wanted_grads]
    for pair in product(allowed, repeat=2):
        mind = Mind(model.config, Stack([model]))
        place = Place(mind.trunk(ids[..., :-1]), cells(ids[..., 1:]), real, real.sum(-1))
        chance = middle[list(pair)][None, None]
        total, _ = thought(method, mind, place, chance, given, thinker.vocab)
        weight = float(p[list(pair)].prod())
        found = [sum_ + weight * g for sum_, g in zip(found, gradient(total.sum(), *named.values()))]
    assert off(found, wanted_grads) < 1e-12
    assert max(float(g.abs().max()) for name, g in zip(named, wanted_grads) if "reasoner_head" in name) > 1e-4
