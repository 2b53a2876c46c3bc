"""What a run was: versions, commit, seeds, data, hardware, command. Written before the first step."""

import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

import tacit
from tacit.example import Encoded
from tacit.recipe.schema import Recipe
from tacit.train.data import fingerprint

PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "datasets", "safetensors", "numpy")


def manifest(recipe: Recipe, encoded: Sequence[Encoded], processes: int) -> dict[str, Any]:
    """Everything that somebody who wants the same numbers has to know."""
    return {
        "status": "running",
        "started": now(),
        "command": sys.argv,
        "versions": versions(),
        "commit": commit(),
        "seeds": {"train": recipe.train.seed, "task": getattr(recipe.task.settings, "seed", None)},
        "data": {"task": recipe.task.name, "examples": len(encoded), "hash": fingerprint(encoded)},
        "hardware": hardware() | {"processes": processes},
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "tacit": tacit.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> str | None:
    """The commit of this source tree, with a plus where it has changes; None outside a repository."""
    git = ["git", "-C", str(Path(tacit.__file__).parent)]
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10)
        changes = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + ("+" if changes.stdout.strip() else "") if head.returncode == 0 else None


def hardware() -> dict[str, Any]:
    devices = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "machine": platform.platform(),
        "processors": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": devices,
    }
