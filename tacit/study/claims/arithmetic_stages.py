"""Thoughts take the place of steps one by one; does it help to go on learning earlier stages from the same chain of thoughts?"""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Levels

TEST = {"test": {"split": "test", "limit": 500, "batch": 128}}
"""All are asked fresh questions besides: 200 of them, as many as a stage's evaluation has, leave three points to chance."""

CLAIM = Claim(
    name="arithmetic-stages",
    source="Hao et al., arXiv 2412.06769 (GSM8K-Aug, GPT-2: .429 with steps, .341 with thoughts, .165 without either; mixing of "
    "stages lets one model think any number of steps); here chains of one to three sums, small enough for a laptop",
    expected="with all steps replaced by thoughts, earlier stages learned beside the last give a better model than the last "
    "alone (at least .70 with every seed), and both lie between written steps and none (at most .50 with every seed), after "
    "equally many optimizer steps",
    rule=Levels("mixed, test", "coconut, test", floors={"mixed, test": 0.7}, ceilings={"no_cot, test": 0.5}),
    arms={
        "coconut": Arm("arithmetic/coconut-stages-tiny", asked=TEST),
        "mixed": Arm("arithmetic/coconut-stages-tiny", {"method.stages": "all"}, asked=TEST),
        "cot": Arm("arithmetic/coconut-stages-tiny", {"method": {"name": "cot"}}, asked=TEST),
        "no_cot": Arm("arithmetic/coconut-stages-tiny", {"method": {"name": "no_cot"}}, asked=TEST),
    },
    scales={
        "smoke": Scale({"train.epochs": None, "train.steps": 40, "train.warmup": 10, "eval.limit": 32}, seeds=(0,)),
        "cpu": Scale(),
    },
)
