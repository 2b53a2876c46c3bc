"""Who is evaluated, and on what: a folder says which method, task and words its model was trained with.

Everything a folder does not say may be given; what is given wins. A folder without `thought.json` is any causal language
model: it is asked the question and nothing else.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from pydantic import ValidationError

from tacit.errors import TacitError
from tacit.example import Example, Template
from tacit.methods import METHODS
from tacit.methods.base import Method
from tacit.methods.cot import Cot
from tacit.models.folder import read_facts
from tacit.models.places import find_weights
from tacit.recipe.choice import choose
from tacit.recipe.explain import owners
from tacit.recipe.reader import put, read_mapping, read_words, tree
from tacit.recipe.training import Eval
from tacit.registry import nearest, resolve
from tacit.tasks import TASKS
from tacit.tasks.base import Split, Task, check_split
from tacit.tasks.rows import Rows

if TYPE_CHECKING:
    from tacit.thinker import Thinker

REGISTRIES: dict[str, Mapping[str, Any]] = {"method": METHODS, "task": TASKS}


class Subject(NamedTuple):
    """Everything `evaluate_split` needs."""

    thinker: "Thinker"
    method: Method
    task: Task
    template: Template
    examples: list[Example]
    settings: Eval
    run: str


def load_for_eval(
    run: "str | Path | Thinker",
    task: str | Task | None = None,
    data: str | Path | None = None,
    *,
    words: Sequence[str] = (),
    split: str | None = None,
    limit: int | None = None,
    plain: bool = False,
    **settings: Any,
) -> Subject:
    """A run folder, a checkpoint, any model folder or hub id, or a thinker that is loaded already. `words` set fields of the
    task, such as task.test=dev.jsonl; `settings` are fields of a recipe's section `eval`, and those of the run stand in for
    what is not given. `plain`: as the language model that it is without its method, so without thoughts."""
    from tacit.thinker import Thinker

    if task is not None and data is not None:
        raise TacitError("a task brings its own questions, so give --task or --data, not both")
    thinker, folder = (run, None) if isinstance(run, Thinker) else (None, find_weights(run))
    facts = run.facts if isinstance(run, Thinker) else read_facts(str(folder)) or {}
    section = _settings(folder, facts, {"split": split, "limit": limit, **settings})
    if thinker is None:
        thinker = Thinker.from_pretrained(str(folder))
    if plain:
        thinker = _plain(thinker)
    chosen, template = _task(thinker.facts, task, data, words, str(folder or "this model"))
    source = chosen if data is None else Rows(test=_file(data))
    part = section.split if data is None else "test"
    return Subject(
        thinker,
        Cot() if plain else method_of(thinker.facts),
        chosen,
        template,
        _examples(source, part, section.limit),
        section,
        "" if folder is None else str(run),
    )


def _plain(thinker: "Thinker") -> "Thinker":
    """The same model with none of the thoughts that it has learned."""
    from tacit.thinker import Thinker

    if thinker.alone:
        raise TacitError(
            "this model thinks by itself before every token, so there is none without thoughts; leave plain out"
        )
    other = Thinker(thinker.model, thinker.tokenizer, thinker.vocab)
    other.facts = thinker.facts
    return other


def method_of(facts: Mapping[str, Any]) -> Method:
    """The method a model was trained with; for any other model, one that asks the question and nothing else."""
    return _chosen("method", facts["method"]) if "method" in facts else Cot()


def template_of(facts: Mapping[str, Any]) -> Template:
    """The words around questions that a model was trained with."""
    return Template(**facts["template"]) if "template" in facts else Template()


def _chosen(kind: str, given: Mapping[str, Any]) -> Any:
    cls = resolve(REGISTRIES[kind], given["name"], kind)
    try:
        return choose(kind, dict(given)).settings
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        if first["type"] == "extra_forbidden" and "." not in where:
            like = owners(kind, where) or nearest(where, cls.model_fields)
            raise TacitError(f"{kind} {given['name']} has no field {where}{like}") from error
        raise TacitError(f"{kind} {given['name']} cannot be used like this: {where}: {first['msg']}") from error


def _task(
    facts: Mapping[str, Any], task: str | Task | None, data: Any, words: Sequence[str], model: str
) -> tuple[Task, Template]:
    if isinstance(task, Task):
        return task, task.template
    given = {"name": task} if task is not None else facts.get("task") or {}
    changed = _changed(given, words)
    if changed:
        chosen = _chosen("task", changed)
        own = task is None and "template" in facts and not any(word.startswith("task.template") for word in words)
        return chosen, template_of(facts) if own else chosen.template
    if data is not None:
        return Rows(test=_file(data)), template_of(facts)
    raise TacitError(
        f"{model} does not say which task it was trained for; name one with --task (tacit ls tasks), or give --data FILE"
    )


def _changed(given: Mapping[str, Any], words: Sequence[str]) -> dict[str, Any]:
    """A task's settings after words such as task.limit=10."""
    said, faults = read_words(words)
    layer = read_mapping({"task": dict(given)}) if given else {}
    for path, setting in said.items():
        if not path.startswith("task."):
            raise TacitError(
                f"{path} is no field of a task: words behind a run set its task, such as task.test=FILE; see --help"
            )
        put(layer, path, setting.value, setting.origin)
    if faults:
        raise TacitError(f"{faults[0].path}: {faults[0].sentence}")
    changed = tree(layer).get("task", {})
    if changed and "name" not in changed:
        raise TacitError(
            f"{words[0]} is a field of a task, and this model does not name one; name it with --task (tacit ls tasks)"
        )
    return changed


def _file(data: str | Path) -> str:
    if not Path(data).expanduser().is_file():
        raise TacitError(f"there is no file {data}")
    return str(Path(data).expanduser())


def _settings(folder: str | None, facts: Mapping[str, Any], given: Mapping[str, Any]) -> Eval:
    """The section `eval` of the run's recipe, or else what the model's folder says of it, under what was given."""
    section: dict[str, Any] = facts.get("eval") or {}
    for place in (Path(folder), *list(Path(folder).absolute().parents)[:2]) if folder else ():
        if (place / "recipe.yaml").is_file():
            recipe = yaml.safe_load((place / "recipe.yaml").read_text(encoding="utf-8"))
            section = recipe.get("eval") or {}
            break
    try:
        return Eval(**section | {key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        raise TacitError(f"eval.{'.'.join(map(str, first['loc']))} {first['input']!r}: {first['msg']}") from error


def _examples(task: Task, split: str, limit: int | None) -> list[Example]:
    check_split(split)
    part: Split = split  # type: ignore[assignment] (checked in the line above)
    return list(islice(task.examples(part), limit))
