"""Folders of the published internalization code: a `config.json` that only names the base model, and all weights in one torch
file, under the names that they had inside a wrapper."""

import json
from pathlib import Path
from typing import Any

import torch

from tacit.errors import ModelError
from tacit.models.places import find_file, find_folder, unreachable
from tacit.models.positions import grow_positions, position_table

WEIGHTS = "state_dict.bin"
WRAPPER = "base_model."
BUFFERS = (".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq")
"""What old versions of the library saved besides weights."""
OURS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "adapter_config.json")


def is_wrapped(place: str, revision: str | None = None) -> bool:
    """Whether this is such a folder, and no ordinary one with such a file in it."""
    if find_file(place, WEIGHTS, revision) is None:
        return False
    return all(find_file(place, name, revision) is None for name in OURS)


def architecture_of(place: str, revision: str | None = None) -> str:
    """Where the configuration of a model is: the place itself, or the base model that it names."""
    return _named(place, revision, "base_model") if is_wrapped(place, revision) else place


def words_of(place: str, revision: str | None = None) -> str:
    """Where the tokenizer of a model is: the place itself, or the one that it names."""
    if not is_wrapped(place, revision) or find_file(place, "tokenizer_config.json", revision):
        return place
    return _named(place, revision, "tokenizer_name", "base_model")


def _named(place: str, revision: str | None, *keys: str) -> str:
    file = find_file(place, "config.json", revision)
    try:
        facts = json.loads(file.read_text(encoding="utf-8")) if file else {}
    except ValueError as error:
        raise ModelError(f"{place}: config.json cannot be read ({error}); copy the folder again") from error
    if "model_type" in facts and "base_model" not in facts:
        return place
    name = next((facts[key] for key in keys if isinstance(facts.get(key), str)), None)
    if name is None:
        raise ModelError(
            f"{place} holds {WEIGHTS}, and its config.json does not say which model these weights belong to; add "
            '"base_model": "gpt2", say, to it'
        )
    return find_folder(name)


def load_wrapped(place: str, revision: str | None, **options: Any) -> Any:
    """The model, with as many rows for tokens and positions as its weights have."""
    from transformers import AutoConfig, AutoModelForCausalLM

    base = architecture_of(place, revision)
    try:
        config = AutoConfig.from_pretrained(base)
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{place} holds the weights of {base} and not its configuration: {unreachable(base, error)}"
        ) from error
    model = AutoModelForCausalLM.from_config(config, **options)
    weights = _read(place, revision)
    rows = weights.get(f"{_name_of(model, model.get_input_embeddings())}.weight")
    if rows is not None and len(rows) != len(model.get_input_embeddings().weight):
        model.resize_token_embeddings(len(rows), mean_resizing=False)
    table = position_table(model)
    positions = weights.get(f"{_name_of(model, table)}.weight") if table is not None else None
    if positions is not None:
        grow_positions(model, len(positions) - getattr(table, "offset", 0))
    _fill(model, weights, place)
    return model.eval()


def _read(place: str, revision: str | None) -> dict[str, torch.Tensor]:
    file = find_file(place, WEIGHTS, revision)
    assert file is not None
    try:
        state = torch.load(Path(file), map_location="cpu", weights_only=True)
        return {name.removeprefix(WRAPPER): tensor for name, tensor in state.items()}
    except Exception as error:
        said = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{file} cannot be read as named tensors ({said}), and nothing else is read from such a file, since it could "
            "run code; copy it again, or save it again with torch.save(model.state_dict(), …)"
        ) from error


def _name_of(model: Any, wanted: Any) -> str:
    return next(name for name, module in model.named_modules() if module is wanted)


def _fill(model: Any, weights: dict[str, torch.Tensor], place: str) -> None:
    weights = {name: tensor for name, tensor in weights.items() if not name.endswith(BUFFERS)}
    try:
        lost = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise ModelError(f"{place}: its weights have other sizes than {type(model).__name__} ({error})") from error
    tied = set(getattr(model, "all_tied_weights_keys", {}))
    missing = [name for name in lost.missing_keys if name not in tied and not name.endswith(BUFFERS)]
    if wrong := [*missing, *lost.unexpected_keys]:
        what = "has no weights for" if missing else f"has weights that {type(model).__name__} does not know:"
        raise ModelError(
            f"{place} {what} {', '.join(wrong[:3])}{', …' if len(wrong) > 3 else ''}; it is another model's"
        )
    model.tie_weights()
