"""A thinker on disk: an ordinary model folder, and two more files.

config.json  model.safetensors  tokenizer.json …     any tool loads the language model itself
(or adapter_config.json  adapter_model.safetensors)   with LoRA; base/ where its base came from nowhere
thought.json            format, tokens, how a silent step is made, which method and task made it
thought.safetensors     the learned parts
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from tacit.errors import ModelError
from tacit.models.places import find_file
from tacit.thinking import Thinking

if TYPE_CHECKING:
    from tacit.thinker import Thinker

FORMAT = 1
FACTS, PARTS = "thought.json", "thought.safetensors"
BASE = "base"
"""The fact that says which weights adapters stand beside."""


def save(thinker: "Thinker", folder: str | Path, about: dict[str, Any] | None = None) -> None:
    """Write the folder, whole or not at all. A thinker that is there already gives way; any other content does not."""
    from safetensors.torch import save_file

    from tacit.models.adapters import fingerprint, is_adapted, save_adapters

    facts = {
        "format": FORMAT,
        "tokens": list(thinker.vocab.extra),
        "thinking": thinker.thinking.model_dump(mode="json"),
        **(about or {}),
    }
    with _whole(Path(folder)) as place, no_bars():
        if is_adapted(thinker.model):
            save_adapters(thinker.model, place)
            facts[BASE] = fingerprint(thinker.model)
        else:
            thinker.model.save_pretrained(place)
        thinker.tokenizer.save_pretrained(place)
        state = {name: tensor.contiguous() for name, tensor in thinker.feedback.state_dict().items()}
        save_file(state, place / PARTS, {"format": "pt"})
        (place / FACTS).write_text(json.dumps(facts, indent=1) + "\n")


def read_facts(place: str, revision: str | None = None) -> dict[str, Any] | None:
    """What `thought.json` says, with `thinking` as settings; None for a plain language model."""
    file = find_file(place, FACTS, revision)
    if file is None:
        return None
    try:
        facts = json.loads(file.read_text())
        written = facts["format"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{place}: {FACTS} cannot be read ({error!r}); copy the folder again") from error
    if written != FORMAT:
        raise ModelError(
            f"{place} was written in format {written}, and this version reads format {FORMAT}. "
            "Use the version of tacit named in its manifest"
        )
    try:
        return {**facts, "tokens": tuple(facts["tokens"]), "thinking": Thinking(**facts["thinking"])}
    except (ValidationError, KeyError, TypeError) as error:
        raise ModelError(f"{place}: {FACTS} does not describe a thinker ({error}); copy the folder again") from error


def load_parts(thinker: "Thinker", place: str, revision: str | None = None) -> None:
    """Fill in the learned parts."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    file = find_file(place, PARTS, revision)
    if file is None:
        raise ModelError(
            f"{place} has no {PARTS}, so the learned parts of its thoughts are lost; copy the folder again"
        )
    try:
        thinker.feedback.load_state_dict(load_file(file))
    except (RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"{place}: {PARTS} does not fit a model of this width with feedback {thinker.thinking.feedback}. Copy the "
            f"folder again, or name the folder that was saved with this model ({error})"
        ) from error


@contextmanager
def _whole(folder: Path) -> Iterator[Path]:
    """A place to write into that takes the folder's name when everything is written."""
    if folder.exists() and not (folder / FACTS).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ModelError(f"{folder} is there already and is no saved thinker; name a folder that is new or empty")
    folder.parent.mkdir(parents=True, exist_ok=True)
    place, old = (folder.with_name(f".{folder.name}.{word}-{os.getpid()}") for word in ("new", "old"))
    for rest in (place, old):
        shutil.rmtree(rest, ignore_errors=True)
    place.mkdir()
    try:
        yield place
        if folder.exists():
            folder.rename(old)
        place.rename(folder)
    finally:
        for rest in (place, old):
            shutil.rmtree(rest, ignore_errors=True)


@contextmanager
def no_bars() -> Iterator[None]:
    """No bars for reading and writing files, which would bury what training prints; downloads keep theirs."""
    from huggingface_hub.utils import are_progress_bars_disabled, enable_progress_bars
    from transformers.utils import logging

    shown, hub_silent = logging.is_progress_bar_enabled(), are_progress_bars_disabled()
    logging.disable_progress_bar()
    if not hub_silent:
        enable_progress_bars()  # the line before silences both
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
