"""Checkpoints: an ordinary model folder, and `state/` with all that is needed to go on as if nothing had happened.

state/position.json           where training stands
state/optimizer.safetensors   the optimizer's running averages, by parameter
state/random.safetensors      every process's random numbers
state/trained.safetensors     trained weights that the model folder does not hold under their own name (adapters)
state/checksums.json          of every file above and of the model folder's
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from tacit.errors import ModelError, TacitError
from tacit.thinker import Thinker
from tacit.train.folder import full
from tacit.train.optim import trainable

STATE, SUMS = "state", "checksums.json"
FORMAT = 1
HEADER = {"format": "pt"}


@dataclass
class Position:
    """Where training stands: everything about it that is not a tensor."""

    step: int = 0
    """Optimizer steps done."""
    stage: int | None = None
    """The stage of the last step."""
    began: int = 0
    """The step in which this stage began."""
    seen: int = 0
    """Examples taken so far."""
    epoch: int = 0
    """The pass in which the last step began."""
    tokens: int = 0
    """Tokens read so far."""
    left_out: int = 0
    """Rows so far that did not fit into train.max_length."""
    seconds: float = 0.0
    micro: int = 0
    """The size of micro-batches, which may have shrunk."""
    lines: int = 0
    """Lines of metrics.jsonl."""
    evaluated: int = 0
    """The step of the last evaluation."""
    best: float | None = None
    best_step: int | None = None
    pacing: dict[str, float] = field(default_factory=dict)
    """The state of a curriculum that listens."""
    order: dict[str, Any] = field(default_factory=dict)
    """What decides which examples a step sees; a run that goes on must agree with it."""


def save(
    folder: Path,
    thinker: Thinker,
    optimizer: torch.optim.Optimizer,
    position: Position,
    randoms: Sequence[Mapping[str, Tensor]],
    about: dict[str, Any],
) -> None:
    """Fill an empty folder. `randoms` are those of all processes, in order."""
    thinker.save_pretrained(folder, about)
    state = folder / STATE
    state.mkdir()
    elsewhere = _missing(thinker, _stored(folder))
    if elsewhere:
        save_file(
            {name: p.detach().contiguous() for name, p in elsewhere.items()}, state / "trained.safetensors", HEADER
        )
    tensors, numbers = _optimizer_state(thinker, optimizer)
    save_file(tensors, state / "optimizer.safetensors", HEADER)
    flat = {f"{rank}.{name}": t for rank, random in enumerate(randoms) for name, t in random.items()}
    save_file(flat, state / "random.safetensors", HEADER)
    facts = {"format": FORMAT, **asdict(position), "optimizer": numbers}
    (state / "position.json").write_text(json.dumps(facts, indent=1) + "\n")
    (state / SUMS).write_text(json.dumps(checksums(folder), indent=1) + "\n")


def load(
    folder: Path, thinker: Thinker, optimizer: torch.optim.Optimizer, rank: int
) -> tuple[Position, dict[str, Tensor] | None]:
    """Put weights and optimizer back. Returns the position, and this process's random numbers if it had any."""
    verify(folder)
    state = folder / STATE
    facts = json.loads((state / "position.json").read_text())
    if facts["format"] != FORMAT:
        raise ModelError(f"{folder} was written in format {facts['format']}, and this version resumes format {FORMAT}")
    _load_weights(folder, thinker)
    _load_optimizer(thinker, optimizer, load_file(state / "optimizer.safetensors"), facts["optimizer"])
    random = load_file(state / "random.safetensors")
    mine = {name.partition(".")[2]: t for name, t in random.items() if name.startswith(f"{rank}.")}
    names = {f.name for f in fields(Position)}
    return Position(**{name: value for name, value in facts.items() if name in names}), mine or None


def checksums(folder: Path) -> dict[str, str]:
    """SHA-256 of every file but the list of them itself."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS):
        with path.open("rb") as file:
            found[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def verify(folder: Path) -> None:
    """Refuse a checkpoint whose files are not those that were written."""
    remedy = "Resume from another checkpoint with --resume STEP, or restore the file"
    try:
        wanted = json.loads((folder / STATE / SUMS).read_text())
    except (OSError, ValueError) as error:
        raise ModelError(
            f"{folder} has no readable {STATE}/{SUMS}, so it cannot be resumed ({error}). {remedy}"
        ) from error
    found = checksums(folder)
    broken = [name for name, sum in wanted.items() if found.get(name) != sum]
    if broken:
        raise ModelError(f"{folder} is damaged: {', '.join(broken)} changed since it was written. {remedy}")


def check_space(target: Path, thinker: Thinker, optimizer: torch.optim.Optimizer | None = None) -> None:
    """Refuse to begin what the disk cannot hold. Without the optimizer, a model folder is meant."""
    tensors = [*thinker.state_dict().values(), *(_optimizer_state(thinker, optimizer)[0].values() if optimizer else ())]
    need = sum(t.numel() * t.element_size() for t in tensors) + (1 << 20)
    free = shutil.disk_usage(next(p for p in target.parents if p.exists())).free
    if free < need:
        raise full(target, f"{need / 1e9:.2f} GB are needed and {free / 1e9:.2f} GB are free")


def _stored(folder: Path) -> dict[str, tuple[Path, str]]:
    """Which file of a model folder holds a tensor, by the name that the thinker gives it."""
    found: dict[str, tuple[Path, str]] = {}
    for path in sorted(folder.glob("*.safetensors")):
        prefix = "feedback." if path.name == "thought.safetensors" else "model."
        with safe_open(path, "pt") as file:
            found |= {prefix + name: (path, name) for name in file.keys()}  # noqa: SIM118 (it is no mapping)
    return found


def _missing(thinker: Thinker, stored: Mapping[str, tuple[Path, str]]) -> dict[str, Tensor]:
    return {name: p for name, p in trainable(thinker).items() if name not in stored}


@torch.no_grad()
def _load_weights(folder: Path, thinker: Thinker) -> None:
    stored = _stored(folder)
    extra = folder / STATE / "trained.safetensors"
    own = load_file(extra) if extra.exists() else {}
    # What a model counts while it is trained is no parameter, and goes on counting all the same.
    counted = {name: buffer for name, buffer in thinker.named_buffers() if name in stored}
    for name, p in (trainable(thinker) | counted).items():
        if name in own:
            value = own[name]
        elif name in stored:
            path, there = stored[name]
            with safe_open(path, "pt") as file:
                value = file.get_tensor(there)
        else:
            raise ModelError(f"{folder} has no weights for {name}: it was written by a run of another recipe")
        if value.shape != p.shape:
            raise ModelError(
                f"{folder} holds {name} as {list(value.shape)}, and this model needs {list(p.shape)}: "
                "it was written by a run of another recipe"
            )
        p.copy_(value)


def _optimizer_state(thinker: Thinker, optimizer: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and plain numbers, as PARAMETER/KEY."""
    names = {id(p): name for name, p in trainable(thinker).items()}
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    seen: set[int] = set()
    for p, state in optimizer.state.items():
        for key, value in state.items():
            if not isinstance(value, Tensor):
                numbers[f"{names[id(p)]}/{key}"] = value
                continue
            # 8-bit averages share their code book, and a file of tensors holds none that share memory.
            shared = value.data_ptr() in seen
            seen.add(value.data_ptr())
            tensors[f"{names[id(p)]}/{key}"] = value.detach().clone() if shared else value.detach().contiguous()
    return tensors, numbers


def _load_optimizer(
    thinker: Thinker, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]
) -> None:
    names = {id(p): name for name, p in trainable(thinker).items()}
    places = {names[id(p)]: i for i, p in enumerate(p for group in optimizer.param_groups for p in group["params"])}
    state: dict[int, dict[str, Any]] = {}
    for place, value in {**tensors, **numbers}.items():
        name, _, key = place.rpartition("/")
        if name not in places:
            raise TacitError(
                f"the checkpoint's optimizer knows a parameter {name}, and this model learns none of that name"
            )
        state.setdefault(places[name], {})[key] = value
    # The optimizer decides itself which of these move to the device.
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
