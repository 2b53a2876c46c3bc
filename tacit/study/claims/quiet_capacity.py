"""Findings 1 to 3: thoughts beside base models of 2 to 64."""

from tacit.study.claim import Arm, Scale
from tacit.study.claims.quiet_common import BASE, HEAD, JOIN, LENGTH, LINEAR, RI, SAMPLES, THINKS, WIDTH, finding
from tacit.study.gaps import Gap, Gaps, Shrink

BASES = (2, 4, 8, 16, 32, 64)
MLP = {HEAD: "mlp", **LINEAR}
THREE = (7, 8, 9)
"""The published seeds."""


def thinking(width: int) -> dict[str, Arm]:
    return {f"with {base}": Arm(RI, {**MLP, BASE: base, WIDTH: width}) for base in BASES}


WITHOUT = {f"without {base}": Arm(RI, {**MLP, BASE: base, THINKS: False}) for base in BASES}
GAPS = {base: Gap(f"without {base}", f"with {base}") for base in BASES}

F1 = finding(
    1,
    "thoughts help a base model of 2 by .2 nats or more and one of 8 by .05, one of 32 by .1 at most, and less the larger it is",
    Gaps(
        (
            Gap("without 2", "with 2", least=0.2),
            Gap("without 4", "with 4", least=0.1),
            Gap("without 8", "with 8", least=0.05),
            Gap("without 16", "with 16", least=0.03),
            Gap("without 32", "with 32", most=0.1),
            Gap("without 64", "with 64", most=0.05),
            Shrink(GAPS[2], GAPS[8]),
            Shrink(GAPS[8], GAPS[32]),
            Shrink(GAPS[4], GAPS[64]),
            Gap("without 2", "alone", least=0.2),
        )
    ),
    thinking(100) | WITHOUT | {"alone": Arm(RI, {**MLP, BASE: 2, WIDTH: 100, JOIN: "alone"})},
    gpu=Scale(seeds=THREE),
    cpu=Scale(
        {
            "train.steps": 400,
            "train.batch": 8,
            "train.lr": 5e-3,
            "train.schedule": "linear",
            "train.warmup": 40,
            "train.clip": 1.0,
            "eval.limit": 200,
        },
        seeds=THREE,
        defaults={LENGTH: 3, SAMPLES: 4},
        arms=tuple(f"{way} {base}" for base in (2, 8, 32) for way in ("with", "without")),
        rule=Gaps(
            (
                Gap("without 2", "with 2", least=0.2),
                Gap("without 8", "with 8", least=0.05),
                Gap("without 32", "with 32", most=0.1),
                Shrink(GAPS[2], GAPS[8]),
                Shrink(GAPS[8], GAPS[32]),
            )
        ),
        smaller="400 steps of 8 texts, at a rate of .005 that rises and falls, instead of 2,750 of 128 at .001; four thoughts of "
        "three tokens at each place instead of ten of ten; base models of 2, 8 and 32 alone; measured on 200 of 871 held-out "
        "texts",
    ),
    listed=("null_nll", "swapped_nll", "starts"),
)
F2 = finding(
    2,
    "a larger base model uses thoughts later: with one of 64 they are worth .01 nats at least 300 steps later than with one of "
    "8, with 32 at least 100 later than with 4, with 16 at least 50 later than with 2 (a run that never uses them counts as its "
    "last step)",
    Gaps(
        (
            Gap("with 64: starts", "with 8: starts", least=300),
            Gap("with 32: starts", "with 4: starts", least=100),
            Gap("with 16: starts", "with 2: starts", least=50),
        )
    ),
    thinking(100) | {"alone": Arm(RI, {**MLP, BASE: 2, WIDTH: 100, JOIN: "alone"})},
    gpu=Scale({"train.steps": 1500, "eval.every": 25}, seeds=THREE),
    listed=("null_nll", "swapped_nll", "starts"),
)
F3 = finding(
    3,
    "a reasoner of 1,000 is no worse than the base model alone",
    Gaps(tuple(Gap(f"without {base}", f"with {base}", least=0.0) for base in BASES)),
    thinking(1000) | WITHOUT,
    gpu=Scale({"train.micro_batch": 32}, seeds=THREE),
)
