"""Every key of the published argument files: what it may hold, what it is when it is left out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tacit.errors import TacitError
from tacit.registry import nearest


class Key(NamedTuple):
    """One key. `read` raises a ValueError that says what is expected."""

    read: Callable[[Any], Any]
    default: Any = None


class Given(NamedTuple):
    """An argument file that was read."""

    file: Path
    values: dict[str, Any]
    """Every key's value, the default where it was not given."""
    named: frozenset[str]
    """The keys that were given."""
    faults: list[str]
    """What is wrong with the file, each fault a sentence."""


def switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False is expected")
    return value


def whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError("a whole number from 0 on is expected")
    return value


def count(value: Any) -> int:
    if whole(value) < 1:
        raise ValueError("a whole number above 0 is expected")
    return value


def number(value: Any) -> float:
    try:  # YAML 1.1 takes 1e-4 for a word
        found = float(value)
    except (TypeError, ValueError):
        found = -1.0
    if isinstance(value, bool) or not 0 <= found < float("inf"):
        raise ValueError("a number from 0 on is expected")
    return found


def text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text is expected")
    return value


def perhaps(value: Any) -> str | None:
    """Text, or nothing: the published code says None as a word, as an empty text, or not at all."""
    return None if value in (None, "", "None") else text(value)


SOURCES = {"-1": "last", "-2": "penultimate", "0.5": "middle"}
"""Which state is fed back, by the name that it has in the argument files."""


def source(value: Any) -> str:
    if str(value) not in SOURCES:
        raise ValueError(
            f"one of {', '.join(SOURCES)} is expected; the sources made of suppressed activations are left out, since most of "
            "them crash in the published code and none has a result"
        )
    return SOURCES[str(value)]


def schedule(value: Any) -> str:
    if value not in ("constant", "linear", "cosine"):
        raise ValueError(f"one of constant, linear, cosine is expected{nearest(str(value), ('linear', 'cosine'))}")
    return value


REQUIRED = object()
"""The default of a key that must be given."""

KEYS = {
    "project": Key(perhaps),
    "save_path": Key(text, "outputs"),
    "name": Key(text, REQUIRED),
    "only_eval": Key(switch, False),
    "coconut": Key(switch, False),
    "cot": Key(switch, False),
    "no_thoughts": Key(switch, False),
    "no_cot": Key(switch, False),
    "c_thought": Key(whole, 1),
    "epochs_per_stage": Key(count, 1),
    "max_latent_stage": Key(whole, 0),
    "pad_latent_to_max": Key(switch, True),
    "uniform_prob": Key(number, 0.0),
    "replacement_method": Key(source, "last"),
    "save_only_improve": Key(switch, False),
    "model_id": Key(text, REQUIRED),
    "load_model_path": Key(perhaps),
    "seed": Key(whole, 0),
    "resume": Key(whole, 0),
    "bf16": Key(switch, False),
    "bf16_weight": Key(switch, False),
    "opt_8b": Key(switch, False),
    "train_path": Key(text, REQUIRED),
    "val_path": Key(text, REQUIRED),
    "reset_optimizer": Key(switch, False),
    "batch_size_training": Key(count, 32),
    "gradient_accumulation_steps": Key(count, 1),
    "debug": Key(switch, False),
    "max_size": Key(count, None),
    "num_epochs": Key(count, REQUIRED),
    "lr": Key(number, 1e-4),
    "weight_decay": Key(number, 0.0),
    "grad_clip": Key(number, None),
    "scheduler": Key(schedule, "constant"),
    "system_prompt": Key(perhaps),
}


def read_file(file: Path) -> Given:
    """Read an argument file. Faults are collected, not raised."""
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise TacitError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{file}:{mark.line + 1}" if mark else str(file)
        raise TacitError(f"{place}: not YAML: {getattr(error, 'problem', None) or error}") from error
    if not isinstance(found, Mapping):
        raise TacitError(f"{file} is no argument file: it should consist of lines such as  name: gsm-cot")
    values = {name: key.default for name, key in KEYS.items()}
    faults = [f"{name}: no such key{nearest(str(name), KEYS)}" for name in found if name not in KEYS]
    for name, key in KEYS.items():
        if name not in found:
            if key.default is REQUIRED:
                faults.append(f"{name}: missing")
            continue
        try:
            values[name] = key.read(found[name])
        except ValueError as error:
            faults.append(f"{name}: {found[name]!r}: {error}")
    return Given(file, values, frozenset(found), faults)
