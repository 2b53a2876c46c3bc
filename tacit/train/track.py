"""Trackers: the lines of metrics.jsonl, sent somewhere else as well. The run folder never depends on them."""

from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from tacit.errors import TacitError
from tacit.recipe.schema import Recipe


class Tracker(NamedTuple):
    """Where lines go, and what to do behind the last one."""

    send: Callable[[Mapping[str, Any]], None]
    close: Callable[[], None]


def open_tracker(recipe: Recipe, folder: Path) -> Tracker:
    """The tracker of `train.track`; `none` swallows everything."""
    kind = recipe.train.track
    if kind == "none":
        return Tracker(lambda line: None, lambda: None)
    try:
        if kind == "tensorboard":
            return _tensorboard(folder)
        return _service(import_module(kind), recipe, folder)
    except ImportError as error:
        raise TacitError(
            f"{kind} cannot be imported ({error}); pip install {kind}, or set train.track: none"
        ) from error


def _tensorboard(folder: Path) -> Tracker:
    writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder / "tensorboard"))

    def send(line: Mapping[str, Any]) -> None:
        for name, value in numbers(line).items():
            writer.add_scalar(name, value, line["step"])

    return Tracker(send, writer.close)


def _service(service: Any, recipe: Recipe, folder: Path) -> Tracker:
    """wandb, and trackio, which has its face."""
    service.init(project="tacit", name=recipe.run.name or folder.name, config=recipe.model_dump(mode="json"))
    return Tracker(lambda line: service.log(numbers(line), step=line["step"]), service.finish)


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in line.items() if name != "step" and isinstance(value, int | float)}
