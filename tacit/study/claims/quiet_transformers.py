"""The findings of the quiet-thought notes on small transformers, one claim for each row of their table.

`smoke` scales use generated text, `gpu` has the published settings; the short runs have a `cpu` scale. Texts are the user's:
`tacit repro quiet/13 task.path=FILE`.
"""

from collections.abc import Mapping
from typing import Any

from tacit.study.claim import Arm, Claim, Scale
from tacit.study.gaps import Gap, Gaps, Near
from tacit.study.rules import Rule

SOURCE = "notes of the Quiet-STaR replication on transformers, finding {}"
TL, QT = (f"fragments/quiet/{name}RunConfig" for name in ("TLM", "QuietSTaRDiscreteT"))
LENGTH, SAMPLES, JOIN, POLICY = "method.length", "method.samples", "method.join", "method.objective.policy"
WIDTH, LAYERS, HEADS = "model.tiny.hidden", "model.tiny.layers", "model.tiny.heads"
TWO = {SAMPLES: 2}
EMPTY = {LENGTH: 0, SAMPLES: 1, POLICY: 0.0}
"""Both marks, and nothing between them."""
SMOKE = Scale(
    {
        "task": {"name": "written", "of": {"name": "modular", "train_rows": 64, "valid_rows": 8}},
        "train.steps": 2,
        "train.batch": 2,
        "eval.every": None,
    },
    seeds=(0,),
    replaces=("train.steps", "train.batch"),
)


def finding(
    number: int | str,
    expected: str,
    rule: Rule,
    arms: Mapping[str, Arm],
    seeds: int = 5,
    more: Mapping[str, Scale] | None = None,
) -> Claim:
    return Claim(
        name=f"quiet/{number}",
        source=SOURCE.format(number),
        expected=expected,
        rule=rule,
        arms=arms,
        scales={"smoke": SMOKE, "gpu": Scale(seeds=tuple(range(10, 10 + seeds))), **(more or {})},
        metric="nll",
        listed=("base_nll", "null_nll", "swapped_nll"),
    )


def thinks(length: int, more: Mapping[str, Any] | None = None, **method: Any) -> Arm:
    """Two thoughts of a length at every place; further settings of the method by name."""
    named = {f"method.{name.replace('__', '.')}": value for name, value in method.items()}
    return Arm(QT, {LENGTH: length, **TWO, **named, **(more or {})})


F11 = finding(
    11,
    "thoughts of 5 to 15 tokens are worth .003 to .01 nats a character, the longer the more",
    Gaps((Gap("plain", "5", least=0.002), Gap("plain", "15", least=0.005), Gap("5", "15", least=0.0))),
    {"plain": Arm(TL), **{str(length): Arm(QT, {LENGTH: length}) for length in (5, 10, 15)}},
)
F12 = finding(
    12,
    "empty thoughts are worse than thoughts of any length, and adding the logits of the text alone is worse than not",
    Gaps((Gap("empty", "5", least=0.01), Gap("empty", "15", least=0.01), Gap("added, 10", "10", least=0.002))),
    {"empty": Arm(QT, EMPTY), "added, empty": Arm(QT, {**EMPTY, JOIN: "add"})}
    | {str(length): thinks(length) for length in (5, 10, 15)}
    | {f"added, {length}": thinks(length, join="add") for length in (5, 10, 15)},
)
F13 = finding(
    13,
    "what thoughts of five tokens gain is arithmetic and not thinking: thoughts that learn nothing, or learn to be bad, gain as "
    "much, within .004",
    Gaps(
        (
            Gap("empty", "untaught", least=0.01),
            Gap("untaught", "taught", most=0.004),
            Gap("taught", "untaught", most=0.004),
            Gap("mistaught", "taught", most=0.004),
        )
    ),
    {
        "plain": Arm(TL),
        "empty": Arm(QT, EMPTY),
        "taught": thinks(5),
        "untaught": thinks(5, objective__policy=0.0),
        "mistaught": thinks(5, objective__policy=-1.0),
        "thirty": thinks(30),
        "thirty, eight samples": Arm(QT, {LENGTH: 30, SAMPLES: 8}),
    },
    seeds=30,
)
F14 = finding(
    14,
    "two to four thoughts of a place are enough: learning from one of four, or one of ten, changes nothing beyond .005",
    Gaps((Gap("four, one learned", "four", most=0.005), Gap("ten, one learned", "four", most=0.005))),
    {
        "four": Arm(QT, {SAMPLES: 4}),
        "four, one learned": Arm(QT, {SAMPLES: 4, "method.objective.learned": 1}),
        "four, two learned": Arm(QT, {SAMPLES: 4, "method.objective.learned": 2}),
        "ten, one learned": Arm(QT, {"method.objective.learned": 1}),
        "prediction .1": Arm(QT, {SAMPLES: 4, "method.objective.nll": 0.1}),
    },
)
SMALL = {WIDTH: 32, HEADS: 1}
F15 = finding(
    15,
    "in a transformer of 32, too, teaching thoughts gains nothing over thoughts that are not taught, not even with one token",
    Gaps((Gap("untaught 1", "taught 1", most=0.004), Gap("untaught 10", "taught 10", most=0.004))),
    {f"plain {width}": Arm(TL, {**SMALL, WIDTH: width}) for width in (16, 32)}
    | {f"taught {n}": Arm(QT, {**SMALL, **TWO, LENGTH: n}) for n in (1, 5, 10, 32, 64)}
    | {f"untaught {n}": Arm(QT, {**SMALL, **TWO, LENGTH: n, POLICY: 0.0}) for n in (1, 10)}
    | {"empty": Arm(QT, {**SMALL, **EMPTY})},
)
F16 = finding(
    16,
    "reading the token before once more helps, and two marks are no worse than one",
    Gaps((Gap("not again", "again", least=0.0), Gap("one mark", "again", least=-0.004))),
    {
        "again": thinks(10),
        "not again": thinks(10, reread=False),
        "one mark": thinks(10, one_mark=True),
        "one further": thinks(10, reread_step=1),
        "echo .1": thinks(10, echo=0.1),
        "echo .5": thinks(10, echo=0.5),
        "forty": thinks(40),
    },
)
DROPOUT = {"model.tiny.dropout": 0.1}
F17 = finding(
    17,
    "plain transformers with dropout gain from 128 to 512 dimensions at four layers",
    Gaps((Gap("128, 4", "256, 4", least=0.0), Gap("256, 4", "512, 4", least=0.0))),
    {
        f"{width}, {layers}": Arm(TL, {WIDTH: width, LAYERS: layers, HEADS: 2, **DROPOUT})
        for width in (128, 256, 512)
        for layers in (2, 4, 6)
    },
    seeds=3,
)
EIGHT = {"train.batch": 8, "train.steps": 200}
T8 = finding(
    "t8",
    "after 200 steps of eight texts a plain transformer is at 2.514 nats a character, and so is one with thoughts of five tokens",
    Near({"plain": 2.514, "thinks": 2.514}),
    {"plain": Arm(TL, EIGHT), "thinks": thinks(5, EIGHT, words_only=False)},
    more={"cpu": Scale(seeds=(1, 2, 3, 4, 5))},
)
