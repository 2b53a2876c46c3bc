"""The inference of a round by any number of processes: each takes shards until none is left, and one puts them together."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tacit.bolt.documents import infer_documents, rows_of
from tacit.bolt.numbered import numbered
from tacit.bolt.rounds import Inference
from tacit.bolt.shards import Shard, Shards
from tacit.bolt.statistics import Statistics
from tacit.errors import TacitError
from tacit.lock import alone
from tacit.recipe.schema import Recipe
from tacit.whole import write_whole

THOUGHTS, STATISTICS, SHARDS = "thoughts.jsonl", "statistics.json", "infer"


def plan(place: Path, recipe: Recipe, size: int, about: dict[str, Any]) -> None:
    """Write down what is to be inferred in a round's folder: a recipe's documents, so many to a shard. A plan that is there
    already and is another one is refused."""
    told, count = {"recipe": recipe.model_dump(mode="json", exclude_none=True), **about}, len(numbered(recipe))
    if not count:
        raise TacitError("there are no documents to infer thoughts for; see task.train and train.limit")
    Shards(place / SHARDS).plan(count, size, told)


def work(place: Path) -> int:
    """Take shards of a planned round until none is left; says how many were made here."""
    from tacit.cli.eval import Progress
    from tacit.thinker import Thinker

    shards = Shards(place / SHARDS)
    plan = shards.about()
    recipe, settings = Recipe.model_validate(plan["recipe"]), Inference(**plan["infer"])
    rounds = recipe.bolt
    assert rounds is not None
    shards.patience = rounds.patience
    documents, template = numbered(recipe), recipe.resolved_task().template
    loaded: list[Thinker] = []  # nobody waits for a model who finds nothing to do

    def make(shard: Shard) -> list[dict[str, Any]]:
        if not loaded:
            loaded.append(Thinker.from_pretrained(str(place / plan["model"])))
        found = infer_documents(loaded[0], documents.part(shard.start, shard.stop), template, settings, rounds.chunking)
        return rows_of(found, loaded[0])

    return shards.work(make, Progress())


def employ(place: Path, workers: int) -> None:
    """Worker processes on this machine. One that dies is missed by nobody: the others take its shards over."""
    command = [sys.executable, "-m", "tacit", "bolt", "work", str(place)]
    running = [subprocess.Popen(command) for _ in range(workers)]
    codes = [process.wait() for process in running]
    if all(codes):
        raise TacitError(f"all {workers} worker processes failed (exit codes {codes}); the reason stands above")


def merge(place: Path, say: Callable[[str], None] = print, seconds: float = 0.0) -> Path:
    """All shards as one file, and what they look like."""
    shards, seen = Shards(place / SHARDS), Statistics()
    shards.about()
    with alone(place):
        shards.merge(place / THOUGHTS, seen.add)
        found = seen.numbers() | {"seconds": round(seconds, 3)}
        write_whole(place / STATISTICS, json.dumps(found, indent=1) + "\n")
    say("inferred: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    return place / THOUGHTS
