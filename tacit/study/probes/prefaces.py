"""Several prompts before the same texts, at the same places and with the same random numbers: what each changes."""

import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from tacit.errors import ModelError
from tacit.evaluate.subject import Subject, load_for_eval
from tacit.evaluate.texts import evaluate_texts
from tacit.methods.prompted import Prompted
from tacit.quiet.prompted.prompts import load as load_preface
from tacit.study.probes.thoughts import FOLDER

FILE = "prefaces.json"
NONE = "none"
"""No words in front of a text."""
TOLD = ("nll", "null_nll", "base_nll", "gain", "helps", "used", "thought_tokens")


def probe_prefaces(
    run: str | Path, prefaces: Sequence[str], *, limit: int = 20
) -> tuple[Path | None, list[dict[str, Any]]]:
    """A line for each prompt. `run`: a run of method prompted, where `probes/prefaces.json` is also written; or a recipe, whose
    model is asked as it is before any training."""
    trained = (Path(run) / "recipe.yaml").is_file()
    subject = load_for_eval(run, limit=limit) if trained else _untrained(str(run), limit)
    thinker, method = subject.thinker, subject.method
    if not isinstance(method, Prompted):
        raise ModelError(f"{run} is not asked to think in words; take a run or a recipe of method prompted")
    thinker.eval()
    chosen = {name: _with(method, name) for name in prefaces}  # one that cannot be used is refused before any is tried
    lines = []
    for name, one in chosen.items():
        found = evaluate_texts(thinker, one, subject.template, subject.examples, subject.settings)
        lines.append({"preface": name} | {key: found[key] for key in TOLD})
    if not trained:
        return None, lines
    folder = Path(run) / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / FILE).write_text(json.dumps(lines, indent=1) + "\n", encoding="utf-8")
    return folder / FILE, lines


def _with(method: Prompted, name: str) -> Prompted:
    if name == NONE:
        return method.model_copy(update={"preface": None, "chat": False})
    load_preface(name).check(name, method.annotations)
    return method.model_copy(update={"preface": name})


def _untrained(name: str, limit: int) -> Subject:
    from tacit.models.making import thinker_from_recipe
    from tacit.recipe import load

    recipe = load(name).recipe
    task = recipe.resolved_task()
    examples = list(islice(task.examples(recipe.eval.split), limit))
    thinker = thinker_from_recipe(recipe, examples)
    return Subject(thinker, recipe.method.settings, task, task.template, examples, recipe.eval, "")
