"""From a block of option variables to the recipe that it stands for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tacit.compat.adaptive import grpo, sft
from tacit.compat.adaptive.option import Chosen, Registry, choose, refuse
from tacit.compat.adaptive.rules import contradictions
from tacit.errors import TacitError
from tacit.recipe import Loaded, load
from tacit.recipe.faults import FaultyRecipe
from tacit.recipe.layers import overlay
from tacit.recipe.reader import COMMAND_LINE, flatten, read_words

SFT, GRPO = "sft", "grpo"
BASE = "fragments/adaptive"
"""What all runs have in common: data, words around a question, precision."""
FOLDERS = {SFT: "checkpoints", GRPO: "grpo_checkpoints"}
REGISTRIES: dict[str, Mapping[str, Registry]] = {
    SFT: {
        "LATENT_SETTINGS_OPTIONS": sft.LATENT,
        "LORA_CONFIG_OPTIONS": sft.LORA,
        "TRAINING_CONFIG_OPTIONS": sft.TRAINING,
        "VAL_CONFIG_OPTIONS": sft.VALIDATION,
    },
    GRPO: {
        "LORA_CONFIG_OPTIONS": sft.LORA,
        "TRAINING_CONFIG_OPTIONS": grpo.TRAINING,
        "GRPO_CONFIG_OPTIONS": grpo.CONFIG,
        "VAL_CONFIG_OPTIONS": sft.VALIDATION,
    },
}


@dataclass
class Plan:
    """A recipe in the making."""

    kind: str
    """sft or grpo."""
    base: str
    """The recipe that it extends."""
    chosen: Sequence[Chosen] = ()
    values: dict[str, Any] = field(default_factory=dict)
    """What is set on top of it, by dotted path."""
    origins: dict[str, str] = field(default_factory=dict)
    """The variable, and the option in it, that each path came from."""
    notes: list[str] = field(default_factory=list)
    """What the user should know, a line each."""

    def put(self, fields: Mapping[str, Any], origin: str) -> None:
        for path, value in fields.items():
            self.values[path] = value
            self.origins[path] = origin


def kind_of(variables: Mapping[str, str]) -> str:
    """Which script a block is for: only that of GRPO has options of GRPO."""
    return GRPO if "GRPO_CONFIG_OPTIONS" in variables else SFT


def plan(variables: Mapping[str, str], words: Sequence[str] = (), kind: str | None = None) -> tuple[Plan, Loaded]:
    """The recipe of a block. All that is wrong, with the options and with the recipe, is raised in one error. `words` are
    overrides, `train.lr=1e-4`, on top."""
    made, faults = translate(variables, kind or kind_of(variables))
    given, wrong = read_words(words)
    faults += [f"{fault.path}: {fault.sentence}" for fault in wrong]
    # A layer of its own, so that another task or method replaces what the options said about theirs.
    made.values = {path: setting.value for path, setting in overlay(flatten(made.values, ""), given).items()}
    made.origins |= dict.fromkeys(given, COMMAND_LINE)
    loaded = _judged(made, faults)
    refuse("this block of options", faults)
    assert loaded is not None
    return made, loaded


def translate(variables: Mapping[str, str], kind: str) -> tuple[Plan, list[str]]:
    """What the options of a block set, and what is wrong with them."""
    faults: list[str] = []
    registries = REGISTRIES[kind]
    for name in variables:
        if name.endswith("_OPTIONS") and name not in registries:
            faults.append(
                f"{name}: scripts/{kind}.bash reads no such variable; leave it empty, or take the other script"
            )
    chosen = [one for name in registries for one in choose(name, variables.get(name, ""), registries, faults)]
    made = Plan(kind, BASE, chosen)
    made.notes += [f"{one.told}: {one.option.note}" for one in chosen if one.option.note]
    if variables.get("LORA_CONFIG_OPTIONS"):
        made.put(sft.UNSAID_ADAPTED, "no option")
    else:
        made.put({"model.lora": None, "model.dtype": "auto"}, "no LORA_CONFIG_OPTIONS")
    if kind == SFT:
        _supervised(made, variables)
        _decay(made)
    else:
        grpo.translate(made, variables, faults)
    faults += contradictions(made, variables)
    _common(made, variables, faults)
    return made, faults


def _decay(made: Plan) -> None:
    if not any(one.name == "no_decay_some_params" for one in made.chosen):
        made.notes.append(
            "no_decay_some_params: left out, and still biases, norms and tokens of thinking do not decay here"
        )


@contextmanager
def as_file(loaded: Loaded) -> Iterator[Path]:
    """The recipe as a file, for what takes the name of one; `--tiny` shrinks what a file says, and not what is set on top."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "recipe.yaml"
        file.write_text(loaded.dump(), encoding="utf-8")
        yield file


def merged(chosen: Iterable[Chosen], made: Plan) -> None:
    """Later options win, as in the published code; what an earlier one said is then told."""
    for one in chosen:
        for path, value in one.fields.items():
            before = made.origins.get(path, "")
            if before.startswith(one.variable) and made.values[path] != value:
                made.notes.append(f"{before} gives way to {one.name}")
        made.put(one.fields, one.told)


def _supervised(made: Plan, variables: Mapping[str, str]) -> None:
    modes = [one.fields["method.name"] for one in made.chosen if "method.name" in one.fields]
    silent = modes[-1:] == ["distill"]
    made.put(sft.UNSAID | (sft.UNSAID_SILENT if silent else {}), "no option")
    merged(made.chosen, made)
    if silent:
        _cap(made)
    else:  # what belongs to silent steps is a contradiction, and told as one
        made.values = {
            path: value for path, value in made.values.items() if not path.startswith("method.") or path in sft.UNSAID
        }
    if "MODEL_PATH_OR_REPO" in variables:
        made.put({"model.path": variables["MODEL_PATH_OR_REPO"]}, "MODEL_PATH_OR_REPO")


def _cap(made: Plan) -> None:
    """The published code has no cap on thoughts, so that of ours is never below what is learned."""
    cap, counts = "method.thoughts.max_latents", "method.latents.{}"
    most = made.values[counts.format("most")]
    learned = made.values[counts.format("plus")] if most is None else most
    if learned > made.values[cap]:
        made.put({cap: learned}, made.origins[counts.format("plus")])


def _common(made: Plan, variables: Mapping[str, str], faults: list[str]) -> None:
    name = variables.get("DIR_NAME")
    if name:
        place = Path(variables.get("SAVE_DIR_OVERRIDE", FOLDERS[made.kind])) / name
        made.put({"run.folder": str(place), "run.name": name}, "DIR_NAME")
    else:
        faults.append('DIR_NAME: is missing; name the folder of results, such as DIR_NAME="latent-6"')
    try:
        if "MICRO_BATCH_SIZE" in variables:
            made.put({"train.micro_batch": _micro_batch(made, variables)}, "MICRO_BATCH_SIZE")
        elif made.kind == GRPO:
            made.put({"train.micro_batch": "auto"}, "no MICRO_BATCH_SIZE")
        else:
            batch = made.values.get("train.batch", 0)
            if 0 < batch < 32:  # what a fragment splits into pieces may be smaller than a piece
                made.put({"train.micro_batch": batch}, "no MICRO_BATCH_SIZE")
        if "TIME_LIMIT" in variables:
            made.put({"train.time_limit": 60 * _number(variables, "TIME_LIMIT", float)}, "TIME_LIMIT")
    except TacitError as error:
        faults.append(str(error))


def _micro_batch(made: Plan, variables: Mapping[str, str]) -> int | str:
    """Rows of a pass; with GRPO, whose rows are questions, completions are given."""
    if variables["MICRO_BATCH_SIZE"] == "auto":
        return "auto"
    size = _number(variables, "MICRO_BATCH_SIZE", int)
    return max(1, size // max(1, made.values["method.group"])) if made.kind == GRPO else size


def _number(variables: Mapping[str, str], name: str, kind: type) -> Any:
    try:
        return kind(variables[name])
    except ValueError:
        what = "rows of a process and a pass" if kind is int else "hours"
        raise TacitError(f"{name}: {variables[name]} is no number of {what}") from None


def _judged(made: Plan, faults: list[str]) -> Loaded | None:
    """The recipe, or its faults under the names of the options that they came from."""
    try:
        loaded = load(made.base, made.values, disk=False)
    except FaultyRecipe as wrong:
        faults += [f"{_told(fault.path, made)}: {fault.sentence}" for fault in wrong.faults]
        return None
    told = {path: _origin(path, made) or origin for path, origin in loaded.origins.items()}
    return replace(loaded, name=str(made.values.get("run.name", made.base)), origins=told)


def _told(path: str, made: Plan) -> str:
    """The option that a place was set by; for a group of places the group, and the options in it."""
    origin = _origin(path, made)
    if origin is not None and origin != COMMAND_LINE:
        return origin
    below = {one.name: None for one in made.chosen for field in one.fields if field.startswith(f"{path}.")}
    return f"{path} ({', '.join(below)})" if below else path


def _origin(path: str, made: Plan) -> str | None:
    """Where a place, or the group that it was set with, comes from."""
    known = [above for above in made.origins if f"{path}.".startswith(f"{above}.")]
    return made.origins[max(known, key=len)] if known else None
