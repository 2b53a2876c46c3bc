"""Chains of table look-ups can be thought silently where the same model, writing its steps, is the teacher; and what comparing
states with the teacher's adds where a written step takes several tokens."""

from collections.abc import Iterable
from typing import Any

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Levels

BY_LENGTH = tuple(f"accuracy/{length}" for length in range(1, 6))
LATENTS = tuple(f"latents/{length}" for length in range(1, 6))


def forced(counts: Iterable[int], tokens: int = 1) -> dict[str, dict[str, Any]]:
    """How a model that thinks is asked besides: with so many silent steps, and with those of another question. It must answer
    at once: `tokens` are those of an answer, so that none is left for steps that it would rather write."""
    ways = {f"K={count}": {"latents": count} for count in counts} | {"swapped": {"swap": True}}
    return {name: {**way, "max_tokens": tokens} for name, way in ways.items()}


FORCED, TWELVE = forced(range(7)), forced((0, 3, 6, 9))
ANNOUNCED = forced(range(7), tokens=2)
"""Of a model that stops itself: it also writes the colon before its answer."""
SCALES = {
    "smoke": Scale(
        {
            "train.steps": 2,
            "train.warmup": 1,
            "train.batch": 8,
            "eval.every": None,
            "eval.limit": 16,
            "task.train_rows": 100,
            "task.valid_rows": 20,
        },
        seeds=(0,),
        replaces=("train.steps",),
    ),
    "cpu": Scale({"eval.split": "test", "eval.every": None}),
}
ONCE = (0,)
"""The seeds of arms that no verdict depends on."""

CLAIM = Claim(
    name="adaptive-latent",
    source="Shen et al., arXiv 2502.21074, and arXiv 2511.21581 (GSM8K: six silent steps near the written chain of thought, far "
    "above none); here chains of up to five operations modulo 11, small enough for a laptop",
    expected="with six silent steps, taught by its own written ones, or with as many as it chooses itself, at least .99 on the "
    "longest chains, as with written steps; at chance (at most .15) without these steps or with another question's; at most "
    ".30 when it never learned any, with pauses in their place, and without a teacher",
    rule=Levels(
        "silent",
        "no_cot",
        floors={"silent": 0.99, "learned_stop": 0.99, "written": 0.99},
        ceilings={
            "silent, K=0": 0.15,
            "silent, swapped": 0.15,
            "no_cot": 0.30,
            "pause": 0.30,
            "no_teacher": 0.30,
        },
    ),
    arms={
        "silent": Arm("adaptive/latent-6-tiny", asked=FORCED),
        "no_cot": Arm("adaptive/no_cot_sft-tiny", {"train.steps": 5000}),
        "written": Arm("adaptive/cot_sft-tiny"),
        "learned_stop": Arm("adaptive/latent-6-by-1-tiny", asked=ANNOUNCED),
        "meaned": Arm("adaptive/meaned-tiny", asked=FORCED),
        "meaned_and_codi": Arm("adaptive/meaned+codi-tiny", seeds=ONCE, asked=FORCED),
        "first_layer": Arm("adaptive/codi+intermediate-tiny", seeds=ONCE, asked=FORCED),
        "codi_0": Arm("adaptive/latent-6-tiny", {"method.codi": 0}, seeds=ONCE, asked=FORCED),
        "codi_20": Arm("adaptive/latent-6-tiny", {"method.codi": 20}, seeds=ONCE, asked=FORCED),
        "pause": Arm("adaptive/pause-tiny", seeds=ONCE, asked=FORCED),
        "no_teacher": Arm("adaptive/no-teacher-tiny", {"train.steps": 4000}, seeds=ONCE, asked=FORCED),
    },
    scales=SCALES,
    metric="accuracy/5",
    shown=BY_LENGTH,
    listed=LATENTS,
)

WIDE = Claim(
    name="adaptive-latent-wide",
    source="the same, chains modulo 7 whose written steps take three tokens each, so that six silent steps are fewer than the "
    "tokens they stand for",
    expected="chains of three operations are right (at least .95) with the comparison of states, and not without (at most .40, "
    "though chains of two are, at least .90) nor without its silent steps or with another question's (at most .25); chains of "
    "five are right (at least .90) only with a signal for each step, by stages or by comparing step by step, and at chance (at "
    "most .25) with the comparison at the end alone",
    rule=Levels(
        "codi_5",
        "codi_0",
        floors={
            "codi_5": 0.95,
            "stages: accuracy/5": 0.90,
            "aligned: accuracy/5": 0.90,
            "codi_0: accuracy/2": 0.90,  # else it shows nothing where it fails
        },
        ceilings={"codi_0": 0.40, "codi_5, K=0": 0.25, "codi_5, swapped": 0.25, "codi_5: accuracy/5": 0.25},
    ),
    arms={
        "codi_5": Arm("adaptive/wide-tiny", asked=FORCED),
        "codi_0": Arm("adaptive/wide-tiny", {"method.codi": 0}, asked=FORCED),
        "codi_1": Arm("adaptive/wide-tiny", {"method.codi": 1}, seeds=ONCE, asked=FORCED),
        "codi_20": Arm("adaptive/wide-tiny", {"method.codi": 20}, seeds=ONCE, asked=FORCED),
        "twelve": Arm("adaptive/wide-tiny", {"method.latents.plus": 12}, seeds=ONCE, asked=TWELVE),
        "stages": Arm("adaptive/wide-stages-tiny", seeds=ONCE, asked=FORCED),
        "aligned": Arm("adaptive/wide-aligned-tiny", seeds=ONCE, asked=FORCED),
        "no_cot": Arm("adaptive/no_cot_sft-tiny", {"task.modulus": 7, "train.steps": 5000}, seeds=ONCE),
    },
    scales=SCALES,
    metric="accuracy/3",
    shown=BY_LENGTH,
)
