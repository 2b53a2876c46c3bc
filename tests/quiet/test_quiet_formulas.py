"""Every formula of the objective against numbers worked out on paper. Twin of each: the module with one place of its source
changed, which must give another number.

One place with three thoughts, unless a case says otherwise: log p(next | thought) is -1, -2, -4; log p(thought) is -1/2, -1, -3;
behind no thought the next token has -3/2. A loss is a mean over thoughts. Advantages against the mean of the other two:
-1 + 3 = 2, -2 + 5/2 = 1/2, -4 + 3/2 = -5/2.
"""

from dataclasses import dataclass, field
from math import log, sqrt
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from tacit.methods.base import Lesson
from tacit.quiet import concluding, objective
from tacit.quiet.goal import Objective
from tests.quiet.mutants import mutant

HALF, QUARTER, EIGHTH = log(1 / 2), log(1 / 4), log(1 / 8)


@dataclass
class Case:
    """What is set, what comes out, and the change of the source that must be noticed."""

    goal: dict[str, Any]
    wanted: dict[str, float]
    """Parts of the loss by name."""
    to: dict[str, list[float]]
    """Gradients of the sum of those parts."""
    change: tuple[str, str]
    given: dict[str, Any] = field(default_factory=dict)
    variable: bool = False
    done: float = 0.0


PLAIN = {"like": [-1.0, -2.0, -4.0], "logp": [-0.5, -1.0, -3.0], "null": -1.5, "usual": -3.0}
NONE = [0.0, 0.0, 0.0]
LEARNED = [-1 / 3, -1 / 3, -1 / 3]
"""Of likelihoods, where the prediction learns from all thoughts."""
SHAPED = {"chosen": [1, 3, 2], "ended": [True, False, True]}
"""An empty thought, one of three tokens that was cut off, and one of a token that ended itself."""

CASES = {
    "loo": Case(
        {},
        {"nll": 7 / 3, "policy": -(2 * -0.5 + 0.5 * -1 + -2.5 * -3) / 3},
        {"like": LEARNED, "logp": [-2 / 3, -0.5 / 3, 2.5 / 3]},
        ("(T / (T - 1))", "((T - 1) / T)"),
    ),
    "mean": Case(  # 4/3, 1/3, -5/3
        {"baseline": "mean"},
        {"policy": -(4 / 3 * -0.5 + 1 / 3 * -1 + -5 / 3 * -3) / 3},
        {"like": LEARNED, "logp": [-4 / 9, -1 / 9, 5 / 9]},
        ("advantage = worth - worth.mean(-1, keepdim=True)\n", "advantage = worth + worth.mean(-1, keepdim=True)\n"),
    ),
    "null": Case(  # 1/2, -1/2, -5/2
        {"baseline": "null"},
        {"policy": -(0.5 * -0.5 + -0.5 * -1 + -2.5 * -3) / 3},
        {"like": LEARNED, "logp": [-0.5 / 3, 0.5 / 3, 2.5 / 3], "null": [0.0]},
        ("worth - v.null.detach()[..., None]", "worth - v.null[..., None]"),
    ),
    "ema": Case(  # 2, 1, -1
        {"baseline": "ema"},
        {"policy": -(2 * -0.5 + 1 * -1 + -1 * -3) / 3},
        {"like": LEARNED, "logp": [-2 / 3, -1 / 3, 1 / 3]},
        ("worth - v.usual[:, None, None]", "worth + v.usual[:, None, None]"),
    ),
    "only positive": Case(  # 2, 1/2, 0
        {"only_positive": True},
        {"policy": -(2 * -0.5 + 0.5 * -1) / 3},
        {"like": LEARNED, "logp": [-2 / 3, -0.5 / 3, 0.0]},
        ("advantage.clamp(min=0)", "advantage.clamp(max=0)"),
    ),
    "clamp": Case(  # 1, 1/2, -1
        {"clamp": 1.0},
        {"policy": -(1 * -0.5 + 0.5 * -1 + -1 * -3) / 3},
        {"like": LEARNED, "logp": [-1 / 3, -0.5 / 3, 1 / 3]},
        ("clamp(-objective.clamp, objective.clamp)", "clamp(max=objective.clamp)"),
    ),
    "normalize": Case(  # the mean of 4, 1/4 and 25/4 is 7/2
        {"normalize": True},
        {"policy": -6 / 3 / sqrt(3.5), "advantage": 1.0},
        {"like": LEARNED, "logp": [-2 / 3 / sqrt(3.5), -0.5 / 3 / sqrt(3.5), 2.5 / 3 / sqrt(3.5)]},
        ("squares / real.sum(-1).clamp(min=1)", "squares"),
        {"places": 2},
    ),
    "two thoughts are learned from": Case(
        {"learned": 2},
        {"nll": 3 / 2},
        {"like": [-1 / 2, -1 / 2, 0.0], "logp": [-2 / 3, -0.5 / 3, 2.5 / 3]},
        ("[..., : objective.learned]", "[..., objective.learned :]"),
    ),
    "the gate": Case(  # only the first thought beats -3/2
        {"gate": True, "policy": 0.0},
        {"nll": (1 + 1.5 + 1.5) / 3},
        {"like": [-1 / 3, 0.0, 0.0], "logp": NONE, "null": [-2 / 3]},
        ("like.detach() > null.detach()", "like.detach() < null.detach()"),
    ),
    "log mean": Case(  # 1/2, 1/4, 1/4: their mean is 1/3, and that of the others 1/4, 3/8, 3/8
        {"goal": "log_mean"},
        {"nll": -log(1 / 3), "policy": -(3 * log(4 / 3) * -0.5 + 3 * log(8 / 9) * -1 + 3 * log(8 / 9) * -3) / 3},
        {"like": [-1 / 2, -1 / 4, -1 / 4], "logp": [-log(4 / 3), -log(8 / 9), -log(8 / 9)]},
        ("advantage * T  #", "advantage  #"),
        {"like": [HALF, QUARTER, QUARTER]},
    ),
    "trice": Case(
        # The chain stands at the first; then at both with 1/2; then at the first with 1/4 and at the third with 3/4. So it is
        # there 7/4, 1/2 and 3/4 of three times.
        {"goal": "trice"},
        {"nll": -(1.75 * HALF + 0.5 * QUARTER + 0.75 * QUARTER) / 3, "policy": -(0.75 * -0.5 + 0.5 + 0.75) / 3},
        {"like": [-1.75 / 3, -0.5 / 3, -0.75 / 3], "logp": [-0.25, 0.5 / 3, 0.25 / 3]},
        ("chain(worth) * T - 1.0", "chain(worth) - 1.0"),
        {"like": [HALF, QUARTER, QUARTER]},
    ),
    "listwise": Case(
        # exp(value / temperature) is 1/4, 1/16, 1/16, so shares of 4/6, 1/6, 1/6 are wanted; there are 4/7, 2/7, 1/7.
        {"fit": "listwise", "temperature": 0.5},
        {"policy": -(4 / 6 * log(4 / 7) + 1 / 6 * log(2 / 7) + 1 / 6 * log(1 / 7))},
        {"like": LEARNED, "logp": [4 / 7 - 4 / 6, 2 / 7 - 1 / 6, 1 / 7 - 1 / 6]},
        ("(worth / objective.temperature).softmax(-1)", "(worth * objective.temperature).softmax(-1)"),
        {"like": [HALF, QUARTER, QUARTER], "logp": [HALF, QUARTER, EIGHTH]},
    ),
    "value": Case(
        # exp(value / temperature) over p(thought) is 1/2, 1/2, 1, so Z is 2/3; 2 (log p(thought) + log Z) is twice the log of
        # 1/3, 1/6, 1/12, which misses the values by twice the log of 4/3, 4/3, 2/3.
        {"fit": "value", "temperature": 2.0},
        {"policy": (8 * log(4 / 3) ** 2 + 4 * log(2 / 3) ** 2) / 3},
        {"like": LEARNED, "logp": [8 * log(4 / 3) / 3, 8 * log(4 / 3) / 3, 8 * log(2 / 3) / 3]},
        ("v.logp.detach())[..., None]", "v.logp)[..., None]"),
        {"like": [2 * QUARTER, 2 * EIGHTH, 2 * EIGHTH], "logp": [HALF, QUARTER, EIGHTH]},
    ),
    "value, the other way round": Case(
        {"fit": "value", "temperature": 2.0},
        {"policy": (8 * log(4 / 3) ** 2 + 4 * log(2 / 3) ** 2) / 3},
        {"like": LEARNED, "logp": [8 * log(4 / 3) / 3, 8 * log(4 / 3) / 3, 8 * log(2 / 3) / 3]},
        ("(v.logp + log_z)", "(v.logp - log_z)"),
        {"like": [2 * QUARTER, 2 * EIGHTH, 2 * EIGHTH], "logp": [HALF, QUARTER, EIGHTH]},
    ),
    "punished at once": Case(  # values of -1, -2.5, -4: advantages of 2.25, 0, -2.25
        {"punish_unfinished": 0.5, "punish_ramp": False},
        {"nll": 7 / 3, "policy": -(2.25 * -0.5 + -2.25 * -3) / 3},
        {"like": LEARNED, "logp": [-0.75, 0.0, 0.75]},
        ("(~v.ended)", "v.ended"),
        SHAPED,
        variable=True,
        done=0.4,
    ),
    "punished more and more": Case(  # 2/5 of the way: -1, -2.2, -4: 2.1, 0.3, -2.4
        {"punish_unfinished": 0.5},
        {"nll": 7 / 3, "policy": -(2.1 * -0.5 + 0.3 * -1 + -2.4 * -3) / 3},
        {"like": LEARNED, "logp": [-0.7, -0.1, 0.8]},
        ("(done if objective.punish_ramp else 1.0)", "(1.0 if objective.punish_ramp else done)"),
        SHAPED,
        variable=True,
        done=0.4,
    ),
    "a price of tokens": Case(  # no token, three, one: -1, -2.3, -4.1: 2.2, 0.25, -2.45
        {"length_penalty": 0.1},
        {"nll": 7 / 3, "policy": -(2.2 * -0.5 + 0.25 * -1 + -2.45 * -3) / 3},
        {"like": LEARNED, "logp": [-2.2 / 3, -0.25 / 3, 2.45 / 3]},
        ("tokens = v.chosen - v.ended.long()", "tokens = v.chosen"),
        SHAPED,
        variable=True,
    ),
    "what is not shaped": Case(
        {"length_penalty": 0.1, "punish_unfinished": 0.5},
        {"nll": 7 / 3, "policy": -2.0},
        {"like": LEARNED, "logp": [-2 / 3, -0.5 / 3, 2.5 / 3]},
        ("worth - _shaping(objective, v, done) if variable else worth", "worth - _shaping(objective, v, done)"),
        SHAPED,
        done=0.4,
    ),
    "the judge": Case(
        # Guesses of -3/2, -2, -3 teach the reasoner: 1, 1/4, -5/4; and they are 1/2 too low, right, and 1 too high.
        {"judge": True},
        {"nll": 7 / 3, "policy": -(1 * -0.5 + 0.25 * -1 + -1.25 * -3) / 3, "judge": (0.25 + 0 + 1) / 3},
        {"like": LEARNED, "logp": [-1 / 3, -0.25 / 3, 1.25 / 3], "judged": [-1 / 3, 0.0, 2 / 3]},
        ("(v.judged - known) ** 2", "-((v.judged - known) ** 2)"),
        {"judged": [-1.5, -2.0, -3.0]},
    ),
    "the judge does not see prices": Case(  # guesses of -3/2, -2.3, -3.1: 1.2, 0, -1.2; it learns what it is without them
        {"judge": True, "length_penalty": 0.1},
        {"policy": -(1.2 * -0.5 + -1.2 * -3) / 3, "judge": (0.25 + 0 + 1) / 3},
        {"like": LEARNED, "logp": [-0.4, 0.0, 0.4], "judged": [-1 / 3, 0.0, 2 / 3]},
        ("known if v.judged is None else v.judged.detach()", "known"),
        {"judged": [-1.5, -2.0, -3.0], **SHAPED},
        variable=True,
    ),
}


def values(module: ModuleType, given: dict[str, Any]) -> tuple[Any, dict[str, Tensor]]:
    """The numbers of a case, and those of them that gradients are asked for. A place of padding stands behind it, full of
    other numbers; `places` repeats the place itself."""
    told = {**PLAIN, "chosen": [2, 2, 2], "ended": [False] * 3, "places": 1, **given}
    leaves = {
        name: torch.tensor(told[name], dtype=torch.float64).requires_grad_()
        for name in ("like", "logp", "null", "judged")
        if name in told
    }
    count = told["places"]

    def cells(row: Tensor) -> Tensor:
        return torch.stack([*[row] * count, torch.full_like(row, 7)])[None]

    made = module.Values(
        cells(leaves["like"]),
        cells(leaves["logp"]),
        cells(torch.tensor(told["chosen"])),
        cells(torch.tensor(told["ended"])),
        torch.tensor([[1.0] * count + [0.0]], dtype=torch.float64),
        null=cells(leaves["null"]),
        judged=cells(leaves["judged"]) if "judged" in leaves else None,
        usual=torch.tensor([told["usual"]], dtype=torch.float64),
    )
    return made, leaves


def fits(module: ModuleType, case: Case) -> bool:
    made, leaves = values(module, case.given)
    count = case.given.get("places", 1)
    parts = module.losses(Objective(**case.goal), made, case.variable, case.done)
    if any(parts[name].item() != pytest.approx(count * wanted, abs=1e-12) for name, wanted in case.wanted.items()):
        return False
    whole = sum(part.sum() for name, part in parts.items() if name != "advantage")
    found = dict(zip(leaves, torch.autograd.grad(whole, list(leaves.values()), allow_unused=True)))
    for name, wanted in case.to.items():
        mine = found[name]
        mine = [0.0] * len(wanted) if mine is None else mine.reshape(-1).tolist()
        if mine != pytest.approx([count * each for each in wanted], abs=1e-12):
            return False
    return True


@pytest.mark.parametrize("name", CASES)
def test_of_thoughts(name):
    case = CASES[name]
    assert fits(objective, case)
    assert not fits(mutant(objective, *case.change), case)


def test_a_reasoner_that_is_not_taught_has_no_loss():
    made, _ = values(objective, {})
    assert set(objective.losses(Objective(policy=0.0), made, False, 0.0)) == {"nll"}


# -- the whole --------------------------------------------------------------------------------------------------------------


class Books:
    """What a model carries from step to step."""

    def __init__(self, steps: int):
        self.training, self.steps = True, torch.tensor(float(steps))
        self.usual, self.pressure = torch.tensor(-5.0), torch.tensor(0.3)


@dataclass
class Whole:
    """A place whose thoughts chose 1, 3 and 2 tokens, with entropies of 1/2, 1 and 3 in all: 3/4 a choice."""

    goal: dict[str, Any]
    total: float
    change: tuple[str, str]
    usual: float = -7 / 3
    pressure: float = 0.3
    steps: int = 0
    given: dict[str, Any] = field(default_factory=dict)
    longest: int | None = None
    share: float = 1.0
    variable: bool = False


NLL, POLICY = 7 / 3, -2.0
WHOLE = {
    "weights": Whole(
        {"nll": 0.5, "policy": 3.0}, 0.5 * NLL + 3 * POLICY, ("goal.policy * parts", "parts"), given=SHAPED
    ),
    "a punishment that grows over all steps": Whole(  # 2 of 5 are over; see above
        {"punish_unfinished": 0.5},
        NLL - (2.1 * -0.5 + 0.3 * -1 + -2.4 * -3) / 3,
        ("lesson.step / lesson.steps", "lesson.steps / lesson.step"),
        given=SHAPED,
        variable=True,
    ),
    "a bonus on entropy": Whole(
        {"entropy": 0.2},
        NLL + POLICY - 0.2 * 0.75,
        ("total - goal.entropy * entropy", "total + goal.entropy * entropy"),
    ),
    "pads that count": Whole(  # 9/2 over three thoughts of three places each
        {"entropy": 0.2}, NLL + POLICY - 0.2 * 0.5, ("if longest is None", "if longest"), longest=3
    ),
    "a bonus that comes to a target": Whole(  # 3/4 is 1/4 below it
        {"entropy_target": 1.0, "entropy_rate": 0.4},
        NLL + POLICY - 0.3 * 0.75,
        ("goal.entropy_target - spread", "spread - goal.entropy_target"),
        pressure=0.3 + 0.4 * 0.25,
    ),
    "the judge's loss": Whole(  # its guesses teach: -1
        {"judge": True},
        NLL - 1 + 1.25 / 3,
        ('+ parts.get("judge", 0.0)', '- parts.get("judge", 0.0)'),
        given={"judged": [-1.5, -2.0, -3.0]},
    ),
    "a running mean": Whole(
        {"memory": 0.9},
        NLL + POLICY,
        ("goal.memory * begun", "(1.0 - goal.memory) * begun"),
        usual=0.9 * -5 + 0.1 * -7 / 3,
        steps=4,
    ),
    "a quarter of a step": Whole(
        {"memory": 0.9, "entropy_target": 1.0, "entropy_rate": 0.4},
        NLL + POLICY - 0.3 * 0.75,
        ("begun) * share", "begun)"),
        usual=-5 + 0.25 * 0.1 * (5 - 7 / 3),
        pressure=0.3 + 0.25 * 0.4 * 0.25,
        steps=4,
        share=0.25,
    ),
}


def concluded(module: ModuleType, case: Whole) -> bool:
    made, _ = values(objective, {"chosen": [1, 3, 2], **case.given})
    entropies = torch.tensor([[[0.5, 1.0, 3.0], [9.0, 9.0, 9.0]]], dtype=torch.float64)
    keeper, counted = Books(case.steps), torch.tensor([1.0 / case.share], dtype=torch.float64)
    lesson = Lesson({}, 1, step=2, steps=5)
    more = {} if case.longest is None else {"longest": case.longest}
    goal = Objective(**case.goal)
    total, told = module.conclude(goal, made, entropies, [keeper], counted, case.variable, lesson, **more)
    found = [total.item(), keeper.usual.item(), keeper.pressure.item(), told["nll"].item()]
    return found == pytest.approx([case.total, case.usual, case.pressure, NLL], abs=1e-6)


@pytest.mark.parametrize("name", WHOLE)
def test_of_a_step(name):
    case = WHOLE[name]
    assert concluded(concluding, case)
    assert not concluded(mutant(concluding, *case.change), case)
