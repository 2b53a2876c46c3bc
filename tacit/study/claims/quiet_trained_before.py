"""Findings 34 to 36: roles that were trained before, and thoughts without a base model."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import (
    BASE,
    CAT,
    CHOOSER,
    EMPTY,
    HEAD,
    JOIN,
    LENGTH,
    POLICY,
    PRE,
    SAMPLES,
    TEXT,
    WIDTH,
    Values,
    finding,
)
from tacit.study.gaps import Gap, Gaps, Level

BASES = (2, 4, 8, 16, 32, 64, 128, 256)
FIVE = (0, 1, 2, 3, 4)
UNUSED, USED = 0.01, 0.01
"""Nats by which the thought of another place is worse: less than this is ignoring, more is use."""


def pretrained(base: int) -> dict[str, Arm]:
    """A base model that learned with empty thoughts, the same with thoughts from the start, and with thoughts afterwards."""
    return {
        f"empty {base}": Arm(CAT, {BASE: base, **EMPTY}),
        f"joint {base}": Arm(CAT, {BASE: base}),
        f"pretrained {base}": Arm(CAT, {BASE: base}, parts={"model.parts.base": f"empty {base}"}),
    }


def ignored(base: int) -> Gaps:
    """Used where both learn together, and by a base model of 2; not where this one was trained before."""
    return Gaps(
        (
            Gap(f"joint {base}", f"pretrained {base}", least=0.01),
            Gap("pretrained 2", f"pretrained {base}", least=0.01),
        ),
        (
            Level(f"joint {base}", least=USED),
            Level(f"pretrained {base}", most=UNUSED),
            Level("joint 2", least=USED),
            Level("pretrained 2", least=USED),
        ),
    )


F34 = finding(
    34,
    "where the base model of 32 was trained before, every run ignores its thoughts (those of another place cost less than .01 "
    "nats), and where both learn together none does; a base model of 2 learns to use them either way",
    Gaps(
        ignored(32).gaps, (*ignored(32).levels, *(Level(f"pretrained {base}", most=UNUSED) for base in (64, 128, 256)))
    ),
    {name: arm for base in (1, *BASES) for name, arm in pretrained(base).items()},
    gpu=Scale({WIDTH: 256}, seeds=FIVE),
    cpu=Scale(
        {
            **TEXT,
            WIDTH: 64,
            CHOOSER: "linear",
            "train.steps": 500,
            "train.batch": 8,
            "train.warmup": 50,
            "eval.limit": 200,
        },
        defaults={LENGTH: 3, SAMPLES: 4},
        arms=tuple(name for base in (2, 8) for name in pretrained(base)),
        rule=ignored(8),
        smaller="Shakespeare instead of web text, 500 steps of 8 texts instead of 2,700 of 128; a reasoner of 64 with a linear "
        "head instead of one of 256 with an mlp, and a base model of 8 in the place of 32, so that it has an eighth of the "
        "reasoner's width here too; four thoughts of up to three tokens at each place instead of ten of up to ten; measured on "
        "200 of 871 held-out texts",
    ),
    metric="used",
    listed=("nll", "null_nll", "thought_tokens", "starts"),
)


def alone(head: str) -> dict[str, Arm]:
    """The interpreter's part of the prediction without the base model's."""
    given: Values = {BASE: 1, WIDTH: 256, JOIN: "alone", HEAD: head}
    return {f"alone, {head}": Arm(CAT, given), f"empty, {head}": Arm(CAT, {**given, **EMPTY})}


F35 = finding(
    35,
    "without a base model thoughts are ignored too, with an mlp head and with a linear one: those of another place cost less "
    "than .01 nats in every run",
    Gaps(
        (),
        (Level("alone, mlp", most=UNUSED), Level("alone, linear", most=UNUSED)),
    ),
    alone("mlp") | alone("linear"),
    gpu=Scale(seeds=FIVE),
    metric="used",
    listed=("nll", "null_nll", "thought_tokens", "starts"),
)
DONOR = "plain"
READER, WRITER = {"model.parts.base_reasoner": DONOR}, {"model.parts.reasoner": DONOR}
WIDE: Values = {WIDTH: 256}
F36 = finding(
    36,
    "thoughts of a reasoner, or of a base reasoner, that was trained before as a language model are expected to be ignored as "
    "well: those of another place cost less than .01 nats (the notes leave it open)",
    Gaps(
        (Gap("both 32", "both 32, untaught", most=0.01),),
        tuple(Level(name, most=UNUSED) for name in ("reasoner 32", "base reasoner 32", "both 32", "both 8")),
    ),
    {
        # Its head is that of the reasoner which begins with it.
        DONOR: Arm(PRE, {BASE: 256, HEAD: "mlp"}, judged=False),
        "drawn 32": Arm(CAT, {BASE: 32, **WIDE}),
        "reasoner 32": Arm(CAT, {BASE: 32, **WIDE}, parts=WRITER),
        "base reasoner 32": Arm(CAT, {BASE: 32, **WIDE}, parts=READER),
        "both 32": Arm(CAT, {BASE: 32, **WIDE}, parts=WRITER | READER),
        "both 32, untaught": Arm(CAT, {BASE: 32, **WIDE, POLICY: 0.0}, parts=WRITER | READER),
        "drawn 8": Arm(CAT, {BASE: 8, **WIDE}),
        "both 8": Arm(CAT, {BASE: 8, **WIDE}, parts=WRITER | READER),
        "both 8, untaught": Arm(CAT, {BASE: 8, **WIDE, POLICY: 0.0}, parts=WRITER | READER),
    },
    gpu=Scale(seeds=FIVE),
    metric="used",
    listed=("nll", "null_nll", "thought_tokens", "starts"),
)
