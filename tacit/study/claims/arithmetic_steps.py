"""Written partial products make multiplication learnable where answering at once does not, in equally many steps."""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Beats

CLAIM = Claim(
    name="arithmetic-steps",
    source="Deng et al., arXiv 2405.14838: GPT-2 small on 4×4 digits is at 1.00 with written steps and at 0.29 without; "
    "here from scratch on 2×2 digits, small enough for a laptop",
    expected="after equally many optimizer steps, the model that writes partial products is at least 0.5 more accurate "
    "than the one that answers at once",
    rule=Beats("cot", "no_cot", margin=0.5),
    arms={"cot": Arm("mult/2x2-cot"), "no_cot": Arm("mult/2x2-no_cot")},
    scales={
        "smoke": Scale({"train.steps": 40, "train.warmup": 10, "eval.every": 20, "eval.limit": 32}, seeds=(0,)),
        "cpu": Scale(),
    },
)
