"""Where recipes are: shipped inside the package by name, or any YAML file by its path."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from tacit.errors import RecipeError
from tacit.recipe.faults import Fault, brief
from tacit.recipe.layers import overlay
from tacit.recipe.reader import Layer, read_yaml
from tacit.registry import nearest

SHELF = Path(__file__).parent.parent / "recipes"
FRAGMENTS = "fragments/"
"""Names that begin so set only some fields: they are there to be extended, not to be run."""
OWN = ("about", "run", "extends")
"""What describes one recipe and is not inherited: two runs must not share a folder because they share settings."""


class Source(NamedTuple):
    """A recipe that was found: its file, and the label that messages use for it."""

    file: Path
    label: str
    name: str
    """What the recipe is called where it does not say so itself."""


def names(fragments: bool = False) -> list[str]:
    """The recipes that come with the package."""
    return [name for name in _shelf() if name.startswith(FRAGMENTS) == fragments]


@cache
def _shelf() -> tuple[str, ...]:
    return tuple(sorted(file.relative_to(SHELF).with_suffix("").as_posix() for file in SHELF.rglob("*.yaml")))


def abouts() -> dict[str, str]:
    """The recipes that come with the package, each with its own line about itself."""
    layers = {name: read_yaml((SHELF / f"{name}.yaml").read_text(encoding="utf-8"), name)[0] for name in names()}
    return {name: str(layer["about"].value) if "about" in layer else "" for name, layer in layers.items()}


def default_folder(name: str) -> str:
    """The run folder of a recipe that names none."""
    return f"runs/{name.replace('/', '-')}"


def find(name: str, beside: Path = Path()) -> Source:
    """The file behind a name or a path; a relative path is looked up beside the file that says it."""
    known = [*names(), *names(fragments=True)]
    if name.endswith((".yaml", ".yml")):
        file = Path(name).expanduser()
        file = file if file.is_absolute() else beside / file
        if not file.is_file():
            raise RecipeError(f"there is no file {file}{nearest(name.rpartition('.')[0], known)}")
        return Source(file, str(file), file.stem)
    if name not in known:
        raise RecipeError(
            f"there is no recipe called {name!r}{nearest(name, known)}; "
            "tacit ls recipes shows all names, and the path of a file must end in .yaml"
        )
    return Source(SHELF / f"{name}.yaml", f"{name}.yaml", name)


def read(source: Source, chain: tuple[Source, ...] = ()) -> tuple[Layer, list[Fault]]:
    """A recipe with everything it extends, in order: later ones win, and the recipe itself last."""
    try:
        own, faults = read_yaml(source.file.read_text(encoding="utf-8"), source.label)
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"{source.label} cannot be read: {error}") from error
    chain = (*chain, source)
    merged: Layer = {}
    for name, origin in _extended(own, faults):
        try:
            parent = find(name, source.file.parent)
            seen = [earlier.file.resolve() for earlier in chain]
            if parent.file.resolve() in seen:
                circle = [*chain[seen.index(parent.file.resolve()) :], parent]
                raise RecipeError(f"recipes extend each other in a circle: {' → '.join(link.label for link in circle)}")
            inherited, more = read(parent, chain)
        except RecipeError as error:
            faults.append(Fault("extends", str(error), origin=origin))
            continue
        faults += more
        merged = overlay(merged, {path: value for path, value in inherited.items() if path.split(".")[0] not in OWN})
    return overlay(merged, {path: value for path, value in own.items() if path != "extends"}), faults


def _extended(own: Layer, faults: list[Fault]) -> list[tuple[str, str]]:
    """The names after `extends`, each with its place. Anything but names is a fault."""
    setting = own.get("extends")
    if setting is None:
        return []
    given = setting.value if isinstance(setting.value, list) else [setting.value]
    for name in given:
        if not isinstance(name, str):
            faults.append(Fault("extends", f"{brief(name)} is not the name of a recipe", name, None, setting.origin))
    return [(name, setting.origin) for name in given if isinstance(name, str)]
