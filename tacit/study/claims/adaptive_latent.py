"""Chains of table look-ups can be thought silently where the same model, writing its steps, is the teacher; and what comparing
states with the teacher's adds where a written step takes several tokens."""

from tacit.study.claim import Arm, Claim, Levels, Scale

BY_LENGTH = tuple(f"accuracy/{length}" for length in range(1, 6))
SMOKE = Scale({"train.steps": 40, "train.warmup": 10, "eval.every": 20, "eval.limit": 64}, seeds=(0,))

CLAIM = Claim(
    name="adaptive-latent",
    source="Shen et al., arXiv 2502.21074, and arXiv 2511.21581 (GSM8K: six silent steps near the written chain of thought, far "
    "above none); here chains of up to five operations modulo 11, small enough for a laptop",
    expected="with six silent steps, taught by its own written ones, at least .99 on the longest chains, as with written steps; "
    "at most .30 in equally many steps without steps, with pauses instead of thoughts, and without a teacher",
    rule=Levels(
        "silent",
        "no_cot",
        floors={"silent": 0.99, "written": 0.99},
        ceilings={"no_cot": 0.30, "pause": 0.30, "no_teacher": 0.30},
    ),
    arms={
        "silent": Arm("adaptive/latent-6-tiny"),
        "no_cot": Arm("adaptive/no_cot_sft-tiny"),
        "written": Arm("adaptive/cot_sft-tiny"),
        "pause": Arm("adaptive/pause-tiny"),
        "no_teacher": Arm("adaptive/no-teacher-tiny"),
        "learned_stop": Arm("adaptive/latent-6-by-1-tiny"),
        "codi_20": Arm("adaptive/latent-6-tiny", {"method.codi": 20}, seeds=(0,)),
        "codi_0": Arm("adaptive/latent-6-tiny", {"method.codi": 0}),
        "meaned": Arm("adaptive/meaned-tiny", seeds=(0,)),
    },
    scales={"smoke": SMOKE, "cpu": Scale()},
    metric="accuracy/5",
    shown=BY_LENGTH,
)

WIDE = Claim(
    name="adaptive-latent-wide",
    source="the same, chains modulo 7 whose written steps take three tokens each, so that six silent steps are fewer than the "
    "tokens they stand for",
    expected="chains of three operations are right with the comparison of states and at chance without; chains of five are "
    "right only with a signal for each step, by stages or by comparing step by step",
    rule=Levels("codi_5", "codi_0", floors={"codi_5": 0.95}, ceilings={"codi_0": 0.40}),
    arms={
        "codi_5": Arm("adaptive/wide-tiny"),
        "codi_0": Arm("adaptive/wide-tiny", {"method.codi": 0}),
        "twelve": Arm("adaptive/wide-tiny", {"method.latents.plus": 12}, seeds=(0,)),
        "aligned": Arm("adaptive/wide-aligned-tiny"),
        "stages": Arm("adaptive/wide-stages-tiny"),
    },
    scales={"smoke": SMOKE, "cpu": Scale()},
    metric="accuracy/3",
    shown=BY_LENGTH,
)
