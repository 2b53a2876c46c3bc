"""Each step of the pipeline as the command lines that do it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.bolt.command_lines import Line, line
from tacit.bolt.cost import FLOPS_STEPS, matched_steps
from tacit.bolt.pipeline import Pipeline
from tacit.errors import TacitError
from tacit.registry import nearest

JUDGEMENT = "-judged"
"""Behind a run's name: the folder of its held-out bound."""


def warm(pipeline: Pipeline, data: str | None, seed: int | None = None) -> list[Line]:
    """The model of the warm start, or one of the same size that learns from other data."""
    fields = _dotted_data(pipeline, data, 0) if data else dict(pipeline.filled(pipeline.rounds.warm, 0))
    return [_train(pipeline, fields, pipeline.folder / (f"warm-{data}" if data else "warm"), None, seed)]


def infer(pipeline: Pipeline, words: Sequence[str], number: int) -> list[Line]:
    """Plan, work, merge."""
    place = pipeline.place(number)
    return [
        line("bolt", "plan", *words, "--out", pipeline.folder, "--round", number),
        line("bolt", "work", place, processes=pipeline.workers),
        line("bolt", "merge", place),
    ]


def learn(
    pipeline: Pipeline, words: Sequence[str], number: int, data: str | None, seed: int | None = None
) -> list[Line]:
    """The model of a round, or a baseline beside it. How many steps cost as much as the rounds did is known when these are over,
    so a baseline of that kind has a line that finds out."""
    if data is None:
        fields, out, start = pipeline.learn_fields(number), pipeline.model(number), pipeline.start(number)
        return [_train(pipeline, fields, out, start, seed)]
    fields = _dotted_data(pipeline, data, number)
    if FLOPS_STEPS in fields.values():
        told = ("bolt", "match", *words, "--out", pipeline.folder, "--round", number, "--data", data)
        return [line(*told, *(() if seed is None else ("--seed", seed)))]
    return [_train(pipeline, fields, _baseline(pipeline, data, number), None, seed)]


def match(pipeline: Pipeline, number: int, data: str, seed: int | None = None) -> list[Line]:
    """A baseline with the steps that cost what the rounds up to this one did."""
    fields = _dotted_data(pipeline, data, number)
    steps = matched_steps(pipeline, fields, number)
    fields = {key: steps if value == FLOPS_STEPS else value for key, value in fields.items()}
    return [_train(pipeline, fields, _baseline(pipeline, data, number), None, seed)]


def finetune(
    pipeline: Pipeline, task: str, number: int, data: str | None, seeds: Sequence[int], trial: int | None = None
) -> list[Line]:
    """A fine-tuned model for each seed, then what all of them answer. Models of plain text are asked in plain text."""
    model = trained(pipeline, number, data, trial)
    fields = _dotted_data(pipeline, data, number) if data else {}
    plain = fields.get("method.order", pipeline.recipe.method.settings.model_dump().get("order")) == "none"
    place = model.with_name(f"{model.name}-{task}")
    changes = [f"{key}={json.dumps(value)}" for key, value in pipeline.rounds.finetune.items()]
    told = ("train", f"bolt/finetune-{task}", *(["method.order=none"] if plain else ()), *changes)
    lines = [
        line(*told, f"train.seed={seed}", "--from", model, "--out", place / f"seed-{seed}", "--resume")
        for seed in seeds
    ]
    return [*lines, line("bolt", "tally", place)]


def judge(pipeline: Pipeline, number: int, trial: int | None = None) -> dict[str, float]:
    """The held-out bound of a trial of a round; that of the first trial stands where `run` puts it."""
    model = trained(pipeline, number, None, trial)
    place = pipeline.place(number) if number and trial is None else model.with_name(f"{model.name}{JUDGEMENT}")
    return pipeline.judge(model, place)


def trained(pipeline: Pipeline, number: int, data: str | None = None, trial: int | None = None) -> Path:
    """The run that `warm` (round 0) or `learn` made, with the seed of a further trial."""
    if data is not None:
        return _of_trial(_baseline(pipeline, data, number), trial)
    if trial is None:
        return pipeline.model(number)
    return _of_trial(pipeline.model(number) if number else pipeline.folder / "warm", trial)


def _baseline(pipeline: Pipeline, data: str, number: int) -> Path:
    """Where `warm --data` (round 0) or `learn --data` puts a model."""
    if number == 0:
        return pipeline.folder / f"warm-{data}"
    matched = FLOPS_STEPS in _dotted_data(pipeline, data, number).values()
    return (pipeline.place(number) if matched else pipeline.folder) / data


def _of_trial(run: Path, seed: int | None) -> Path:
    """The first trial has the recipe's seed and no name of its own."""
    return run if seed is None else run.with_name(f"{run.name}-seed-{seed}")


def _dotted_data(pipeline: Pipeline, data: str, number: int) -> dict[str, Any]:
    known = pipeline.rounds.data
    if data not in known:
        raise TacitError(
            f"{pipeline.name} has no data {data!r}{nearest(data, known)}. bolt.data names: {', '.join(known) or 'none'}"
        )
    return pipeline.filled(known[data], number)


def _train(pipeline: Pipeline, fields: dict[str, Any], out: Path, start: Path | None, seed: int | None) -> Line:
    if seed is not None:
        if seed == fields.get("train.seed", pipeline.recipe.train.seed):
            raise TacitError(
                f"seed {seed} is that of the run without --seed, which is the first trial: {out}. Give another one"
            )
        fields, out = {**fields, "train.seed": seed}, _of_trial(out, seed)
    begins = ("--from", start) if start else ()
    return line("train", pipeline.name, *pipeline.with_fields(fields), "--out", out, *begins, "--resume")
