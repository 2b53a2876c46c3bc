"""Fillers that say nothing help with 3SUM where a model has seen written steps for other examples, and only there.

Six rows of one digit are far from the published twelve of three: there are 5,005 sets of six digits, so answers can be learned
by heart, and what is compared is how soon a model knows them. Fillers cost time too, so `no_filler_4x` answers at once and
trains about as long as `mixed` in seconds. It ends where `mixed` does: here fillers save steps and no time.
"""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Beats

CLAIM = Claim(
    name="sum3-fillers",
    source="Pfau et al., arXiv 2404.15758: on 3SUM with twelve rows of three digits, fillers reach 100 % after training on "
    "fillers and chains alike, answers at once 66 %, and training on fillers alone fails (majority 50 %); here from "
    "scratch on six rows of one digit, 700 steps. no_filler_4x answers at once after 2,800 steps, about as many seconds of "
    "training: a small task that can be learned by heart shows fewer steps, not what a model cannot do without fillers",
    expected="after equally many optimizer steps, the model trained on chains and fillers and asked behind fillers is at "
    "least 0.1 more accurate than the one that answers at once; guessing the majority is right in 0.5",
    rule=Beats("mixed", "no_filler", margin=0.1),
    arms={
        "cot": Arm("sum3/cot-tiny"),
        "mixed": Arm("sum3/mixed-tiny"),
        "filler": Arm("sum3/filler-tiny"),
        "no_filler": Arm("sum3/no_filler-tiny"),
        "no_filler_4x": Arm("sum3/no_filler-tiny", {"train.steps": 2800, "eval.every": 1400}),
    },
    scales={
        "smoke": Scale(
            {"train.steps": 4, "train.warmup": 0, "eval.every": 2, "eval.limit": 16},
            seeds=(0,),
            replaces=("train.steps", "eval.every"),
        ),
        "cpu": Scale(),
    },
)
