"""Two layers and a few silent steps search a graph that the same two layers cannot search without them."""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Levels

HOPS = (2, 3, 4, 5)

CLAIM = Claim(
    name="superposition",
    source="Zhu et al., arXiv 2505.12514 (symbolic ProsQA, two layers: silent steps 98 to 100 %, written steps and none about "
    "75 %); here from scratch on layered graphs of 2 to 4 hops, small enough for a laptop",
    expected="of two candidates, silent steps find the reachable one of 4-hop graphs in at least .97 of cases with every "
    "seed; pauses with the same labels and stages, and no steps at all, stay at a coin toss (at most .60) between the two, of "
    "which they have learned to name one (the right one in at least .40 of cases, of 24 names)",
    rule=Levels(
        "coconut",
        "pause",
        floors={"coconut": 0.97, "pause: accuracy/4 hops": 0.40, "no_cot: accuracy/4 hops": 0.40},
        ceilings={"pause": 0.60, "no_cot": 0.60},
    ),
    arms={
        "coconut": Arm("superposition/coconut-tiny"),
        "fixed": Arm("superposition/fixed-tiny"),
        "no_curriculum": Arm("superposition/no_curriculum-tiny"),
        "cot": Arm("superposition/cot-tiny"),
        "no_cot": Arm("superposition/no_cot-tiny"),
        "pause": Arm("superposition/pause-tiny"),
        "pause_deep": Arm("superposition/pause-deep-tiny", seeds=(0,)),
    },
    scales={
        "smoke": Scale(
            {"train.steps": 20, "train.warmup": 5, "eval.every": 20, "eval.limit": 32, "task.train_rows": 200},
            seeds=(0,),
        ),
        "cpu": Scale({"eval.split": "test", "eval.every": None}),
    },
    metric="choice/4 hops",
    shown=tuple(f"choice/{hops} hops" for hops in HOPS),
    listed=tuple(f"accuracy/{hops} hops" for hops in HOPS),
)
