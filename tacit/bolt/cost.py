"""What learning and inference cost, in FLOPs, by the same account as an evaluation; and a baseline that may spend as much."""

import json
import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tacit.errors import TacitError
from tacit.evaluate.flops import price, reading_work
from tacit.example import encode
from tacit.recipe.schema import Recipe

if TYPE_CHECKING:
    from tacit.bolt.pipeline import Pipeline
    from tacit.thinker import Thinker

FLOPS_STEPS = "{flops_steps}"
"""Stands for a number of steps that is found when a baseline is trained."""
SAMPLE = 256
"""Examples by which the cost of a step is judged."""
BACKWARD = 3
"""Learning from a row costs so many times as much as reading it: forward, and twice as much backward."""


def step_flops(recipe: Recipe, thinker: "Thinker") -> float:
    """What an optimizer step costs on average."""
    task, method = recipe.resolved_task(), recipe.method.settings
    rows = encode(list(islice(task.examples("train"), recipe.train.limit))[:SAMPLE], thinker.tokenizer, task.template)
    costs = price(thinker)
    each = [
        reading_work(layout, thinker).flops(costs)
        for number, row in enumerate(rows)
        for layout in method.layouts(
            row, thinker.vocab, None, np.random.default_rng([recipe.train.seed, number])
        ).values()
    ]
    return BACKWARD * recipe.train.batch * sum(each) / len(rows)


def matched_steps(pipeline: "Pipeline", fields: Mapping[str, Any], number: int) -> int:
    """How many steps of other data cost what the rounds up to this one did, inference included. The warm start is not counted:
    every baseline may have one."""
    from tacit.bolt.pipeline import STATISTICS
    from tacit.recipe import load
    from tacit.thinker import Thinker

    _check_there(pipeline, pipeline.model(0), "tacit bolt warm")
    thinker, spent = Thinker.from_pretrained(str(pipeline.model(0))), 0.0
    for before in range(1, number + 1):
        told = pipeline.place(before) / STATISTICS
        _check_there(pipeline, told, f"tacit bolt infer --round {before}")
        spent += float(json.loads(told.read_text(encoding="utf-8"))["flops"])
        learned = load(pipeline.name, pipeline.with_fields(pipeline.learn_fields(before))).recipe
        spent += step_flops(learned, thinker) * _steps(learned, pipeline.model(before))
    plain = {key: value for key, value in fields.items() if value != FLOPS_STEPS}
    return max(1, math.ceil(spent / step_flops(load(pipeline.name, pipeline.with_fields(plain)).recipe, thinker)))


def _check_there(pipeline: "Pipeline", file: Path, before: str) -> None:
    if not file.exists():
        raise TacitError(
            f"what the rounds cost is not known yet: there is no {file}. First run {before} with {pipeline.name} and --out "
            f"{pipeline.folder}"
        )


def _steps(recipe: Recipe, run: Path) -> int:
    """The steps of a round's model, trained already or not."""
    manifest = run / "manifest.json"
    if recipe.train.steps is not None:
        return recipe.train.steps
    if manifest.exists():
        return int(json.loads(manifest.read_text(encoding="utf-8"))["step"])
    rows = sum(1 for _ in islice(recipe.resolved_task().examples("train"), recipe.train.limit))
    return math.ceil((recipe.train.epochs or 1.0) * rows / recipe.train.batch)
