"""Findings 31, 32, 33 and 37: both states beside each other before the head."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import BASE, CAT, EMPTY, ENTROPY, GROWING, LENGTH, WIDTH, finding, in_both, legacy
from tacit.study.gaps import Gap, Gaps, Level, Some

FIVE = (1, 2, 3, 4, 5)
END = 2700
LISTED = ("nll", "null_nll", "swapped_nll", "used", "thought_tokens")
WIDTHS = (32, 128, 256, 512)


def rates(width: int) -> dict[str, object]:
    """All but the base model and its head learn the slower the wider they are."""
    return {"train.lr_of": [[f"*.networks.{letter}.*", 4.0 * 32 / width] for letter in "BCD"]}


def long(base: int, width: int, length: int) -> Arm:
    """5,000 steps of thoughts up to a length, or without a token."""
    thoughts = {LENGTH: length, **(GROWING if length > 10 else {})} if length else EMPTY
    return Arm(CAT, {BASE: base, WIDTH: width, **thoughts, "train.steps": 5000, "train.warmup": 500})


RATES = {f"one rate {width}": Arm(CAT, {WIDTH: width}) for width in WIDTHS}
RATES |= {f"scaled {width}": Arm(CAT, {WIDTH: width, **rates(width)}) for width in (*WIDTHS, 1024)}
FORGOTTEN = legacy(RATES)
LONG = [(base, 256, length) for base in (32, 64, 128, 256) for length in (0, 10)]
LONG += [(base, 512, length) for base in (32, 64) for length in (0, 10)]
LONG += [(base, 256, length) for base in (32, 64) for length in (50, 100)]
F31 = finding(
    31,
    "with learning rates scaled by width a reasoner of 512 is .02 better than with one rate and .01 better than one of 256, "
    "where with one rate it is not better; and .03 better than thoughts without a token. So it was with reasoners that forget, "
    "and so it is without",
    Gaps(
        in_both(
            (
                Gap("one rate 512", "scaled 512", least=0.02),
                Gap("scaled 256", "scaled 512", least=0.01),
                Gap("one rate 256", "one rate 512", most=0.0),
                Gap("empty 512", "scaled 512", least=0.03),
            ),
            FORGOTTEN,
        )
    ),
    RATES
    | FORGOTTEN
    | {f"empty {width}": Arm(CAT, {WIDTH: width, **EMPTY}) for width in WIDTHS}
    | {f"empty, scaled {width}": Arm(CAT, {WIDTH: width, **EMPTY, **rates(width)}) for width in WIDTHS}
    | {f"long {base}, {width}, {length}": long(base, width, length) for base, width, length in LONG},
    gpu=Scale(seeds=FIVE),
    listed=LISTED[1:],
)
SAME = {WIDTH: None}
BONUS = (0.0, 0.0001, 0.0005, 0.001)
F32 = finding(
    32,
    "at equal widths a bonus on entropy of .0005 is worth something (no outcome was published)",
    Gaps((Gap("bonus 0", "bonus 0.0005", least=0.0),)),
    {f"bonus {bonus:g}": Arm(CAT, {BASE: 32, **SAME, ENTROPY: bonus}) for bonus in BONUS}
    | {"empty": Arm(CAT, {BASE: 32, **SAME, **EMPTY})},
    listed=LISTED[1:],
)
DROPOUT = "model.tiny.roles.base_dropout"
ENTROPY_AT_END = "entropy at the end"
DROPPED = {
    f"{base}, {share:g}": Arm(CAT, {BASE: base, **SAME, DROPOUT: share})
    for base in (32, 256)
    for share in (0.0, 0.2, 0.5, 0.875)
}
F33 = finding(
    33,
    "dropout on the base model does not make it a weak one, for which thoughts are used: their entropy goes to 0 (below .05) in "
    "every run, and those of another place cost less than .01 nats",
    Gaps(
        (Gap("32, 0.5", "32, 0", most=0.01),),
        tuple(
            level
            for name in DROPPED
            if not name.endswith(", 0")
            for level in (Level(f"{name}: {ENTROPY_AT_END}", most=0.05), Level(name, most=0.01))
        ),
    ),
    DROPPED
    | {
        f"{base}, {share:g}, empty": Arm(CAT, {BASE: base, **SAME, DROPOUT: share, **EMPTY})
        for base in (32, 256)
        for share in (0.0, 0.2, 0.5, 0.875)
    },
    metric="used",
    listed=("nll", "null_nll", "thought_tokens"),
    traced={ENTROPY_AT_END: ("entropy", END)},
)
THOUGHTS = {f"thoughts {base}": Arm(CAT, {BASE: base, WIDTH: 256}) for base in (32, 64, 128)}
F37 = finding(
    37,
    "thoughts are used (those of another place cost .01 nats or more) in some runs with base models of 32, 64 and 128 and not in "
    "others",
    Gaps(
        (),
        (Some(tuple(THOUGHTS), least=0.01), Some(tuple(THOUGHTS), most=0.01)),
    ),
    THOUGHTS | {f"empty {base}": Arm(CAT, {BASE: base, WIDTH: 256, **EMPTY}) for base in (32, 64, 128)},
    metric="used",
    listed=("nll", "null_nll", "thought_tokens"),
)
