"""Runs that build on each other: what a recipe begins with is trained first; when all are finished, they are tested and put into
one table. Each run can be stopped anywhere, and the same command goes on with the one that was not finished."""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.schema import Recipe
from tacit.train.begin import Resume
from tacit.train.folder import RunFolder
from tacit.train.ranks import is_main

Train = Callable[[Recipe, Resume, float | None], Path]
"""(recipe, where to go on, minutes) -> the run folder."""


def train_chain(recipe: Recipe, resume: Resume, time_limit: float | None, train: Train) -> Path:
    """The folder of the last run, or of an earlier one in which the time was over."""
    deadline = None if time_limit is None else time.monotonic() + 60 * time_limit
    chain = [*earlier(recipe), recipe]
    for one in chain:
        last = one is recipe
        if not last and _finished(one):
            continue
        left = None if deadline is None else max(0.0, deadline - time.monotonic()) / 60
        folder = train(one, resume if last else True, left)
        if not _finished(one):
            return folder
    if is_main():
        _conclude(chain)
    return _folder(recipe)


def earlier(recipe: Recipe) -> list[Recipe]:
    """The recipes that must be trained before this one, the first first."""
    found: list[Recipe] = []
    names: list[str] = []
    while (name := recipe.run.after) is not None:
        if name in names:
            raise TacitError(
                f"recipes wait for each other in a circle: {' → '.join([*names, name])}; set run.after: null"
            )
        before = load(name).recipe
        if _folder(before) not in [Path(str(recipe.model.path)), *Path(str(recipe.model.path)).parents]:
            raise TacitError(
                f"run.after: {name} makes {_folder(before)}, and this recipe begins with {recipe.model.path}; set "
                f"model.path: {_folder(before)}, or run.after: null"
            )
        names.append(name)
        found.insert(0, before)
        recipe = before
    return found


def _folder(recipe: Recipe) -> Path:
    return Path(str(recipe.run.folder))


def _finished(recipe: Recipe) -> bool:
    return RunFolder(_folder(recipe)).manifest().get("status") == "finished"


def _conclude(chain: Sequence[Recipe]) -> None:
    from tacit.evaluate import evaluate
    from tacit.study.conclude import TEST, conclude

    for one in chain:
        file = _folder(one) / TEST
        if not file.exists():
            report = evaluate(_folder(one), split="test", limit=one.eval.limit)
            RunFolder(_folder(one)).write(TEST, json.dumps(report.summary(), indent=1) + "\n")
    conclude([_folder(one) for one in chain])
