"""From the name of a recipe to a run folder: everything that the loop is given is made here."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.schema import Recipe
from tacit.recipe.training import Eval
from tacit.registry import nearest

if TYPE_CHECKING:
    from tacit.train.begin import Resume
    from tacit.train.fit import Evaluate

Overrides = Sequence[str] | Mapping[str, Any]
OnLine = Callable[[Mapping[str, Any]], None]


def train(
    name_or_path: str | Path,
    overrides: Overrides = (),
    *,
    out: str | Path | None = None,
    resume: "Resume" = None,
    from_run: str | Path | None = None,
    tiny: bool = False,
    time_limit: float | None = None,
    on_line: OnLine | None = None,
) -> Path:
    """Train by a recipe and return the run folder.

    A recipe with `run.after` is the last of a chain: what comes before is trained first, and goes on where it was stopped.
    `overrides` are dotted fields, as a mapping or as `key=value` words. `out` is the run folder. `resume` goes on from the
    newest checkpoint (True) or from that of a step; a folder that is not there yet is begun. `from_run` starts from the
    weights of another run or of any model folder. `tiny` makes the run as small as a test. `time_limit` is in minutes.
    `on_line` is told every line of metrics.jsonl as it is written.
    """
    places = {"run.folder": out, "model.path": from_run}
    given = _with(overrides, {path: str(value) for path, value in places.items() if value is not None})
    if from_run is not None:
        given = _with(given, {"run.after": None})
    recipe = load(name_or_path, given, tiny=tiny).recipe
    one = partial(_train, on_line=on_line)
    if recipe.run.after is None:
        return one(recipe, resume, time_limit)

    from tacit.train.chain import train_chain

    return train_chain(recipe, resume, time_limit, one)


def train_together(
    name_or_path: str | Path,
    overrides: Overrides,
    seeds: Sequence[int],
    folders: Sequence[Path],
    *,
    resume: "Resume" = None,
    tiny: bool = False,
    time_limit: float | None = None,
) -> list[Path]:
    """Train a recipe with several seeds side by side, each as if it were alone, and return their run folders."""
    from tacit.models.making import thinker_from_recipe
    from tacit.train.team import Member, fit_team
    from tacit.train.token_cache import encode_cached

    recipes = [
        load(name_or_path, _with(_with(overrides, {"run.folder": str(folder)}), {"train.seed": seed}), tiny=tiny).recipe
        for seed, folder in zip(seeds, folders, strict=True)
    ]
    first = recipes[0]
    if first.run.after is not None:
        raise TacitError("run.after: a chain of runs is trained seed by seed; leave --seeds and --together out")
    task = first.resolved_task()
    examples = list(islice(task.examples("train"), first.train.limit))
    thinkers = [thinker_from_recipe(recipe, examples) for recipe in recipes]
    members = [
        Member(recipe, thinker, folder, evaluation(recipe, folder))
        for recipe, thinker, folder in zip(recipes, thinkers, folders)
    ]
    encoded = encode_cached(examples, thinkers[0].tokenizer, task.template)
    return fit_team(members, first.method.settings, encoded, resume=resume, time_limit=time_limit)


def _train(recipe: Recipe, resume: "Resume", time_limit: float | None, on_line: OnLine | None) -> Path:
    from tacit.methods.base import World
    from tacit.models.making import thinker_from_recipe
    from tacit.train.fit import fit
    from tacit.train.token_cache import encode_cached

    task = recipe.resolved_task()
    examples = list(islice(task.examples("train"), recipe.train.limit))
    thinker = thinker_from_recipe(recipe, examples)
    folder = Path(str(recipe.run.folder))
    graded = task.model_copy(update={"template": task.template.filled(thinker.tokenizer)})
    return fit(
        recipe,
        thinker,
        recipe.method.settings,
        encode_cached(examples, thinker.tokenizer, task.template),
        folder=folder,
        resume=resume,
        evaluate=evaluation(recipe, folder),
        time_limit=time_limit,
        on_line=on_line,
        world=World(graded, examples, recipe.train.seed),
    )


def evaluation(recipe: Recipe, folder: Path) -> "Evaluate":
    """Answer and grade the split that the recipe evaluates on; the rows of the last time are in samples.jsonl. Texts are only
    read."""
    from tacit.evaluate import evaluate_questions
    from tacit.evaluate.texts import evaluate_texts
    from tacit.train.ranks import is_main

    task, settings = recipe.resolved_task(), recipe.eval
    examples = list(islice(task.examples(settings.split), settings.limit))
    check_best(settings, texts=bool(examples and examples[0].text))
    if examples and examples[0].text:
        return lambda thinker, stage, step: evaluate_texts(
            thinker, recipe.method.settings, task.template, examples, settings
        )

    def evaluate(thinker, stage: int | None, step: int) -> dict[str, float]:
        report = evaluate_questions(thinker, recipe.method.settings, task, task.template, examples, settings, stage)
        if is_main():
            report.write_rows(folder / "samples.jsonl")
        return report.metrics()

    return evaluate


def check_best(settings: Eval, texts: bool) -> None:
    """Refuse a best metric that no evaluation of this kind will tell, before anything is learned. Of texts, each method tells
    numbers of its own; entries of tables depend on the questions. What is wrong there, the first evaluation says."""
    from tacit.evaluate import likelihoods, report

    name = settings.best_metric.lstrip("-")
    if texts and name == "accuracy":
        raise TacitError(
            f"eval.best_metric is {settings.best_metric}, and texts are read, not answered; set eval.best_metric: -nll"
        )
    known = likelihoods.NUMBERS if settings.check == "likelihood" else report.NUMBERS
    if not texts and "/" not in name and name not in known:
        raise TacitError(
            f"eval.best_metric is {settings.best_metric}, and with eval.check: {settings.check} there is no number "
            f"{name!r}{nearest(name, known)}. Known: {', '.join(known)}"
        )


def _with(overrides: Overrides, more: Mapping[str, Any]) -> Overrides:
    if isinstance(overrides, Mapping):
        return {**overrides, **more}
    return [*overrides, *(f"{path}={json.dumps(value)}" for path, value in more.items())]
