"""Thoughts that are inferred and learned from, again and again, make a model better than the few that it was given."""

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.rules import Rises

ROUNDS = tuple(f"accuracy/{number}" for number in range(4))
PLAIN = {"method.order": "none"}
WARM = {"bolt.warm_run": "candidates_4/warm"}
"""One warm start of each seed for every number of candidates: they would all train the same."""

CLAIM = Claim(
    name="bolt-walks",
    source="Ruan et al., arXiv 2503.18866 (TinyLlama on FineMath: each of three rounds improves the bound and MATH accuracy, "
    "more candidates gain more, plain text at equal tokens or equal cost does not); here walks on a map that is nowhere told, "
    "with 250 documents that show their thoughts and 5,000 that do not",
    expected="with 4 and with 16 candidates each round is more accurate than the one before, with every seed; one candidate "
    "gains less; plain documents, also for the cost of all three rounds with their inference, stay at one in ten (at most .16)",
    rule=Rises(
        ("candidates_4", "candidates_16"),
        ROUNDS,
        "candidates_4",
        "candidates_1",
        ceilings={"plain": 0.16, "plain_cost_of_4": 0.16, "plain_cost_of_16": 0.16},
    ),
    arms={
        "candidates_4": Arm("bolt/tiny", by="bolt"),
        "candidates_16": Arm("bolt/tiny", {"bolt.infer.samples": 16}, by="bolt", parts=WARM),
        "candidates_1": Arm("bolt/tiny", {"bolt.infer.samples": 1}, by="bolt", parts=WARM),
        "plain": Arm("bolt/tiny", PLAIN),
        "plain_cost_of_4": Arm("bolt/tiny", PLAIN, costs="candidates_4"),
        "plain_cost_of_16": Arm("bolt/tiny", PLAIN, costs="candidates_16", seeds=(0,)),
        "shown_and_plain": Arm("bolt/tiny", {"task.part": "both"}),
        "shown_and_plain_warm": Arm("bolt/tiny", {"task.part": "both"}, begins="candidates_4/warm"),
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
        ),
        "cpu": Scale(),
    },
    shown=ROUNDS,
    over="round (0: the warm start)",
    listed=("bound_1", "bound_4", "bound_16"),
)
