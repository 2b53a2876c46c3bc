"""The findings of the quiet-thought laboratory, one claim for each recurrent row of its table.

Every claim has a `smoke` scale on generated text and a `gpu` scale with the published settings; those that are small enough
have a `cpu` scale. Texts are the user's: `tacit repro quiet/1 task.path=FILE`.
"""

from collections.abc import Mapping
from typing import Any

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.gaps import Gap, Gaps, Level, Near
from tacit.study.rules import Rule

Values = Mapping[str, Any]
SOURCE = "notes of the Quiet-STaR replication on recurrent models, finding {}"
FRAGMENTS = "fragments/quiet/"
RI, GL, QG = (f"{FRAGMENTS}{name}RunConfig" for name in ("ReasonerInterpreterGRU", "GLM", "QuietSTaRDiscrete"))
CAT, VLS, SSS, BIS = (
    f"{FRAGMENTS}GRU{name}Experiment"
    for name in ("Concat", "VarLenScale", "ShakeSeparateScale", "BaseInterpreterScale")
)
BASE, WIDTH, THINKS = "model.tiny.hidden", "model.tiny.roles.reasoner", "model.tiny.roles.thinks"
HEAD, GROUPS, JOIN = "model.tiny.head", "model.tiny.roles.groups", "model.tiny.roles.join"
CHOOSER, ENTROPY, POLICY = "model.tiny.roles.reasoner_head", "method.objective.entropy", "method.objective.policy"
LENGTH, SAMPLES = "method.length", "method.samples"
LINEAR = {CHOOSER: "linear"}
"""The reasoner's head of the published results."""
SMOKE = Scale(
    {
        "task": {"name": "written", "of": {"name": "modular", "train_rows": 64, "valid_rows": 8}},
        "train.steps": 4,
        "train.batch": 2,
        "train.warmup": 0,
        "eval.every": None,
        LENGTH: 2,
        SAMPLES: 2,
    },
    seeds=(0,),
)
GPU = Scale(seeds=tuple(range(1, 11)))
SHAKESPEARE = Scale(
    {
        "task": {
            "name": "text",
            "hub": None,
            "config": None,
            "most": None,
            "path": ["data/shakespeare/train.txt", "data/shakespeare/eval.txt"],
        }
    }
    | {"task.cut": "blocks", "task.rare": 0, "task.shares": [0.8, 0.1, 0.1], "train.steps": 2750},
    seeds=tuple(range(1, 11)),
)
"""Experiments on web text, on the smaller text instead."""
SMALL = {
    "train.batch": 16,
    "eval.every": 100,
    LENGTH: 3,
    SAMPLES: 4,
    "train.clip": 1.0,
    "train.lr": 5e-3,
    HEAD: "linear",
}
"""What makes an arm small enough for one core."""


def finding(
    number: int | str,
    expected: str,
    rule: Rule,
    arms: Mapping[str, Arm],
    cpu: Scale | None = None,
    gpu: Scale = GPU,
    metric: str = "nll",
    traced: Mapping[str, tuple[str, int]] | None = None,
) -> Claim:
    scales = {"smoke": SMOKE, "gpu": gpu} | ({"cpu": cpu} if cpu else {})
    return Claim(
        name=f"quiet/{number}",
        source=SOURCE.format(number),
        expected=expected,
        rule=rule,
        arms=arms,
        scales=scales,
        metric=metric,
        listed=("null_nll", "swapped_nll", "thought_tokens"),
        traced=traced or {},
    )


def swept(recipe: str, path: str, values: tuple[Any, ...], more: Values | None = None) -> dict[str, Arm]:
    """An arm for each value of a setting."""
    return {f"{path.rpartition('.')[2]} {value}": Arm(recipe, {**(more or {}), path: value}) for value in values}


def compared(base: int, more: Values | None = None) -> dict[str, Arm]:
    """A base model with thoughts and without."""
    given = {**(more or {}), BASE: base, HEAD: "mlp", **LINEAR}
    return {f"with {base}": Arm(RI, {**given, WIDTH: 100}), f"without {base}": Arm(RI, {**given, THINKS: False})}


BASES = (2, 4, 8, 16, 32, 64)
F1 = finding(
    1,
    "thoughts help a base model of 2 by .2 nats or more and one of 8 by .05, and less the larger it is",
    Gaps(
        (
            Gap("without 2", "with 2", least=0.2),
            Gap("without 8", "with 8", least=0.05),
            Gap("without 32", "with 32", most=0.1),
        )
    ),
    {name: arm for base in (2, 8, 32) for name, arm in compared(base).items()},
    cpu=Scale(SMALL | {"train.steps": 600, "train.warmup": 60, "train.schedule": "linear"}),
)
F2 = finding(
    2,
    "a larger base model uses thoughts later: after 300 steps those of 2 gain more by them than those of 64",
    Gaps((Gap("without 2", "with 2", least=0.05), Gap("without 64", "with 64", most=0.05))),
    {name: arm for base in (2, 64) for name, arm in compared(base, {"train.steps": 300}).items()},
)
F3 = finding(
    3,
    "a reasoner of 1,000 is no worse than the base model alone",
    Gaps(tuple(Gap(f"without {base}", f"with {base}", least=0.0) for base in BASES)),
    {name: arm for base in BASES for name, arm in compared(base).items()},
    gpu=Scale({WIDTH: 1000, "train.micro_batch": 32}, seeds=(7, 8, 9)),
)
F4 = finding(
    4,
    "one network that plays all roles is worse with thoughts than without, at 8, 32 and 64",
    Gaps(tuple(Gap(f"thinks {width}", f"reads {width}", least=0.05) for width in (8, 32, 64))),
    {f"thinks {width}": Arm(QG, {BASE: width}) for width in (8, 32, 64)}
    | {f"reads {width}": Arm(GL, {BASE: width}) for width in (8, 32, 64)},
)
F5 = finding(
    5,
    "a policy loss of ten times the weight and more gains nothing in one network",
    Gaps(tuple(Gap(f"policy {value}", "policy 1", least=0.0) for value in (100, 10_000))),
    swept(QG, POLICY, (1, 100, 10_000)),
)
F6 = finding(
    6,
    "with a simple head thoughts still help a base model of 32",
    Gaps((Gap("without", "with", least=0.02),)),
    {"with": Arm(RI, {BASE: 32, WIDTH: 100, JOIN: "add", **LINEAR}), "without": Arm(GL, {BASE: 32})},
)
SHARED = {JOIN: "add", CHOOSER: "shared", BASE: 32, WIDTH: None}
F7 = finding(
    7,
    "one network for all roles with one head neither gains nor loses by thoughts: within .01",
    Gaps((Gap("without", "with", most=0.01), Gap("with", "without", most=0.01))),
    {"with": Arm(RI, {**SHARED, GROUPS: "AAAA"}), "without": Arm(RI, {**SHARED, THINKS: False})},
)
F8 = finding(
    8,
    "of the sharings, four networks are best and one is level with the plain model",
    Gaps((Gap("groups AAAA", "groups ABCD", least=0.02), Gap("plain", "groups AAAA", most=0.02))),
    swept(RI, GROUPS, ("AAAA", "AAAB", "AABA", "ABAA", "BAAA", "AABB", "ABAB", "ABBA"), SHARED)
    | swept(RI, GROUPS, ("AABC", "ABAC", "ABCA", "BAAC", "BACA", "BCAA", "ABCD"), SHARED)
    | {"plain": Arm(GL, {BASE: 32})},
)
F9 = finding(
    9,
    "learning to think matters with four networks (.05 below the plain model, .03 below untrained thoughts) and not with one",
    Gaps(
        (
            Gap("plain", "ABCD 1", least=0.03),
            Gap("ABCD 0", "ABCD 1", least=0.02),
            Gap("AAAA 0", "AAAA 1", most=0.01),
            Gap("plain", "ABCD 0", least=0.0),
        )
    ),
    {
        f"{four} {policy}": Arm(RI, {**SHARED, GROUPS: four, POLICY: policy})
        for four in ("AAAA", "ABCD")
        for policy in (-1, 0, 1)
    }
    | {"plain": Arm(GL, {BASE: 32})},
)
F10 = finding(
    10,
    "an mlp head is worth .2 nats to a plain model of 32",
    Gaps((Gap("linear", "mlp", least=0.2),)),
    {"linear": Arm(GL, {BASE: 32}), "mlp": Arm(GL, {BASE: 32, HEAD: "mlp"})},
)
F18 = finding(
    18,
    "on web text seen once, sharing makes no difference at equal widths: within .01",
    Gaps((Gap("groups AAAA", "groups ABCD", most=0.01), Gap("groups ABCD", "groups AAAA", most=0.01))),
    swept(
        RI, GROUPS, ("AAAA", "ABCD"), {**LINEAR, BASE: 128, WIDTH: None, JOIN: "add", SAMPLES: 2, "train.steps": 2700}
    ),
)
F19 = finding(
    19,
    "the same with 100 batches again and again: within .02",
    Gaps((Gap("groups AAAA", "groups ABCD", most=0.02),)),
    swept(
        RI,
        GROUPS,
        ("AAAA", "ABCD"),
        {**LINEAR, BASE: 128, WIDTH: None, JOIN: "add", SAMPLES: 2, "train.steps": 2700, "train.limit": 12_800},
    ),
)
F20 = finding(
    20,
    "a larger reasoner is better on Shakespeare",
    Gaps((Gap("reasoner 100", "reasoner 256", least=0.0), Gap("reasoner 32", "reasoner 100", least=0.0))),
    swept(SSS, WIDTH, (32, 100, 256)),
)
F21 = finding(
    21,
    "thoughts that may end themselves and are punished for going on are no worse than those of one length",
    Gaps((Gap("punish_unfinished 1.0", "punish_unfinished 0.001", most=0.03),)),
    swept(SSS, "method.objective.punish_unfinished", (0.001, 0.01, 0.1, 1.0), {"method.variable": True}),
)
F22 = finding(
    22,
    "a reasoner of 4,096 with thoughts of one length is no better than one of 256",
    Gaps((Gap("reasoner 4096", "reasoner 256", least=0.0),)),
    swept(SSS, WIDTH, (256, 1024, 4096)),
    gpu=Scale(seeds=(1, 2, 3)),
)
SIZES = (32, 128, 256, 512, 1024)
F23 = finding(
    23,
    "by width of the reasoner the loss falls to 320 and rises to 1,024",
    Gaps((Gap("reasoner 32", "reasoner 256", least=0.01), Gap("reasoner 1024", "reasoner 256", least=0.01))),
    swept(VLS, WIDTH, SIZES, {**LINEAR, JOIN: "add"}),
    gpu=SHAKESPEARE,
)
EMPTY = {LENGTH: 0, "method.variable": False, SAMPLES: 1, POLICY: 0.0}
F24 = finding(
    24,
    "a reasoner of 1,024 costs something even where nothing is thought",
    Gaps((Gap("reasoner 1024", "reasoner 1", least=0.0),)),
    swept(VLS, WIDTH, (1, 1024), {**EMPTY, **LINEAR, JOIN: "add"}),
    gpu=SHAKESPEARE,
)
F25 = finding(
    25,
    "a gate without bounds is better than a warm one where nothing is thought",
    Gaps((Gap("join warm_gate", "join gate", least=0.0),)),
    swept(VLS, JOIN, ("gate", "warm_gate"), EMPTY),
    gpu=SHAKESPEARE,
)
F26 = finding(
    26,
    "a gate that is held at .6 at first does not save a reasoner of 1,024",
    Gaps((Gap("gate_start 0.6", "gate_start 0.0", least=-0.02),)),
    swept(VLS, "model.tiny.roles.gate_start", (0.0, 0.6), {WIDTH: 1024}),
)
F27 = finding(
    27,
    "bounds on how good a thought may count cure nothing: within .02",
    Gaps((Gap("free", "bounded", most=0.02),)),
    {"free": Arm(VLS, {JOIN: "gate"}), "bounded": Arm(VLS, {JOIN: "gate", "method.objective.clamp": 0.1})},
)
F28 = finding(
    28,
    "a bonus on entropy makes thoughts useful: .02 below none of it, .03 below no thoughts",
    Gaps((Gap("entropy 0.0", "entropy 0.0064", least=0.02), Gap("no thoughts", "entropy 0.0064", least=0.03))),
    swept(VLS, ENTROPY, (0.0, 0.0064), {JOIN: "gate"}) | {"no thoughts": Arm(VLS, {**EMPTY, JOIN: "gate"})},
)
F29 = finding(
    29,
    "a penalty on length does not help: within .02",
    Gaps((Gap("length_penalty 0.001", "length_penalty 1e-06", least=-0.02),)),
    swept(VLS, "method.objective.length_penalty", (1e-6, 1e-4, 1e-3), {JOIN: "gate", ENTROPY: 0.0064, LENGTH: 50}),
)
F30 = finding(
    30,
    "a larger base model ignores thoughts: those of 32 gain, those of 256 do not",
    Gaps((Gap("empty 32", "thoughts 32", least=0.01), Gap("empty 256", "thoughts 256", most=0.01))),
    {f"thoughts {base}": Arm(BIS, {BASE: base, JOIN: "gate"}) for base in (32, 256)}
    | {f"empty {base}": Arm(BIS, {BASE: base, JOIN: "gate", **EMPTY}) for base in (32, 256)},
)
FASTER = [[f"*.networks.{letter}.*", 4.0 * 32 / 512] for letter in "BCD"]
F31 = finding(
    31,
    "a reasoner of 512 is .02 better where its learning rate is scaled by its width",
    Gaps((Gap("one rate", "scaled", least=0.01),)),
    {"one rate": Arm(CAT, {WIDTH: 512}), "scaled": Arm(CAT, {WIDTH: 512, "train.lr_of": FASTER})},
)
F32 = finding(
    32,
    "at equal widths a bonus on entropy is worth something",
    Gaps((Gap("entropy 0.0", "entropy 0.0005", least=0.0),)),
    swept(CAT, ENTROPY, (0.0, 0.0001, 0.0005, 0.001), {BASE: 32, WIDTH: None}),
)
F33 = finding(
    33,
    "dropout on the base model does not make thoughts used: no better than none",
    Gaps((Gap("base_dropout 0.5", "base_dropout 0.0", least=0.0),)),
    swept(CAT, "model.tiny.roles.base_dropout", (0.0, 0.2, 0.5, 0.875), {BASE: 32, WIDTH: None}),
)
PRETRAINED = {f"empty {base}": Arm(CAT, {**EMPTY, BASE: base, WIDTH: 256}) for base in (2, 32)}
for _base in (2, 32):
    PRETRAINED[f"joint {_base}"] = Arm(CAT, {BASE: _base, WIDTH: 256})
    PRETRAINED[f"pretrained {_base}"] = Arm(
        CAT, {BASE: _base, WIDTH: 256}, parts={"model.parts.base": f"empty {_base}"}
    )
F34 = finding(
    34,
    "thoughts are ignored where the base model of 32 was trained before: swapping them costs .01 less than where both were "
    "trained together, and less than with a base model of 2",
    Gaps((Gap("joint 32", "pretrained 32", least=0.01), Gap("pretrained 2", "pretrained 32", least=0.01))),
    PRETRAINED,
    cpu=Scale(
        SMALL
        | {WIDTH: 32, "method.variable": False, "train.steps": 400, "train.warmup": 40, CHOOSER: "linear"}
        | dict(SHAKESPEARE.overrides)
    ),
    metric="used",
)
F35 = finding(
    35,
    "without a base model thoughts are ignored too: with and without them within .05",
    Gaps((Gap("empty", "alone", most=0.05),)),
    {
        "alone": Arm(CAT, {BASE: 1, WIDTH: 256, JOIN: "alone"}),
        "empty": Arm(CAT, {**EMPTY, BASE: 1, WIDTH: 256, JOIN: "alone"}),
    },
)
F37 = finding(
    37,
    "thoughts are used by some seeds and not by others: no base model gains .05 on average",
    Gaps(tuple(Gap(f"empty {base}", f"thoughts {base}", most=0.05) for base in (64, 128))),
    {f"thoughts {base}": Arm(CAT, {BASE: base, WIDTH: 256}) for base in (64, 128)}
    | {f"empty {base}": Arm(CAT, {BASE: base, WIDTH: 256, **EMPTY}) for base in (64, 128)},
)
LEGACY = finding(
    "short",
    "thoughts through an mlp head collapse within 50 steps (entropy below .05) and are worth no more than .09 to a model of 32; "
    "two through a linear head are slow to be used (entropy above 3.9 at step 125); ten of them are chosen with less entropy by "
    "then, in use at step 200 and worth .02 more",
    Gaps(
        (
            Gap("plain", "mlp, two", most=0.09),
            Gap("mlp, two", "linear, ten", least=0.02),
            Gap("linear, two", "linear, ten", least=0.02),
        ),
        (
            Level("mlp, two: entropy at 50", most=0.05),
            Level("linear, two: entropy at 125", least=3.9),
            Level("linear, ten: entropy at 125", most=3.9),
        ),
    ),
    {
        "mlp, two": Arm("quiet/short-mlp"),
        "linear, two": Arm("quiet/short-two"),
        "linear, ten": Arm("quiet/short-ten"),
        "plain": Arm("quiet/short-two", {THINKS: False}),
    },
    cpu=Scale({"method.words_only": False}),
    gpu=Scale(seeds=(0, 1, 2, 3, 4)),
    traced={"entropy at 50": ("entropy", 50), "entropy at 125": ("entropy", 125)},
)
G32 = finding(
    "g32",
    "a plain recurrent model of 32 comes to 1.8733 nats a character in 2,750 steps",
    Near({"plain": 1.8733}, 0.005),
    {"plain": Arm("quiet/g32")},
    cpu=Scale({"eval.every": 500}, seeds=(0, 1, 2, 3, 4)),
    gpu=Scale(seeds=(0, 1, 2, 3, 4)),
)
