"""The findings of the quiet-thought laboratory that are not in files of their own."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import (
    BASE,
    BIS,
    CAT,
    CHOOSER,
    EMPTY,
    ENTROPY,
    GL,
    GROUPS,
    HEAD,
    JOIN,
    LENGTH,
    LINEAR,
    POLICY,
    QG,
    RI,
    SAMPLES,
    SHAKESPEARE,
    SSS,
    TEN,
    THINKS,
    VLS,
    WIDTH,
    finding,
    swept,
)
from tacit.study.gaps import Gap, Gaps

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
    gpu=Scale(SHAKESPEARE, seeds=TEN),
)
EMPTY = {LENGTH: 0, "method.variable": False, SAMPLES: 1, POLICY: 0.0}
F24 = finding(
    24,
    "a reasoner of 1,024 costs something even where nothing is thought",
    Gaps((Gap("reasoner 1024", "reasoner 1", least=0.0),)),
    swept(VLS, WIDTH, (1, 1024), {**EMPTY, **LINEAR, JOIN: "add"}),
    gpu=Scale(SHAKESPEARE, seeds=TEN),
)
F25 = finding(
    25,
    "a gate without bounds is better than a warm one where nothing is thought",
    Gaps((Gap("join warm_gate", "join gate", least=0.0),)),
    swept(VLS, JOIN, ("gate", "warm_gate"), EMPTY),
    gpu=Scale(SHAKESPEARE, seeds=TEN),
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
F37 = finding(
    37,
    "thoughts are used by some seeds and not by others: no base model gains .05 on average",
    Gaps(tuple(Gap(f"empty {base}", f"thoughts {base}", most=0.05) for base in (64, 128))),
    {f"thoughts {base}": Arm(CAT, {BASE: base, WIDTH: 256}) for base in (64, 128)}
    | {f"empty {base}": Arm(CAT, {BASE: base, WIDTH: 256, **EMPTY}) for base in (64, 128)},
)
