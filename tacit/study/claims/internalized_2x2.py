"""A chain of thought can be taken away token by token until nothing of it is written, and the answers stay right."""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Levels

CLAIM = Claim(
    name="internalized-2x2",
    source="Deng et al., arXiv 2405.14838 (4×4 digits: 1.00 internalized, 0.29 without steps), and pauses in place of the "
    "steps as in arXiv 2404.15758; here from scratch on 2×2 digits, small enough for a laptop",
    expected="with all written steps swapped for pauses one by one, at least .95 of the held-out products; with the same "
    "pauses from the start, at most .30 after equally many steps; with all steps removed, so that none is written any more, at "
    "least .90",
    rule=Levels(
        "filler",
        "control",
        floors={"filler": 0.95, "removal": 0.90},
        ceilings={"control": 0.30, "removal: thought_tokens_mean": 0.0},
    ),
    arms={
        "filler": Arm("mult/2x2-filler"),
        "control": Arm("mult/2x2-control"),
        "no_cot": Arm("mult/2x2-control", {"method": {"name": "no_cot"}}),
        "removal": Arm("mult/2x2-removal"),
    },
    scales={
        "smoke": Scale({"train.steps": 40, "train.warmup": 10, "eval.every": 20, "eval.limit": 32}, seeds=(0,)),
        "cpu": Scale(),
    },
    listed=("thought_tokens_mean",),
)
