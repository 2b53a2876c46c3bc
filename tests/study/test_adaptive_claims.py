"""The arms of the claims about distilled thoughts train what their names say, and no broken control makes a match."""

from dataclasses import replace

import numpy as np
import pytest

from tacit.example import Encoded
from tacit.recipe import load
from tacit.study.claims.adaptive_latent import CLAIM, WIDE
from tacit.study.intervals import Outcome
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0)
CHAIN = Encoded("x", (50, 51), ((10,), (11,), (12,), (13,)), (60,), (70,))
"""Four operations, of which the teacher writes three."""
WRITES = [50, 51, 1, 10, 11, 12, 60, 70, 4]
SIX = [50, 51, 1, *[2] * 6, 3, 60, 70, 4]

# Arm: steps, weights of codi, meaned and aligned, what the student's row is, what the teacher's is.
ARMS = {
    "silent": (1500, (1, 0, 0), SIX, WRITES),
    "written": (1500, None, [50, 51, 10, 11, 12, 13, 60, 70, 4], None),
    "no_cot": (5000, None, [50, 51, 60, 70, 4], None),
    "learned_stop": (1500, (1, 0, 0), [50, 51, 1, *[2] * 4, 3, 60, 70, 4], WRITES),
    "meaned": (1500, (0, 1, 0), SIX, WRITES),
    "meaned_and_codi": (1500, (1, 1, 0), SIX, WRITES),
    "first_layer": (1500, (1, 0, 0), SIX, WRITES),
    "codi_0": (1500, (0, 0, 0), SIX, WRITES),
    "codi_20": (1500, (20, 0, 0), SIX, WRITES),
    "pause": (1500, (1, 0, 0), SIX, WRITES),
    "no_teacher": (4000, (0, 0, 0), SIX, None),
}
WIDE_ARMS = {
    "codi_5": (2000, (5, 0, 0), SIX, WRITES),
    "codi_0": (2000, (0, 0, 0), SIX, WRITES),
    "codi_1": (2000, (1, 0, 0), SIX, WRITES),
    "codi_20": (2000, (20, 0, 0), SIX, WRITES),
    "twelve": (2000, (5, 0, 0), [50, 51, 1, *[2] * 12, 3, 60, 70, 4], WRITES),
    "stages": (2000, (0, 0, 0), SIX, WRITES),
    "aligned": (2000, (5, 0, 5), SIX, WRITES),
    "no_cot": (5000, None, [50, 51, 60, 70, 4], None),
}
CASES = [(claim, name, arms[name]) for claim, arms in ((CLAIM, ARMS), (WIDE, WIDE_ARMS)) for name in claim.arms]


def recipe_of(claim, name):
    return load(claim.arms[name].recipe, {**claim.settings("cpu")[name], "train.seed": 0}, disk=False).recipe


@pytest.mark.parametrize(("claim", "name", "wanted"), CASES, ids=[f"{claim.name}-{name}" for claim, name, _ in CASES])
def test_an_arm_trains_what_its_name_says(claim, name, wanted):
    steps, weights, student, teacher = wanted
    recipe = recipe_of(claim, name)
    method, train, tiny = recipe.method.settings, recipe.train, recipe.model.tiny
    views = method.layouts(CHAIN, VOCAB, 6, None)
    assert views["main"].ids == student and (views["teacher"].ids if "teacher" in views else None) == teacher
    assert train.steps == steps and recipe.eval.split == "test"
    assert weights is None or (method.codi, method.meaned, method.aligned) == weights
    assert (train.batch, train.lr, train.betas, train.weight_decay, train.clip) == (128, 2e-3, (0.9, 0.98), 0.01, 1.0)
    assert (train.warmup, train.schedule, train.decay_from, train.decay_to) == (200, "linear", 0.6, 0.02)
    assert (tiny.layers, tiny.hidden, tiny.heads, tiny.tied) == (2, 64, 4, False)
    assert recipe.task.settings.modulus == (11 if claim is CLAIM else 7)
    assert recipe.task.settings.steps == ("wide" if claim is WIDE and name != "no_cot" else "narrow")


def test_what_sets_single_arms_apart():
    thoughts = {name: recipe_of(CLAIM, name).method.settings for name in CLAIM.arms if ARMS[name][1] is not None}
    assert {name for name, method in thoughts.items() if method.stop} == {"learned_stop"}
    assert {name for name, method in thoughts.items() if method.distance.blocks} == {"first_layer"}
    assert {name: method.thoughts.feedback for name, method in thoughts.items() if name == "pause"} == {
        "pause": "pause"
    }
    assert {method.thoughts.feedback for name, method in thoughts.items() if name != "pause"} == {"mlp"}
    assert {method.thoughts.gain for name, method in thoughts.items() if name != "pause"} == {0.1}
    stages = recipe_of(WIDE, "stages").method.settings
    rows = [stages.layouts(CHAIN, VOCAB, s, np.random.default_rng(1))["main"].ids for s in (0, 1, 2)]
    assert rows[0] == [50, 51, 1, 3, 10, 11, 12, 60, 70, 4] and rows[1] == [50, 51, 1, 2, 3, 11, 12, 60, 70, 4]
    assert (stages.stages.every, stages.stages.last, stages.stages.mix) == (150, 6, 0.2)


# --- the verdict ------------------------------------------------------------------------------------------------------


def outcomes(claim, changed: dict[str, float]) -> list[Outcome]:
    """What was expected, or a little better; seeds differ by a little, as they do. `changed`: other values of some arms."""
    rule = claim.rule
    good = {rule.better: 1.0, rule.worse: 0.1}
    good |= dict.fromkeys(rule.floors, 1.0) | dict.fromkeys(rule.ceilings, 0.1) | changed
    return [Outcome(arm, seed, value - 0.001 * seed) for arm, value in good.items() for seed in range(3)]


@pytest.mark.parametrize("claim", [CLAIM, WIDE], ids=lambda claim: claim.name)
def test_every_bound_decides(claim):
    assert claim.rule.judge(outcomes(claim, {})).word == "match"
    for arm in claim.rule.floors:
        assert claim.rule.judge(outcomes(claim, {arm: claim.rule.floors[arm] - 0.01})).word != "match", arm
    for arm in claim.rule.ceilings:
        assert claim.rule.judge(outcomes(claim, {arm: claim.rule.ceilings[arm] + 0.01})).word != "match", arm


def test_a_control_that_learned_nothing_is_no_evidence():
    """It stays under its ceiling, and so would any model that was not trained."""
    name = "codi_0: accuracy/2"
    broken = outcomes(WIDE, {name: 0.1})
    assert WIDE.rule.judge(broken).word == "partly"
    bare = replace(WIDE.rule, floors={arm: bound for arm, bound in WIDE.rule.floors.items() if arm != name})
    assert bare.judge(broken).word == "match", "the twin: ceilings alone do not see it"
