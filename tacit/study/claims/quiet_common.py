"""What the claims of the recurrent laboratory are made of: recipes, names of settings, scales, tables of arms.

Every claim has a `smoke` scale on generated text and a `gpu` scale with the published settings; those that are small enough
have a `cpu` scale. Texts are the user's: `tacit repro quiet/1 task.path=FILE`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.gaps import Gap
from tacit.study.rules import Rule

Values = Mapping[str, Any]
SOURCE = "notes of the Quiet-STaR replication on recurrent models, finding {}"
FRAGMENTS = "fragments/quiet/"
RI, IG, GL, QG = (
    f"{FRAGMENTS}{name}RunConfig" for name in ("ReasonerInterpreterGRU", "InterpreterGRU", "GLM", "QuietSTaRDiscrete")
)
CAT, VLS, SSS, BIS, PRE = (
    f"{FRAGMENTS}GRU{name}Experiment"
    for name in ("Concat", "VarLenScale", "ShakeSeparateScale", "BaseInterpreterScale", "PretrainReasoner")
)
BASE, WIDTH, THINKS = "model.tiny.hidden", "model.tiny.roles.reasoner", "model.tiny.roles.thinks"
HEAD, GROUPS, JOIN = "model.tiny.head", "model.tiny.roles.groups", "model.tiny.roles.join"
CHOOSER, ENTROPY, POLICY = "model.tiny.roles.reasoner_head", "method.objective.entropy", "method.objective.policy"
LENGTH, SAMPLES, VARIABLE = "method.length", "method.samples", "method.variable"
LINEAR = {CHOOSER: "linear"}
"""The reasoner's head of the published results; that of the published code at its end is an mlp."""
EMPTY = {LENGTH: 0, VARIABLE: False, SAMPLES: 1, POLICY: 0.0}
"""Thoughts without a token: the interpreter reads the closing mark alone."""
GROWING = {"method.starts_at": 10, "method.half_life": 135.378}
"""Thoughts of more than ten tokens come to their length bit by bit."""
FORGETFUL = {"method.forgets": True, "method.counts_pads": True, "method.words_only": False}
"""Thoughts that end themselves, as the published code drew them: every token from the state at the beginning, any token; and
pads behind them counted as certain choices."""
UNREAD = {"method.drops_last": True, "method.words_only": False}
"""Thoughts of one network, as the published code read them: without their last token, any token."""

SMOKE = Scale(
    {
        "task": {"name": "written", "of": {"name": "modular", "train_rows": 64, "valid_rows": 8}},
        "train.steps": 4,
        "train.batch": 2,
        "train.warmup": 0,
        "eval.every": None,
    },
    seeds=(0,),
    defaults={LENGTH: 2, SAMPLES: 2},
    replaces=("train.steps", "train.warmup"),
)
TEN = tuple(range(1, 11))
GPU = Scale(seeds=TEN)
TEXT = {
    "task": {
        "name": "text",
        "hub": None,
        "config": None,
        "most": None,
        "path": ["data/shakespeare/train.txt", "data/shakespeare/eval.txt"],
    },
    "task.cut": "blocks",
    "task.rare": 0,
    "task.shares": [0.8, 0.1, 0.1],
}
"""Shakespeare for recipes of web text."""
SHAKESPEARE = {**TEXT, "train.steps": 2750, "train.warmup": 275}
"""The same, with as many steps as fifty passes take."""


def finding(
    number: int | str,
    expected: str,
    rule: Rule,
    arms: Mapping[str, Arm],
    cpu: Scale | None = None,
    gpu: Scale = GPU,
    metric: str = "nll",
    listed: tuple[str, ...] = ("null_nll", "swapped_nll", "thought_tokens"),
    traced: Mapping[str, tuple[str, int]] | None = None,
) -> Claim:
    smoke = replace(SMOKE, arms=cpu.arms, rule=cpu.rule) if cpu else SMOKE
    scales = {"smoke": smoke, "gpu": gpu} | ({"cpu": cpu} if cpu else {})
    return Claim(
        name=f"quiet/{number}",
        source=SOURCE.format(number),
        expected=expected,
        rule=rule,
        arms=arms,
        scales=scales,
        metric=metric,
        listed=listed,
        traced=traced or {},
    )


def swept(recipe: str, path: str, values: tuple[Any, ...], more: Values | None = None) -> dict[str, Arm]:
    """An arm for each value of a setting."""
    return {f"{path.rpartition('.')[2]} {value}": Arm(recipe, {**(more or {}), path: value}) for value in values}


def legacy(arms: Mapping[str, Arm], more: Values = FORGETFUL) -> dict[str, Arm]:
    """The same arms with what the published code did by mistake."""
    return {f"legacy, {name}": replace(arm, overrides={**arm.overrides, **more}) for name, arm in arms.items()}


def in_both(gaps: tuple[Gap, ...], mistaken: Mapping[str, Arm]) -> tuple[Gap, ...]:
    """Gaps between arms, and between the same arms with the mistakes where there are such."""

    def other(name: str) -> str:
        return f"legacy, {name}" if f"legacy, {name}" in mistaken else name

    moved = [replace(gap, worse=other(gap.worse), better=other(gap.better)) for gap in gaps]
    return (*gaps, *(gap for gap in moved if gap not in gaps))
