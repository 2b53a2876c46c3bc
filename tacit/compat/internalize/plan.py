"""From the options of the published training command to a recipe."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tacit.compat.internalize.options import Given, refuse
from tacit.compat.internalize.rows import Source, files_of, named
from tacit.recipe import Loaded, load
from tacit.recipe.faults import FaultyRecipe
from tacit.tasks.base import SPLITS

PROGRAM = "src/train.py"
LAYOUTS = {"eos": "fragments/internalization", "ready": "fragments/internalization-ready"}
"""The recipes that hold what both layouts have of their own."""
POSITIONS = 1024
"""Rows of GPT-2's position table."""


@dataclass
class Plan:
    """A recipe in the making."""

    base: str
    """The recipe that it extends."""
    values: dict[str, Any] = field(default_factory=dict)
    """What is set on top of it, by dotted path."""
    options: dict[str, str] = field(default_factory=dict)
    """The option that each path came from."""
    notes: list[str] = field(default_factory=list)
    """What the user should know, a line each."""

    def put(self, path: str, value: Any, option: str) -> None:
        self.values[path] = value
        self.options[path] = option


def plan(given: Given) -> tuple[Plan, Loaded]:
    """The recipe of a command line. All faults, of the options and of the recipe, are raised in one error."""
    values, faults = given.values, list(given.faults)
    made = Plan(LAYOUTS[values["layout"] or ("ready" if values["switch_tokens"] or values["remove_tokens"] else "eos")])
    source = _source(given, faults)
    if source:
        made.notes.append(f"data: {source.told}")
        for name, value in source.task.items():
            made.put(f"task.{name}", value, "the data")
    _model(made, given)
    _optimisation(made, given)
    _reports(made, given)
    _method(made, given, faults)
    if values["save_model"]:
        made.put("run.folder", str(Path(values["save_model"])), "save_model")
        made.put("run.name", Path(values["save_model"]).name or "run", "save_model")
    loaded = _judged(made, faults, complete=source is not None)
    refuse(PROGRAM, faults)
    assert loaded is not None
    return made, loaded


def _source(given: Given, faults: list[str]) -> Source | None:
    values, splits_named = given.values, [f"--{split}_split" for split in SPLITS if f"{split}_split" in given.named]
    if values["data_path"]:
        if Path(values["data_path"]).is_file():
            aimless = ["--data_name"] * ("data_name" in given.named) + splits_named
            faults += [f"{option}: --data_path is a file, which has no such parts; leave it out" for option in aimless]
        if both := [f"--{name}" for name in ("train_path", "val_path") if values[name]]:
            faults.append(f"--data_path and {' and '.join(both)} both say where rows are; leave one of them out")
        splits = {"train": values["train_split"], "valid": values["valid_split"], "test": values["test_split"]}
        source = named(values["data_path"], values["data_name"], splits, faults)
        if source and values["test_path"]:
            faults.append(
                "--test_path goes with --train_path; with --data_path it is --test_split that names test rows"
            )
        return source
    if values["data_name"]:
        faults.append("--data_name is the configuration of a data set, and --data_path does not name one")
    faults += [f"{option} names a part of --data_path, which is not given; leave it out" for option in splits_named]
    if not values["train_path"]:
        faults.append("there are no rows: give --train_path FILE --val_path FILE, or --data_path and --data_name")
        return None
    paths = {"train": values["train_path"], "valid": values["val_path"], "test": values["test_path"]}
    return files_of(paths, faults)


def _model(made: Plan, given: Given) -> None:
    values, named_ = given.values, given.named
    start = values["from_pretrained"]
    made.put("model.path", start or values["model"], "from_pretrained" if start else "model")
    if start and "model" in named_:
        made.notes.append("--model: no effect, since weights and tokenizer come from --from_pretrained")
    if values["reinitialize_weights"] and start:
        made.notes.append("--reinitialize_weights: no effect, since --from_pretrained names weights to start from")
    elif values["reinitialize_weights"]:
        made.put("model.fresh", True, "reinitialize_weights")
    if values["truncation"] > POSITIONS and not start and "gpt2" in values["model"]:
        made.put("model.positions", values["truncation"], "truncation")
    if values["bf16"]:
        made.put("train.precision", "bf16", "bf16")
        made.notes.append(
            "--bf16: bf16 arithmetic over fp32 weights, where the published code rounds the weights too and so loses small "
            "updates (tacit train has train.precision=bf16_weights for that)"
        )


def _optimisation(made: Plan, given: Given) -> None:
    values, named_ = given.values, given.named
    made.put("train.lr", values["lr"], "lr")
    made.put("train.batch", values["batch_size"] * values["accumulate"], "batch_size")
    if values["accumulate"] > 1:
        made.put("train.micro_batch", values["batch_size"], "accumulate")
    made.put("train.clip", values["max_grad_norm"], "max_grad_norm")
    made.put("train.seed", values["seed"], "seed")
    made.put("train.reset_optimizer", "stage" if values["reset_optimizer"] else "never", "reset_optimizer")
    if values["train_steps"]:
        made.put("train.steps", _updates(values, "train_steps"), "train_steps")
        if "epochs" in named_:
            made.notes.append("--epochs: no effect, since --train_steps says when training ends")
    else:
        made.put("train.epochs", values["epochs"], "epochs")
    if values["max_size"] > 0:
        made.put("train.limit", values["max_size"], "max_size")
    longest = [values[name] for name in ("max_len_train", "truncation") if values[name] > 0]
    if longest:
        made.put("train.max_length", min(longest), "max_len_train" if values["max_len_train"] > 0 else "truncation")
    if values["truncation"] > 0:
        positions = " and no position is added, which only a GPT-2 that starts here needs"
        made.notes.append(
            "--truncation: longer rows are left out of their step, since a row that is cut has lost its answer"
            + ("" if "model.positions" in made.values or values["truncation"] <= POSITIONS else positions)
        )


def _reports(made: Plan, given: Given) -> None:
    values = given.values
    made.put("eval.batch", values["batch_size"], "batch_size")
    made.put("eval.max_tokens", values["max_new_tokens"], "max_new_tokens")
    for path, name in (("train.save_every", "save_interval"), ("eval.every", "eval_interval")):
        if name in given.named:
            made.put(path, _updates(values, name), name)
    if "max_remove_length" in given.named:
        made.notes.append(
            "--max_remove_length: no effect, as in the published code, which reads it and does not use it"
        )


def _updates(values: dict[str, Any], name: str) -> int:
    """Micro-batches, in which the published code counts, as optimizer steps."""
    return math.ceil(values[name] / values["accumulate"])


def _method(made: Plan, given: Given, faults: list[str]) -> None:
    values, named_ = given.values, given.named
    if values["remove_tokens"] and "remove_per_epoch" in named_:
        faults.append("--remove_tokens removes by steps and --remove_per_epoch by epochs; leave one of them out")
    switching = values["switch_tokens"]
    removing = values["remove_tokens"] or not switching or "remove_per_epoch" in named_
    _unused(made, given, "remove_tokens", ("remove_from_n_steps", "remove_from_n_tokens", "remove_every_n_step"))
    names = ("switch_from_n_steps", "switch_from_n_rate", "switch_token_ratio", "switch_mode")
    _unused(made, given, "switch_tokens", names)
    made.put("method.name", "filler" if switching else "icot", "switch_tokens")
    if switching:
        made.put("method.supervised", True, "switch_tokens")
        made.put("method.switch", values["switch_mode"], "switch_mode")
        made.put("method.from_step", _updates(values, "switch_from_n_steps"), "switch_from_n_steps")
        made.put("method.from_rate", values["switch_from_n_rate"], "switch_from_n_rate")
        made.put("method.ratio", values["switch_token_ratio"], "switch_token_ratio")
        if values["keep_position"]:
            made.notes.append("--keep_position: no effect; pauses stand where the tokens stood that they replace")
    elif values["keep_position"]:
        made.put("method.positions", "keep", "keep_position")
    if removing:
        _removal(made, given)


def _unused(made: Plan, given: Given, switch: str, names: tuple[str, ...]) -> None:
    if not given.values[switch]:
        made.notes += [f"--{name}: no effect without --{switch}" for name in names if name in given.named]


def _removal(made: Plan, given: Given) -> None:
    values = given.values
    made.put("method.removal.side", values["removal_side"], "removal_side")
    smoothing = values["removal_smoothing_lambda"]
    made.put("method.removal.smoothing", None if math.isinf(smoothing) else smoothing, "removal_smoothing_lambda")
    made.put("method.removal.all_beyond", values["remove_all_when_remove_beyond"], "remove_all_when_remove_beyond")
    if values["remove_tokens"]:
        made.put("method.removal.every", _updates(values, "remove_every_n_step"), "remove_every_n_step")
        made.put("method.removal.from_step", _updates(values, "remove_from_n_steps"), "remove_from_n_steps")
        made.put("method.removal.start_from", values["remove_from_n_tokens"], "remove_from_n_tokens")
        for name in ("remove_start_from", "pretrain_epochs"):
            if name in given.named:
                made.notes.append(f"--{name}: no effect with --remove_tokens, which counts in steps")
        return
    made.put("method.removal.per_epoch", values["remove_per_epoch"], "remove_per_epoch")
    made.put("method.removal.start_from", values["remove_start_from"], "remove_start_from")
    made.put("method.removal.pretrain_epochs", float(values["pretrain_epochs"]), "pretrain_epochs")


def _judged(made: Plan, faults: list[str], complete: bool) -> Loaded | None:
    """The recipe, or its faults under the names of the options that they came from."""
    # Without rows there is no task; any other will do to find what else is wrong.
    values = made.values if complete else {**made.values, "task.name": "rows", "task.train": "rows.txt"}
    try:
        return load(made.base, values)
    except FaultyRecipe as wrong:
        for fault in wrong.faults:
            path = next((known for known in made.options if f"{fault.path}.".startswith(f"{known}.")), None)
            option = made.options[path] if path else ""
            place = f"--{option}" if option and " " not in option else fault.path
            faults.append(f"{place}: {fault.sentence}")
    return None
