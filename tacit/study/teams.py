"""The seeds of an arm, trained side by side where its method can."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tacit.methods.base import Method
from tacit.recipe import load

Say = Callable[[str], None]


def train_seeds(recipe: str, overrides: Mapping[str, Any], folders: Mapping[int, Path], say: Say) -> None:
    """Train the seeds whose folder holds no finished run; nothing where the method trains one model at a time."""
    left = {seed: folder for seed, folder in folders.items() if not (folder / "final").is_dir()}
    if len(left) < 2 or type(load(recipe, dict(overrides)).recipe.method.settings).team is Method.team:
        return
    from tacit.train.session import train_together

    say(f"{recipe}: seeds {', '.join(map(str, left))} side by side")
    train_together(recipe, dict(overrides), list(left), list(left.values()), resume=True)
