"""The gradient of the whole loss is what autograd finds when every thought is computed alone, with torch's modules. What is
made of the thoughts' numbers is the package's own here; test_quiet_formulas works that out by hand."""

import pytest
import torch

from tacit.methods.quiet import Quiet
from tacit.quiet.goal import Objective
from tacit.quiet.objective import Values, losses
from tests.quiet.minds import Plain, lesson, loss_of, small
from tests.quiet.test_mind import CASES, computed, written

OBJECTIVES = {
    "loo": {},
    "mean, one learned, an entropy bonus": {"baseline": "mean", "learned": 1, "entropy": 0.3, "nll": 0.5},
    "against nothing, gated": {"baseline": "null", "gate": True, "policy": 2.0},
    "log mean": {"goal": "log_mean"},
    "trice": {"goal": "trice"},
    "listwise": {"fit": "listwise", "temperature": 0.5},
    "value": {"fit": "value", "temperature": 2.0},
    "clamped and positive": {"only_positive": True, "clamp": 0.02, "normalize": True},
}
SHAPED = {"punish_unfinished": 0.4, "punish_ramp": False, "length_penalty": 0.1}


def plain_loss(thinker, method: Quiet, given) -> torch.Tensor:
    """The loss of a lesson, from the thoughts that were drawn."""
    with torch.no_grad():
        ids, thoughts, *_ = computed(thinker, method, given)
    plain, config, T = Plain(thinker.model), thinker.model.config, method.samples
    rows = []
    for row in range(thoughts.read.shape[1]):
        column, text = divmod(row // T, len(ids))
        prefix, target = ids[text, : column + 1].tolist(), int(ids[text, column + 1])
        chosen, between = written(thoughts, config.vocab_size, config.mark_token_id, row, method.variable)
        told = plain.choices(prefix, chosen)
        logp = sum(one[token] for one, token in zip(told, chosen))
        entropy = -sum((one.exp() * one).sum() for one in told)
        rows.append((plain.after(prefix, between)[target], logp, entropy, plain.after(prefix, [])[target]))
    like, logp, entropy, null = (torch.stack(part).view(1, -1, T) for part in zip(*rows))
    values = Values(
        like,
        logp,
        thoughts.chosen.view(1, -1, T),
        thoughts.ended.view(1, -1, T),
        torch.ones(1, like.shape[1]),
        null[..., 0],
    )
    goal = method.objective
    parts = losses(goal, values, method.variable, given.step / given.steps)
    each = entropy.sum(-1) / values.chosen.sum(-1)
    return (goal.nll * parts["nll"] + goal.policy * parts["policy"] - goal.entropy * each.sum(-1))[0] / like.shape[1]


def gradients(thinker, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    named = dict(thinker.model.named_parameters())
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named.items(), found)}


def check(thinker, method: Quiet) -> None:
    given = lesson(thinker, rows=2, length=4, step=5)
    thinker.model.steps.fill_(5)
    ours, wanted = loss_of(thinker, method, given).total, plain_loss(thinker, method, given)
    assert float(ours) == pytest.approx(float(wanted), abs=1e-12)
    mine, theirs = gradients(thinker, ours), gradients(thinker, wanted)
    for name in mine:
        assert torch.allclose(mine[name], theirs[name], rtol=0, atol=1e-11), name
    # Twin: another weight of learning to think is another gradient.
    goal = method.objective
    other = method.model_copy(update={"objective": goal.model_copy(update={"policy": goal.policy + 0.5})})
    moved = gradients(thinker, loss_of(thinker, other, given).total)
    assert any(not torch.allclose(mine[name], moved[name], rtol=0, atol=1e-7) for name in mine)


@pytest.mark.parametrize("case", CASES)
def test_of_every_architecture(case):
    fields = dict(CASES[case])
    check(small(head=fields.pop("head", "linear"), **fields), Quiet(length=3, samples=2, words_only=False))


@pytest.mark.parametrize("variable", [False, True], ids=["fixed", "variable"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_of_every_objective(objective, variable):
    shaped = SHAPED if variable else {}
    method = Quiet(length=2, samples=3, variable=variable, objective=Objective(**OBJECTIVES[objective] | shaped))
    check(small(join="add", reasoner=4), method.model_copy(update={"words_only": False}))
