"""What the arms of the laboratory's claims really train: every arm of a cpu scale, value by value; and no scale undoes an arm."""

from dataclasses import replace

import pytest

from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.reader import flatten
from tacit.registry import resolve
from tacit.study.claim import Arm, Scale
from tacit.study.claims import CLAIMS
from tacit.study.claims.quiet_capacity import F1
from tacit.study.claims.quiet_trained_before import F34
from tacit.study.repro import reproduce

ROLES = "model.tiny.roles."
NAMES = {
    "base": "model.tiny.hidden",
    "head": "model.tiny.head",
    "width": f"{ROLES}reasoner",
    "chooser": f"{ROLES}reasoner_head",
    "join": f"{ROLES}join",
    "thinks": f"{ROLES}thinks",
    "length": "method.length",
    "samples": "method.samples",
    "variable": "method.variable",
    "words": "method.words_only",
    "policy": "method.objective.policy",
    "baseline": "method.objective.baseline",
    "steps": "train.steps",
    "batch": "train.batch",
    "lr": "train.lr",
    "schedule": "train.schedule",
    "warmup": "train.warmup",
    "clip": "train.clip",
    "task": "task.name",
    "text": "task.cut",
}
EARLY = {"lr": 1e-3, "schedule": "constant", "warmup": 0, "clip": None, "task": "text", "text": "blocks"}
ONE = {"head": "mlp", "chooser": "linear", "join": "concat", "steps": 400, "batch": 8, "schedule": "linear", "lr": 5e-3}
THINKS = {"thinks": True, "width": 100, "length": 3, "samples": 4, "variable": False, "policy": 1.0, "baseline": "mean"}
TRAINED = {"head": "mlp", "chooser": "linear", "join": "concat", "thinks": True, "width": 64, "steps": 500, "batch": 8}
TRAINED |= {"lr": 5e-3, "schedule": "linear", "warmup": 50, "clip": 1.0, "task": "text", "text": "blocks"}
FULL = {"length": 3, "samples": 4, "variable": True, "policy": 1.0, "words": True}
NONE = {"length": 0, "samples": 1, "variable": False, "policy": 0.0}
SHORT = {"base": 32, "width": None, "head": "linear", "join": "add", "length": 5, "steps": 200, "batch": 16, **EARLY}
SHORT |= {"words": False, "variable": False, "baseline": "mean", "policy": 1.0}
TABLE = {
    "quiet/1": {f"with {base}": {"base": base, **ONE, **THINKS} for base in (2, 8, 32)}
    | {f"without {base}": {"base": base, **ONE, "thinks": False} for base in (2, 8, 32)},
    "quiet/34": {
        f"{way} {base}": {"base": base, **TRAINED, **thoughts}
        for way, thoughts in (("empty", NONE), ("joint", FULL), ("pretrained", FULL))
        for base in (2, 8)
    },
    "quiet/short": {
        "mlp, two": {**SHORT, "chooser": "mlp", "samples": 2, "thinks": True},
        "linear, two": {**SHORT, "chooser": "linear", "samples": 2, "thinks": True},
        "linear, ten": {**SHORT, "chooser": "linear", "samples": 10, "thinks": True},
        "plain": {**SHORT, "thinks": False},
    },
    "quiet/g32": {"plain": {"base": 32, "head": "linear", "thinks": False, "steps": 2750, "batch": 128, **EARLY}},
}
"""By claim and arm, what the published rows say, made as much smaller as the claim tells."""


def trained(claim, scale):
    """By arm, the settings of its recipe at a scale."""
    found = {}
    for name, overrides in claim.settings(scale).items():
        tree = load(claim.arms[name].recipe, overrides).recipe.model_dump(mode="json")
        found[name] = {path: one.value for path, one in flatten(tree, "").items()}
    return found


def wrong(claim, table):
    return [
        (arm, name)
        for arm, recipe in trained(claim, "cpu").items()
        for name, value in table[arm].items()
        if recipe[NAMES[name]] != value
    ]


@pytest.mark.parametrize("name", TABLE)
def test_every_arm_is_what_its_row_says(name):
    claim = resolve(CLAIMS, name, "claim")
    assert set(claim.arms_at("cpu")) == set(TABLE[name])
    assert wrong(claim, TABLE[name]) == []
    assert len(claim.scale("cpu").seeds) >= (5 if name == "quiet/g32" else 3)


def test_a_scale_that_undid_an_arm_would_be_seen():
    """As it once was: heads forced to be linear, and thoughts of three tokens where there should be none."""
    forced = replace(F1.scales["cpu"], overrides={**F1.scales["cpu"].overrides, "model.tiny.head": "linear"})
    forced = replace(forced, replaces=("model.tiny.head",))
    found = wrong(replace(F1, scales={"cpu": forced}), TABLE["quiet/1"])
    assert {name for _, name in found} == {"head"} and len(found) == 6
    filled = replace(F34.scales["cpu"], overrides={**F34.scales["cpu"].overrides, "method.length": 3})
    filled = replace(filled, replaces=("method.length",))
    assert ("empty 8", "length") in wrong(replace(F34, scales={"cpu": filled}), TABLE["quiet/34"])


def test_it_is_refused_before_anything_is_trained(tmp_path):
    forced = Scale({**F1.scales["cpu"].overrides, "model.tiny.head": "linear"}, arms=F1.scales["cpu"].arms)
    with pytest.raises(
        TacitError, match=r"sets model\.tiny\.head to 'linear', but arm 'with 2' is about model\.tiny\.head: 'mlp'"
    ):
        reproduce(replace(F1, scales={"cpu": forced}), "cpu", runs=tmp_path / "runs", results=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["model.tiny", "model.tiny.head", "model.tiny.head.name"])
def test_a_setting_is_undone_from_above_and_below_too(path):
    """And not where the scale says that it is meant, or sets the same."""
    one = replace(F1, arms={"a": Arm("quiet/capacity", {"model.tiny.head": "mlp"})})
    with pytest.raises(TacitError, match="put it into the scale's defaults"):
        replace(one, scales={"cpu": Scale({path: "linear"})}).settings("cpu")
    assert replace(one, scales={"cpu": Scale({path: "linear"}, replaces=(path,))}).settings("cpu")
    assert replace(one, scales={"cpu": Scale({"model.tiny.head": "mlp"})}).settings("cpu")
    below = replace(one, scales={"cpu": Scale(defaults={"model.tiny.head": "linear"})})
    assert below.settings("cpu") == {"a": {"model.tiny.head": "mlp"}}


@pytest.mark.parametrize("name", CLAIMS)
def test_no_scale_undoes_an_arm(name):
    claim = resolve(CLAIMS, name, "claim")
    for scale in claim.scales:
        assert set(claim.settings(scale)) == set(claim.arms_at(scale))
