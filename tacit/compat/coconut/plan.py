"""From a published argument file to a recipe."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tacit.compat.coconut.keys import Given, read_file
from tacit.compat.coconut.start import Start, find_start
from tacit.errors import TacitError
from tacit.recipe import Loaded, load
from tacit.recipe.faults import FaultyRecipe

BASE = "fragments/gpt2"
"""What the published runs have in common: AdamW at a constant rate, no warm-up, no clipping."""
MODES = ("coconut", "cot", "no_thoughts", "no_cot")
STAGED = (
    "c_thought",
    "epochs_per_stage",
    "max_latent_stage",
    "pad_latent_to_max",
    "uniform_prob",
    "replacement_method",
)
DEBUG_ROWS, DEBUG_QUESTIONS = 5000, 32


@dataclass
class Plan:
    """A run in the making."""

    given: Given
    values: dict[str, Any] = field(default_factory=dict)
    """What the recipe sets, by dotted path."""
    keys: dict[str, str] = field(default_factory=dict)
    """The key that each path came from."""
    notes: list[str] = field(default_factory=list)
    """What the user should know, a line each."""
    start: Start | None = None
    """The weights to begin with, or to evaluate."""

    def put(self, path: str, value: Any, key: str) -> None:
        self.values[path] = value
        self.keys[path] = key

    @property
    def folder(self) -> Path:
        return run_folder(self.given)

    @property
    def latents(self) -> int | None:
        """Silent steps of a prompt in the stage that `resume` stands for; None where the mode has none."""
        given = self.given.values
        if not given["coconut"]:
            return None
        return min(given["resume"] // given["epochs_per_stage"], given["max_latent_stage"]) * given["c_thought"]


def run_folder(given: Given) -> Path:
    return Path(str(given.values["save_path"])) / str(given.values["name"])


def plan(file: Path) -> Plan:
    """What an argument file asks for. Its faults, and those of the recipe that it becomes, are raised in one error."""
    given = read_file(file)
    made = Plan(given)
    faults = list(given.faults)
    if not faults:
        faults += [told for name in ("train_path", "val_path") if (told := _absent(name, given.values[name]))]
        made.start = find_start(given, faults)
        _model(made)
        _mode(made, faults)
        _optimisation(made, faults)
        _reports(made)
        if "project" in given.named:
            made.notes.append("project: no effect, since no account is needed; train.track sends numbers to a tracker")
    refuse(file, faults)
    return made


def _absent(key: str, path: str) -> str | None:
    if Path(path).expanduser().is_file():
        return None
    gsm = "; make it with bash scripts/preprocessing/gsm_icot.bash" if "gsm" in path else "; tacit data make makes one"
    return f"{key}: there is no file {path}{gsm}"


def judged(made: Plan) -> Loaded:
    """The recipe of a plan. Its faults are told under the names of the keys that they came from."""
    _data(made)
    faults = []
    try:
        return load(BASE, made.values)
    except FaultyRecipe as wrong:
        for fault in wrong.faults:
            key = next((made.keys[path] for path in made.keys if f"{fault.path}.".startswith(f"{path}.")), fault.path)
            faults.append(f"{key}: {fault.sentence}")
    refuse(made.given.file, faults)
    raise AssertionError


def refuse(file: Path, faults: list[str]) -> None:
    """All faults in one error, if there are any."""
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise TacitError(f"{file} cannot be run; {len(faults)} fault{'s' * (len(faults) != 1)}:{listed}")


def _model(made: Plan) -> None:
    values = made.given.values
    path = str(made.start.place) if made.start else values["model_id"]
    made.put("model.path", path, "load_model_path" if made.start else "model_id")
    made.put("run.folder", str(made.folder), "save_path")
    made.put("run.name", values["name"], "name")
    made.put("train.seed", values["seed"], "seed")
    if values["system_prompt"]:
        made.put("template.kind", "chat", "system_prompt")
        made.put("template.system", values["system_prompt"].strip(), "system_prompt")


def _mode(made: Plan, faults: list[str]) -> None:
    values = made.given.values
    modes = [name for name in MODES if values[name]]
    if len(modes) != 1:
        told = f"{' and '.join(modes)} are True" if modes else f"none of {', '.join(MODES)} is True"
        faults.append(f"coconut: {told}; exactly one of them says what is learned")
        return
    [mode] = modes
    made.put("method.name", mode, mode)
    if mode in ("cot", "no_cot"):
        unused = [name for name in STAGED if name in made.given.named]
        made.notes += [f"{', '.join(unused)}: no effect with {mode}, which has no stages"] if unused else []
        made.put("train.epochs", float(values["num_epochs"] - values["resume"]), "num_epochs")
    else:
        _stages(made, mode)
    if values["resume"] >= values["num_epochs"] and not values["only_eval"]:
        faults.append(f"resume: {values['resume']} leaves none of num_epochs: {values['num_epochs']} to train")


def _stages(made: Plan, mode: str) -> None:
    values = made.given.values
    first, rest = divmod(values["resume"], values["epochs_per_stage"])
    if rest and not values["only_eval"]:
        made.notes.append(
            f"resume: epoch {values['resume']} lies within stage {first}, which is trained whole, so {rest} more in all"
        )
    made.put("train.epochs", float(values["num_epochs"] - values["resume"] + rest), "num_epochs")
    made.put("method.first_stage", first, "resume")
    made.put("method.epochs_per_stage", float(values["epochs_per_stage"]), "epochs_per_stage")
    made.put("method.max_stage", values["max_latent_stage"], "max_latent_stage")
    made.put("method.mix", values["uniform_prob"], "uniform_prob")
    if mode == "coconut":
        made.put("method.latents_per_step", values["c_thought"], "c_thought")
        made.put("method.pad_to_max", values["pad_latent_to_max"], "pad_latent_to_max")
        made.put("method.thoughts.source", values["replacement_method"], "replacement_method")
        return
    names = ("c_thought", "pad_latent_to_max", "replacement_method")
    made.notes += [f"{name}: no effect with {mode}" for name in names if name in made.given.named]


def _optimisation(made: Plan, faults: list[str]) -> None:
    values = made.given.values
    told = os.environ.get("WORLD_SIZE", "1").strip()
    if not (told.isdecimal() and int(told)):
        faults.append(
            f"WORLD_SIZE: this variable of the environment is {told!r}, and it counts processes; torchrun sets it, so unset it "
            "for one process"
        )
        return
    ranks = int(told)
    batch = values["batch_size_training"] * values["gradient_accumulation_steps"] * ranks
    made.put("train.batch", batch, "batch_size_training")
    made.put("train.micro_batch", min(values["batch_size_training"], batch), "batch_size_training")
    made.notes.append(
        f"batch_size_training: {batch} rows a step ({values['batch_size_training']} × "
        f"{values['gradient_accumulation_steps']} micro-batches × {ranks} processes); the published runs have 128"
    )
    made.put("train.lr", values["lr"], "lr")
    made.put("train.weight_decay", values["weight_decay"], "weight_decay")
    made.put("train.clip", values["grad_clip"], "grad_clip")
    made.put("train.schedule", values["scheduler"], "scheduler")
    made.put("train.reset_optimizer", "epoch" if values["reset_optimizer"] else "never", "reset_optimizer")
    if values["opt_8b"]:
        made.put("train.optimizer", "adamw_8bit", "opt_8b")
    if values["bf16_weight"]:
        made.put("train.precision", "bf16_weights", "bf16_weight")
    elif values["bf16"]:
        made.put("train.precision", "bf16", "bf16")
        made.notes.append(
            "bf16: bf16 arithmetic over fp32 weights, as in the Qwen variant; the original rounds the weights too, which is "
            "bf16_weight: True here and loses small updates"
        )


def _reports(made: Plan) -> None:
    values = made.given.values
    # The published rule: short answers where the path says gsm.
    made.put("eval.max_tokens", 64 if "gsm" in values["val_path"] else 128, "val_path")
    if "save_only_improve" in made.given.named:
        made.notes.append("save_only_improve: the newest three checkpoints and the best are kept, whatever it says")
    if values["debug"]:
        made.put("train.limit", DEBUG_ROWS, "debug")
        made.put("eval.limit", DEBUG_QUESTIONS, "debug")
    elif values["max_size"]:
        made.put("train.limit", values["max_size"], "max_size")
        made.put("eval.limit", values["max_size"] // 30 + 3, "max_size")


def _data(made: Plan) -> None:
    """The rows. The published code evaluates and saves after each epoch of them."""
    values = made.given.values
    # There is no test file; without one, some rows would be kept out of training.
    task = {"train": values["train_path"], "valid": values["val_path"], "test": values["val_path"]}
    for name, value in task.items():
        made.put(f"task.{name}", value, f"{'train' if name == 'train' else 'val'}_path")
    made.put("task.name", "rows", "train_path")
    # Numbers are compared as numbers; sentences as the published code compares everything, behind the last #.
    made.put("task.extractor", "number@1" if "gsm" in values["val_path"] else "hash@1", "val_path")
    made.put("eval.every", "epoch", "train_path")
    made.put("train.save_every", None if values["debug"] else "epoch", "debug")
