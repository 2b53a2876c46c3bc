"""Steps of learning to think before every token in a transformer: against a plain language model, and against a dense mask.

A step is a batch of texts, its loss and its gradients. QT8 thinks five tokens twice at each of 128 places in eight texts; the
plain model reads the same texts. Arithmetic alone makes that 17 times as much: 1,024 tokens without thoughts, 17,408 with them.
"""

from pathlib import Path

import numpy as np

from benchmarks.harness import compare, main, row, timed

SETTINGS = {
    "QT8": {"length": 5, "samples": 2, "reread": True, "apart": 129, "objective": {"baseline": "mean"}},
    # Fifteen passes over the text: nine sampled tokens, two marks, four predicted tokens.
    "original, L 256": {
        "length": 9,
        "ahead": 4,
        "samples": 2,
        "join": "mix",
        "marks_scale": 100.0,
        "base": 0.5,
        "choice_temperature": 3.0,
        "objective": {"baseline": "mean", "only_positive": True, "nll": 0.5},
    },
}
MODELS = {
    "QT8": {"family": "gpt2", "layers": 2, "hidden": 100, "heads": 5, "positions": 1024},
    "original, L 256": {"family": "mistral", "layers": 4, "hidden": 256, "heads": 4, "positions": 1024},
}
ROWS = {"QT8": (8, 128), "original, L 256": (1, 256)}
LETTERS = "".join(chr(ord("A") + n) for n in range(58))


def one(size: str, contender: str) -> dict[str, float]:
    from tacit.engine.stream import AttentionStream
    from tacit.methods.base import Lesson
    from tacit.methods.plain import Plain
    from tacit.methods.quiet_star import QuietStar
    from tacit.models.making import make_thinker
    from tacit.models.scratch import Scratch
    from tacit.quiet.texts import texts
    from tacit.recipe.schema import Model

    rows, length = ROWS[size]
    method = QuietStar(**SETTINGS[size])
    thinker = make_thinker(Model(tiny=Scratch(**MODELS[size])), method.thinking(), texts=[LETTERS], seed=0).train()
    ids = np.random.default_rng(0).integers(0, len(LETTERS), (rows, length + 1)).tolist()
    plain = contender == "plain"
    view = texts(ids, thinker.vocab.pad, method.ahead)
    lesson = Lesson({"main": view}, rows, picks=[(0, n) for n in range(rows)], steps=10)
    if plain:
        from tacit.layout import Layout, Segment

        reader = Plain()
        layouts = [{"main": Layout(Segment("question", row[:1]), Segment("text", row[1:], 1.0))} for row in ids]
        lesson.views = reader.collate(layouts, thinker.vocab)
    if contender == "dense mask":
        branch = AttentionStream.branch
        AttentionStream.branch = lambda self, at, **_: branch(self, at, dense=True)  # type: ignore[method-assign]

    def step() -> None:
        one = reader if plain else method
        one.loss(thinker, lesson, lesson.counts()).total.backward()
        thinker.zero_grad(set_to_none=True)

    return timed(step, warmup=1 if contender == "dense mask" else 2, steps=1 if contender == "dense mask" else 5)


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    cpu = {who: found["cpu"] for who, found in compare(here, "QT8", ["plain", "thoughts"], rounds).items()}
    found = [row("thoughts / plain", "QT8", cpu["thoughts"], cpu["plain"], "cpu s", 20.0)]
    for size, goal in (("QT8", None), ("original, L 256", 2.0)):
        cpu = {who: found["cpu"] for who, found in compare(here, size, ["dense mask", "thoughts"], 1).items()}
        rates = (1 / cpu["thoughts"], 1 / cpu["dense mask"])
        found.append(row("two parts / dense mask", size, *rates, "steps / cpu s", goal, more=True))
    return found


if __name__ == "__main__":
    main(__doc__, report, one)
