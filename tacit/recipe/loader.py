"""From a name and some overrides to a typed recipe that knows where each value came from.

Layers, lowest first: defaults, what the recipe extends, the recipe, `--tiny`, overrides. All faults come at once: where
a value cannot be decoded, the rules between sections still judge all the others.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tacit.recipe.choice import REGISTRIES, choose, decode
from tacit.recipe.explain import from_pydantic
from tacit.recipe.faults import Fault, FaultyRecipe
from tacit.recipe.layers import overlay, shrink
from tacit.recipe.reader import Layer, Setting, flatten, origin_of, put, read_mapping, read_words, touches, tree, write
from tacit.recipe.rules import absent, impossible
from tacit.recipe.schema import Model, Recipe, Run, Template
from tacit.recipe.sources import default_folder, find, read
from tacit.recipe.training import Eval, Train

SECTIONS = {"model": Model, "template": Template, "train": Train, "eval": Eval, "run": Run}
"""The sections that are the same for every task and method."""


@dataclass(frozen=True)
class Loaded:
    """A recipe, and where each of its values was set."""

    name: str
    recipe: Recipe
    origins: Mapping[str, str]
    """Dotted path of every value → FILE:LINE, "command line", "overrides", "--tiny" or "default"."""

    def values(self) -> Layer:
        """Every value with its origin, by dotted path, in the order of the sections."""
        flat = flatten(self.recipe.model_dump(mode="json"), "default")
        return {path: Setting(setting.value, self.origins[path]) for path, setting in flat.items()}

    def dump(self) -> str:
        """YAML that runs again and loads to the equal recipe."""
        return write(self.recipe.model_dump(mode="json"))


def load(
    name_or_path: str | Path, overrides: Sequence[str] | Mapping[str, Any] = (), tiny: bool = False, disk: bool = True
) -> Loaded:
    """The recipe of a name or a YAML file, with `key=value` words or a mapping on top; all its faults in one error.

    `disk=False` accepts folders and packages that are not there, for looking at a recipe without running it.
    """
    source = find(str(name_or_path))
    layer, faults = read(source)
    incomplete = any(fault.path == "extends" for fault in faults)
    given, wrong = (read_mapping(overrides), []) if isinstance(overrides, Mapping) else read_words(overrides)
    if tiny:
        layer = shrink(layer, given)
    layer = overlay(layer, given)
    _name(layer, source.name)
    recipe, found = judge(layer, disk)
    if incomplete:
        # What an unread file would have set is no news; only values that are there can be judged.
        found = [fault for fault in found if any(touches(fault.path, path) for path in layer)]
    faults = [*faults, *wrong, *found]
    if faults:
        raise FaultyRecipe(source.name, faults)
    flat = flatten(recipe.model_dump(mode="json"), "default")
    return Loaded(source.name, recipe, {path: layer.get(path, default).origin for path, default in flat.items()})


def judge(layer: Layer, disk: bool) -> tuple[Recipe, list[Fault]]:
    """The recipe that a layer describes, and everything that is wrong with it."""
    given = tree(layer)
    faults: list[Fault] = []
    try:
        recipe = decode(Recipe, given)
    except ValidationError as error:
        faults = from_pydantic(error, given, layer)
        recipe = _sound_part({path: value for path, value in layer.items() if not _hit([path], faults)})
    conflicts = [*impossible(recipe), *(absent(recipe) if disk else ())]
    judged = [conflict for conflict in conflicts if not _hit(conflict.paths, faults)]
    for conflict in judged:
        set_here = next((path for path in conflict.paths if path in layer), conflict.paths[0])
        value = layer[set_here].value if set_here in layer else None
        faults.append(Fault(set_here, conflict.sentence, value, origin=origin_of(set_here, layer)))
    return recipe, faults


def _hit(paths: Iterable[str], faults: Sequence[Fault]) -> bool:
    return any(touches(path, fault.path) for path in paths for fault in faults)


def _sound_part(layer: Layer) -> Recipe:
    """The sections without their faulty values, as far as rules look; it never leaves this file."""
    given = tree(layer)
    parts: dict[str, Any] = {name: decode(cls, given.get(name, {})) for name, cls in SECTIONS.items()}
    for kind in REGISTRIES:
        parts[kind] = None
        with suppress(ValidationError):
            parts[kind] = choose(kind, given.get(kind, {}))
    return Recipe.model_construct(**parts)


def _name(layer: Layer, name: str) -> None:
    """A recipe that does not say where it goes and what it is called goes by the name of its file."""
    for path in ("run.name", "run.folder"):
        if "run" not in layer and layer.get(path, Setting(None, "")).value is None:
            name = str(layer["run.name"].value) if "run.name" in layer else name
            put(layer, path, default_folder(name) if path == "run.folder" else name, "default")
