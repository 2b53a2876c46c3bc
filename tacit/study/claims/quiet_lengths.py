"""Findings 20 to 24: wide reasoners, and thoughts that end themselves."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import (
    BASE,
    EMPTY,
    FORGETFUL,
    GL,
    HEAD,
    JOIN,
    LINEAR,
    SAMPLES,
    SHAKESPEARE,
    SSS,
    TEN,
    VARIABLE,
    VLS,
    WIDTH,
    finding,
    in_both,
    legacy,
    swept,
)
from tacit.study.gaps import Gap, Gaps, Level, Some

END = 2750
"""The last step on Shakespeare."""
WEB, WEB_PLAIN = "quiet/reasoner-web", "quiet/plain-web"
F20 = finding(
    20,
    "the larger the reasoner beside a base model of 32, the better, on Shakespeare and on web text",
    Gaps(
        (
            Gap("reasoner 32", "reasoner 100", least=0.0),
            Gap("reasoner 100", "reasoner 256", least=0.0),
            Gap("web, 32", "web, 100", least=0.0),
            Gap("web, 100", "web, 256", least=0.0),
        )
    ),
    swept(SSS, WIDTH, (32, 100, 256))
    | {f"web, {width}": Arm(WEB, {WIDTH: width}) for width in (32, 100, 256)}
    | {f"web, plain {width}": Arm(WEB_PLAIN, {BASE: width}) for width in (32, 100, 256)},
)
PUNISH = "method.objective.punish_unfinished"


def punished(width: int, by: tuple[float, ...]) -> dict[str, Arm]:
    return {f"{width}, {value:g}": Arm(SSS, {VARIABLE: True, WIDTH: width, PUNISH: value}) for value in by}


PUNISHED = (
    {name: arm for width in (32, 100, 256) for name, arm in punished(width, (0.0, 1e-3, 1e-2, 1e-1, 1.0)).items()}
    | punished(256, (2e-3, 4e-3, 6e-3, 8e-3))
    | punished(1024, (1.0,))
)
FALLING = {"train.lr": 5e-3, "train.schedule": "linear", "train.warmup": 275}
EMPTY_AT_END = "share of empty thoughts"
F21 = finding(
    21,
    "where thoughts may end themselves and are punished for going on, some runs think at some places and not at others: 40 to 90 "
    "% of their thoughts are empty; without punishment none are as often",
    Gaps(
        (Gap("plain 32", "256, 0.01", least=0.0),),
        (
            Some(
                tuple(f"{name}: {EMPTY_AT_END}" for name in PUNISHED if not name.endswith(", 0")), least=0.4, most=0.9
            ),
            *(Level(f"{width}, 0: {EMPTY_AT_END}", most=0.4) for width in (32, 100, 256)),
        ),
    ),
    PUNISHED
    | {"256, 0.004, falling rate": Arm(SSS, {VARIABLE: True, WIDTH: 256, PUNISH: 4e-3, **FALLING})}
    | {f"one length, {width}": Arm(SSS, {WIDTH: width}) for width in (32, 100, 256)}
    | {f"plain {width}": Arm(GL, {BASE: width, HEAD: "mlp"}) for width in (32, 100, 256)},
    traced={EMPTY_AT_END: ("empty", END)},
)
F22 = finding(
    22,
    "with thoughts of one length a reasoner of 4,096 is no better than one of 256, and worse than thoughts without a token",
    Gaps((Gap("reasoner 4096", "reasoner 256", least=0.0), Gap("reasoner 4096", "empty", least=0.0))),
    swept(SSS, WIDTH, (256, 512, 1024, 2048, 4096)) | {"empty": Arm(SSS, {WIDTH: 256, **EMPTY})},
    gpu=Scale(seeds=(1, 2, 3)),
)
ADDED = {**LINEAR, JOIN: "add"}
"""As it was before there were gates."""
CURVE = swept(VLS, WIDTH, (16, 32, 64, 128, 192, 256, 320, 512, 768, 1024), ADDED)
CURVE |= {"reasoner 512, twenty": Arm(VLS, {**ADDED, WIDTH: 512, SAMPLES: 20})}
FORGOTTEN = legacy(CURVE, FORGETFUL)
F23 = finding(
    23,
    "by width of the reasoner the loss falls by .01 from 32 to 320 and rises by .02 to 1,024; one of 320 is .02 better than "
    "thoughts without a token, one of 1,024 is not better; and twenty thoughts of a place help one of 512 by no more than .005. "
    "So it was with reasoners that forget, and so it is without",
    Gaps(
        in_both(
            (
                Gap("reasoner 32", "reasoner 320", least=0.01),
                Gap("reasoner 1024", "reasoner 320", least=0.02),
                Gap("empty", "reasoner 320", least=0.02),
                Gap("empty", "reasoner 1024", most=0.0),
                Gap("reasoner 512", "reasoner 512, twenty", most=0.005),
            ),
            FORGOTTEN,
        )
    ),
    CURVE | FORGOTTEN | {"empty": Arm(VLS, {**ADDED, **EMPTY, WIDTH: 1})},
    gpu=Scale(SHAKESPEARE, seeds=TEN),
)
F24 = finding(
    24,
    "a reasoner of 1,024 costs something even where nothing is thought",
    Gaps((Gap("reasoner 1024", "reasoner 1", least=0.0),)),
    swept(VLS, WIDTH, (1, 1024), {**EMPTY, **ADDED}),
    gpu=Scale(SHAKESPEARE, seeds=TEN),
)
