"""Fine-tuned models side by side: one for each seed, each asked every question many times.

FOLDER/seed-42/            a run of bolt/finetune-gsm8k or bolt/finetune-math
FOLDER/answers.csv         seed, id, sample, extracted, correct
FOLDER/finetuned.json      accuracy, majority and at-least-one of k: mean, standard error over seeds, and of each seed
"""

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.errors import TacitError
from tacit.evaluate.votes import scores
from tacit.registry import nearest
from tacit.study.runs import SAMPLES, read_lines
from tacit.whole import whole, write_whole

TASKS = ("gsm8k", "math")
RESULT, TABLE = "finetuned.json", "answers.csv"


def check_task(name: str) -> None:
    """Refuse what there is no recipe for."""
    if name not in TASKS:
        raise TacitError(f"nothing is fine-tuned on {name!r}{nearest(name, TASKS)}. Known: {', '.join(TASKS)}")


def seeds_of(words: str) -> list[int]:
    """Numbers between commas."""
    try:
        return sorted({int(word) for word in words.split(",")})
    except ValueError as error:
        raise TacitError(f"--seeds {words!r}: numbers between commas are expected, such as 42,43,44") from error


def tally(place: Path) -> Path:
    """All seeds of a model together; the file of the numbers. A run that is not finished is refused by name."""
    runs = {int(run.name.removeprefix("seed-")): run for run in place.glob("seed-*") if run.is_dir()}
    if not runs:
        raise TacitError(f"{place} holds no fine-tuned runs seed-N; make them with tacit bolt finetune")
    each, rows = {}, []
    for seed, run in sorted(runs.items()):
        if not (run / SAMPLES).is_file():
            raise TacitError(f"{run} is not finished: it has no {SAMPLES}; run the same command again, it goes on")
        questions: dict[str, list[tuple[str | None, bool]]] = {}
        for row in read_lines(run / SAMPLES):
            answers = questions.setdefault(row["id"], [])
            rows.append((seed, row["id"], len(answers), row["extracted"], row["correct"]))
            answers.append((row["extracted"], row["correct"]))
        each[seed] = scores(list(questions.values()))
    told: dict[str, Any] = {
        name: {
            "mean": mean([one[name] for one in each.values()]),
            "stderr": standard_error([one[name] for one in each.values()]),
        }
        for name in next(iter(each.values()))
    }
    with whole(place / TABLE) as file:
        writer = csv.writer(file)
        writer.writerow(("seed", "id", "sample", "extracted", "correct"))
        writer.writerows(rows)
    write_whole(place / RESULT, json.dumps({**told, "seeds": each}, indent=1) + "\n")
    for name, one in told.items():
        print(f"{name}: {one['mean']:.3f} ± {one['stderr']:.3f}  ({len(each)} seeds)")
    return place / RESULT


def mean(numbers: Sequence[float]) -> float:
    """Of at least one number."""
    return math.fsum(numbers) / len(numbers)


def standard_error(numbers: Sequence[float]) -> float:
    """Of the mean; 0 of one number, of which nothing is known."""
    if len(numbers) < 2:
        return 0.0
    center = mean(numbers)
    return math.sqrt(math.fsum((one - center) ** 2 for one in numbers) / (len(numbers) - 1) / len(numbers))
