"""Findings 25 to 30: gates between base model and interpreter, and what keeps thoughts alive behind them."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import (
    BASE,
    BIS,
    EMPTY,
    ENTROPY,
    GROWING,
    JOIN,
    LENGTH,
    POLICY,
    SHAKESPEARE,
    VLS,
    WIDTH,
    finding,
    in_both,
    legacy,
    swept,
)
from tacit.study.gaps import Gap, Gaps, Level, Shrink, Some

GATES = ("gate", "warm_gate")
END = 2700
"""The last step on web text."""
FOUR = (1, 2, 3, 4)
LISTED = ("null_nll", "swapped_nll", "used", "thought_tokens")
EMPTY_AT_END = "share of empty thoughts"

F25 = finding(
    25,
    "where nothing is thought, a gate without bounds is better than a warm one for reasoners of 1, 256 and 1,024",
    Gaps(tuple(Gap(f"warm_gate {width}", f"gate {width}", least=0.0) for width in (1, 256, 1024))),
    {
        f"{gate} {width}": Arm(VLS, {**EMPTY, JOIN: gate, WIDTH: width})
        for gate in GATES
        for width in (1, 256, 1024, 2048)
    },
    gpu=Scale(SHAKESPEARE, seeds=(1, 2, 3, 4, 5)),
)
F26 = finding(
    26,
    "a gate that is held at .6 at first does not save a reasoner of 1,024: it gains no more than .02",
    Gaps((Gap("gate_start 0.0", "gate_start 0.6", most=0.02),)),
    swept(VLS, "model.tiny.roles.gate_start", (0.0, 0.6), {WIDTH: 1024}),
    listed=LISTED,
)
F27 = finding(
    27,
    "bounds on how good a thought may count cure nothing: they gain no more than .02, with a reasoner of 256 or 1,024, and in "
    "some runs more than nine of ten thoughts are empty in the end",
    Gaps(
        tuple(Gap(f"free {width}", f"bounded {width}", most=0.02) for width in (256, 1024)),
        (Some(tuple(f"bounded {width}: {EMPTY_AT_END}" for width in (256, 1024)), least=0.9),),
    ),
    {f"free {width}": Arm(VLS, {JOIN: "gate", WIDTH: width}) for width in (256, 1024)}
    | {
        f"bounded {width}": Arm(VLS, {JOIN: "gate", WIDTH: width, "method.objective.clamp": 0.1})
        for width in (256, 1024)
    },
    listed=LISTED,
    traced={EMPTY_AT_END: ("empty", END), "gate at the end": ("gate", END)},
)
BONUS = (0.0, 0.0001, 0.0004, 0.0016, 0.0064, 0.0128)
"""The published 0, 1, 4, 16, 64 and 128, in the scale of the code at its end."""
BONUSES = {
    f"{gate} {width}, {bonus:g}": Arm(VLS, {JOIN: gate, WIDTH: width, ENTROPY: bonus})
    for gate in GATES
    for width in (32, 128, 256, 512, 1024)
    for bonus in BONUS
}
FORGOTTEN = legacy(
    {name: BONUSES[name] for name in (f"{gate} {width}, 0.0064" for gate in GATES for width in (32, 128, 256, 512))}
)
F28 = finding(
    28,
    "a bonus on entropy (.0064) makes thoughts useful: with a gate without bounds and reasoners of 128, 256 and 512 it is .03 "
    "better than thoughts without a token, with a warm gate .02, with a reasoner of 32 no more than .02 in either. So it was "
    "with reasoners that forget, and so it is without",
    Gaps(
        in_both(
            (
                *(Gap(f"gate {width}, empty", f"gate {width}, 0.0064", least=0.03) for width in (128, 256, 512)),
                *(
                    Gap(f"warm_gate {width}, empty", f"warm_gate {width}, 0.0064", least=0.02)
                    for width in (128, 256, 512)
                ),
                *(Gap(f"{gate} 32, empty", f"{gate} 32, 0.0064", most=0.02) for gate in GATES),
            ),
            FORGOTTEN,
        )
    ),
    BONUSES
    | FORGOTTEN
    | {
        f"{gate} {width}, empty": Arm(VLS, {**EMPTY, JOIN: gate, WIDTH: width})
        for gate in GATES
        for width in (1, 32, 128, 256, 512, 1024)
    }
    | {f"{gate} 256, untaught": Arm(VLS, {JOIN: gate, WIDTH: 256, POLICY: 0.0}) for gate in GATES},
    gpu=Scale(seeds=FOUR),
    listed=LISTED,
)
PENALTY = "method.objective.length_penalty"
LONG = {
    f"{gate} {bonus:g}, {penalty:g}": Arm(VLS, {JOIN: gate, ENTROPY: bonus, PENALTY: penalty, LENGTH: 100, **GROWING})
    for gate in GATES
    for bonus in (0.0064, 0.0128)
    for penalty in (1e-6, 1e-5, 1e-4)
}
FIFTY = {
    f"fifty, gate {bonus:g}, {penalty:g}": Arm(
        VLS, {JOIN: "gate", ENTROPY: bonus, PENALTY: penalty, LENGTH: 50, **GROWING}
    )
    for bonus in (0.0001, 0.0016, 0.0064, 0.0128)
    for penalty in (5e-5, 1e-4, 5e-4, 1e-3)
}
F29 = finding(
    29,
    "a penalty on length does not make thinking rare: in every run of thoughts of up to 100 tokens fewer than nine of ten are "
    "empty in the end; and it gains no more than .02",
    Gaps(
        (Gap("gate 0.0064, 1e-06", "gate 0.0064, 0.0001", most=0.02),),
        tuple(Level(f"{name}: {EMPTY_AT_END}", most=0.9) for name in LONG),
    ),
    LONG | FIFTY,
    gpu=Scale(seeds=FOUR),
    listed=LISTED,
    traced={EMPTY_AT_END: ("empty", END)},
)
WIDTHS = (32, 64, 128, 256)
F30 = finding(
    30,
    "a larger base model ignores thoughts: behind a gate without bounds those of 32 gain .01 and those of 256 no more than .01, "
    "less than those of 32; behind a warm gate all of them are ignored (those of another place cost less than .01 nats)",
    Gaps(
        (
            Gap("gate 32, empty", "gate 32", least=0.01),
            Gap("gate 256, empty", "gate 256", most=0.01),
            Shrink(Gap("gate 32, empty", "gate 32"), Gap("gate 256, empty", "gate 256")),
        ),
        tuple(Level(f"warm_gate {width}: used", most=0.01) for width in WIDTHS),
    ),
    {f"{gate} {width}": Arm(BIS, {BASE: width, JOIN: gate}) for gate in GATES for width in WIDTHS}
    | {f"{gate} {width}, empty": Arm(BIS, {BASE: width, JOIN: gate, **EMPTY}) for gate in GATES for width in (32, 256)}
    | {
        f"{gate} {width}, {bonus:g}": Arm(BIS, {BASE: width, JOIN: gate, ENTROPY: bonus})
        for gate in GATES
        for width in (32, 256)
        for bonus in (1e-6, 5e-6, 1e-5, 5e-5)
    },
    gpu=Scale(seeds=(1, 2, 3)),
    listed=LISTED,
)
