"""A model that learned to think once for every operation learns by reinforcement that once less is enough."""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.claims.adaptive_latent import ANNOUNCED, BY_LENGTH, LATENTS
from tacit.study.rules import Saves

COUNTS = {way: options for way, options in ANNOUNCED.items() if "latents" in options}
"""Two steps fewer than operations cost everything at the start; one fewer costs nothing or much, as the seed has it."""
NEEDED = 2.910
"""Operations in a chain of the test split less one, on average: with one silent step fewer than that, answers are guesses."""

CLAIM = Claim(
    name="rl-length",
    source="arXiv 2511.21581 (GSM8K, Llama-3.2-1B: 8.0 reasoning tokens become 3.8 at equal accuracy, longer ones for harder "
    "questions); here chains of up to five operations modulo 11, small enough for a laptop",
    expected="thoughts as long as the chain become one step shorter, which is as short as they can be: within .2 of that on "
    "average and longer for longer chains, with at most one point of accuracy lost on 4,000 fresh questions, whether lengths "
    "are sampled or all of them are weighed",
    rule=Saves("start", ("exact", "sampled"), most=NEEDED + 0.2, lost=0.01),
    arms={
        "start": Arm("adaptive/latent-6-by-1-tiny", asked=COUNTS),
        "exact": Arm("adaptive/latent-6-by-1+rl-tiny", begins="start"),
        "sampled": Arm("adaptive/latent-6-by-1+rl-tiny", {"method.estimator": "sampled"}, begins="start"),
        "published": Arm(
            "adaptive/latent-6-by-1+rl-tiny",
            {
                "method.estimator": "sampled",
                "method.scale_rewards": True,
                "method.kl": 1e-3,
                "method.reward.shorter": 1e-4,
                "method.reward.longer": 0.1,
                "method.reward.required": 1.0,
            },
            seeds=(0,),
            begins="start",
        ),
    },
    scales={
        "smoke": Scale(
            {
                "train.steps": 2,
                "train.warmup": 1,
                "train.batch": 4,
                "eval.every": None,
                "eval.limit": 16,
                "task.train_rows": 100,
                "task.valid_rows": 20,
            },
            seeds=(0,),
        ),
        "cpu": Scale({"eval.split": "test", "eval.every": None, "eval.limit": 4000, "task.test_rows": 4000}),
    },
    metric="latents_mean",
    shown=LATENTS,
    listed=BY_LENGTH,
    compared=BY_LENGTH,
)
