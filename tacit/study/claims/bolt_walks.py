"""Thoughts that are inferred and learned from, again and again, make a model better than the few that it was given."""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Rises

ROUNDS = tuple(f"accuracy/{number}" for number in range(4))
# A round of bolt/tiny with four candidates, in plain training: 128 documents of 23 tokens in each of 800 steps, read forward
# and backward, and 5,000 documents whose four candidates are drawn (24 tokens) and weighed (22 tokens), read forward; plain
# documents have 9 tokens.
ROUND = 800 + (5_000 * 4 * (24 + 22)) // (3 * 128 * 23)
SAME_COST = ROUND * 23 // 9

CLAIM = Claim(
    name="bolt-walks",
    source="Ruan et al., arXiv 2503.18866 (TinyLlama on FineMath: each of three rounds improves the bound and MATH accuracy, "
    "more candidates gain more, plain text at equal tokens or equal cost does not); here walks on a map that is nowhere told, "
    "with 250 documents that show their thoughts and 5,000 that do not",
    expected="with 4 and with 16 candidates each round is more accurate than the one before, with every seed; one candidate "
    "gains less; plain documents, also at equal cost, stay at one in ten (at most .16)",
    rule=Rises(
        ("candidates_4", "candidates_16"),
        ROUNDS,
        "candidates_4",
        "candidates_1",
        ceilings={"plain": 0.16, "plain_same_cost": 0.16},
    ),
    arms={
        "candidates_4": Arm("bolt/tiny", by="bolt"),
        "candidates_16": Arm("bolt/tiny", {"bolt.infer.samples": 16}, by="bolt"),
        "candidates_1": Arm("bolt/tiny", {"bolt.infer.samples": 1}, by="bolt"),
        "plain": Arm("bolt/tiny", {"method.order": "none"}),
        "plain_same_cost": Arm("bolt/tiny", {"method.order": "none", "train.steps": SAME_COST}),
        "shown_and_plain": Arm("bolt/tiny", {"task.part": "both"}),
    },
    scales={
        "smoke": Scale(
            {
                "task.train_rows": 60,
                "task.valid_rows": 40,
                "train.steps": 8,
                "train.warmup": 2,
                "bolt.rounds": 2,
                "bolt.warm.train.steps": 8,
                "bolt.warm.train.warmup": 2,
                "bolt.judged": [1, 2],
            },
            seeds=(0,),
            replaces=("train.steps",),
        ),
        "cpu": Scale(),
    },
    shown=ROUNDS,
    listed=("bound_1", "bound_4", "bound_16"),
)
