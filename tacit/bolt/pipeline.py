"""The whole of it: a warm start, then rounds of inference and learning, each step of which is found again when it is done.

DIR/warm/                 the run of the warm start
DIR/round-1/infer/        shards, which any process may work on; thoughts.jsonl, statistics.json
DIR/round-1/learn/        the run that learned from them
DIR/metrics.jsonl         a line for the warm start and each round
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tacit.bolt.documents import infer_documents, row_of, statistics
from tacit.bolt.rounds import Inference, Rounds
from tacit.bolt.shards import Shard, Shards
from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.schema import Recipe

METRICS, THOUGHTS, STATISTICS, JUDGED = "metrics.jsonl", "thoughts.jsonl", "statistics.json", "judged.json"
JUDGE_SEED = 1 << 30
"""Held-out bounds are drawn with random numbers of their own."""
Say = Callable[[str], None]


def run(
    name: str | Path,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    *,
    out: str | Path,
    workers: int = 1,
    say: Say = print,
    **_: Any,
) -> Path:
    """Everything that is not done yet; the folder."""
    recipe, folder = load(name, overrides).recipe, Path(out)
    rounds = section(recipe)
    lines: list[dict[str, Any]] = []
    model = warm_start(name, overrides, folder, rounds)
    _tell(folder, lines, 0, model, judge(model, recipe, folder / "warm-judged"), {}, say)
    before = model
    for number in range(1, rounds.rounds + 1):
        place = folder / f"round-{number}"
        thoughts = infer_round(name, overrides, place, before, rounds, number, workers, say)
        found = json.loads((place / STATISTICS).read_text(encoding="utf-8"))
        before = learn(
            name, overrides, place, thoughts, rounds, {"warm": model, "previous": before}.get(rounds.start), number
        )
        _tell(folder, lines, number, before, judge(before, recipe, place), found, say)
    return folder


def section(recipe: Recipe) -> Rounds:
    """The recipe's section, which must be there."""
    if recipe.bolt is None:
        raise TacitError(
            "this recipe has no section bolt, which says how thoughts are inferred; take bolt/tiny, or add one"
        )
    return recipe.bolt


def warm_start(name: str | Path, overrides: Any, folder: Path, rounds: Rounds) -> Path:
    """The model that infers in the first round."""
    from tacit.train import train

    if rounds.warm_run is not None:
        return Path(rounds.warm_run)
    return train(name, _with(overrides, _dotted(rounds.warm)), out=folder / "warm", resume=True)  # type: ignore[misc]


def learn(
    name: str | Path, overrides: Any, place: Path, thoughts: Path, rounds: Rounds, start: Path | None, number: int
) -> Path:
    """A model that learns from the thoughts of a round. Every round has random numbers of its own."""
    from tacit.train import train

    seed = load(name, overrides).recipe.train.seed
    fields = {key: _filled(value, thoughts) for key, value in _dotted(rounds.learn).items()}
    fields |= {"train.seed": seed + 1000 * number}
    return train(name, _with(overrides, fields), out=place / "learn", resume=True, from_run=start)  # type: ignore[misc]


def _dotted(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """Fields by their dotted names, however they are nested."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        found |= _dotted(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found


def _filled(value: Any, thoughts: Path) -> Any:
    return value.replace("{thoughts}", str(thoughts.absolute())) if isinstance(value, str) else value


def _with(overrides: Any, more: Mapping[str, Any]) -> Any:
    if isinstance(overrides, Mapping):
        return {**overrides, **more}
    return [*overrides, *(f"{key}={json.dumps(value)}" for key, value in more.items())]


# -- inference ----------------------------------------------------------------------------------------------------------


def infer_round(
    name: str | Path, overrides: Any, place: Path, model: Path, rounds: Rounds, number: int, workers: int, say: Say
) -> Path:
    """Thoughts for the whole corpus, by this process or by several; the file of all documents."""
    target = place / THOUGHTS
    if target.exists() and (place / STATISTICS).exists():
        return target
    plan_round(name, overrides, place, model, rounds, number)
    if workers == 1:
        work(place, say)
    else:
        _employ(place, workers)
    return merge_round(place, say)


def plan_round(name: str | Path, overrides: Any, place: Path, model: Path, rounds: Rounds, number: int) -> Shards:
    """What is to be inferred, written down so that any process can take a part."""
    recipe = load(name, overrides).recipe
    count = len(_corpus(recipe))
    settings = rounds.infer.model_copy(update={"seed": rounds.infer.seed + 1000 * recipe.train.seed + number})
    about = {
        "recipe": recipe.model_dump(mode="json", exclude_none=True),
        "model": str(model),
        "infer": settings.model_dump(mode="json"),
        "patience": rounds.patience,
    }
    shards = Shards(place / "infer", rounds.patience)
    shards.plan(count, rounds.shard, about)
    return shards


def work(place: Path, say: Say = print) -> int:
    """Take shards of a planned round until none is left; says how many were made here."""
    from tacit.cli.eval import Progress
    from tacit.thinker import Thinker

    shards = Shards(place / "infer")
    plan = shards.about()
    shards.patience = plan["patience"]
    recipe = Recipe.model_validate(plan["recipe"])
    settings, rounds = Inference(**plan["infer"]), section(recipe)
    documents, template = _corpus(recipe), recipe.resolved_task().template
    loaded: list[Thinker] = []

    def make(shard: Shard) -> list[dict[str, Any]]:
        thinker = loaded[0] if loaded else Thinker.from_pretrained(plan["model"])
        loaded[:] = [thinker]
        found = infer_documents(thinker, documents[shard.start : shard.stop], template, settings, rounds.chunking)
        return [row_of(one, thinker) for one in found]

    return shards.work(make, Progress())


def _employ(place: Path, workers: int) -> None:
    """Worker processes on this machine. One that dies is missed by nobody: the others take its shards over."""
    command = [sys.executable, "-m", "tacit", "bolt", "work", str(place)]
    running = [subprocess.Popen(command) for _ in range(workers)]
    codes = [process.wait() for process in running]
    if all(codes):
        raise TacitError(f"all {workers} worker processes failed (exit codes {codes}); the reason stands above")


def merge_round(place: Path, say: Say = print) -> Path:
    """All shards as one file, and what they look like."""
    shards = Shards(place / "infer")
    rows = list(shards.rows())
    shards.merge(place / THOUGHTS)
    found = statistics(rows)
    (place / STATISTICS).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    say("inferred: " + ", ".join(f"{name} {value:.4g}" for name, value in found.items()))
    return place / THOUGHTS


def _corpus(recipe: Recipe) -> list[Any]:
    return list(islice(recipe.resolved_task().examples("train"), recipe.train.limit))


# -- what came of it ----------------------------------------------------------------------------------------------------


def judge(model: Path, recipe: Recipe, place: Path) -> dict[str, float]:
    """The held-out lower bound of a model, by numbers of candidates, in nats for each document."""
    from tacit.thinker import Thinker

    rounds, file = section(recipe), place / JUDGED
    if not rounds.judged:
        return {}
    if file.exists():
        return json.loads(file.read_text(encoding="utf-8"))
    task = recipe.resolved_task()
    examples = list(islice(task.examples("valid"), rounds.judged_limit))
    settings = rounds.infer.model_copy(update={"samples": max(rounds.judged), "seed": JUDGE_SEED})
    found = infer_documents(Thinker.from_pretrained(str(model)), examples, task.template, settings, rounds.chunking)
    whole = [one for one in found if one.bound(1) is not None]
    told = {f"bound_{k}": sum(max(one.bound(k) or 0.0, FLOOR) for one in whole) / len(whole) for k in rounds.judged}
    place.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(told) + "\n", encoding="utf-8")
    return told


FLOOR = -50.0
"""A document's bound counts as no less, in nats: one without any valid candidate would make a mean minus infinity."""


def _tell(
    folder: Path,
    lines: list[dict[str, Any]],
    number: int,
    model: Path,
    judged: dict[str, float],
    found: dict[str, float],
    say: Say,
) -> None:
    """A line of the pipeline's metrics: the model's evaluation, its bounds, what its thoughts were inferred with, and the
    accuracy of all rounds before."""
    from tacit.study.runs import Run

    result = Run(model).result()
    line: dict[str, Any] = {"step": number, "loss": Run(model).training[-1]["loss"]}
    line |= {f"eval/{key}": value for key, value in (result | judged).items()}
    line |= {f"infer/{key}": value for key, value in found.items()}
    for earlier in lines:
        line[f"eval/accuracy/{earlier['step']}"] = earlier["eval/accuracy"]
    line[f"eval/accuracy/{number}"] = result["accuracy"]
    lines.append(line)
    beside = folder / f".{METRICS}.part"
    beside.write_text("".join(json.dumps(one) + "\n" for one in lines), encoding="utf-8")
    beside.replace(folder / METRICS)
    bounds = ", ".join(f"{name} {value:.3f}" for name, value in judged.items())
    say(f"{'warm start' if not number else f'round {number}'}: accuracy {result['accuracy']:.3f}, {bounds}")
