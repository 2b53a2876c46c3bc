"""Thoughts behind a corpus, inferred by two worker processes against one: wall-clock time, processes' start included.

Needs two cores that have nothing else to do. The model is that of bolt/tiny after two steps, so nearly every thought runs to its
longest.
"""

import tempfile
from pathlib import Path

from benchmarks.harness import compare, main, row, timed

DOCUMENTS, SHARD = 3072, 64


def planned(folder: str):
    """A round that waits for workers."""
    from tacit.bolt.pipeline import Pipeline

    short = {"train.steps": 2, "train.warmup": 1, "train.limit": DOCUMENTS, "eval.limit": 8, "eval.every": None}
    pipeline = Pipeline(
        "bolt/tiny",
        short | {"bolt.warm": {"task.part": "warm"} | short, "bolt.shard": SHARD, "bolt.infer.samples": 64},
        folder,
        say=lambda _: None,
    )
    pipeline.warm()
    pipeline.plan(1)
    return pipeline.place(1)


def one(size: str, contender: str) -> dict[str, float]:
    from tacit.bolt.shards import Shards
    from tacit.bolt.workers import employ

    with tempfile.TemporaryDirectory() as folder:
        place = planned(folder)
        found = timed(lambda: employ(place, int(contender)), warmup=0, steps=1)
        return found | {"documents": sum(1 for _ in Shards(place / "infer").rows())}


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    found = compare(here, f"{DOCUMENTS}", ["2", "1"], rounds)
    two, alone = (found[workers]["documents"] / found[workers]["wall"] for workers in ("2", "1"))
    return [row("two workers / one", f"{DOCUMENTS} documents, K 64", two, alone, "documents/s", 1.8, more=True)]


if __name__ == "__main__":
    main(__doc__, report, one)
