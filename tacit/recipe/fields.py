"""The fields of a recipe by dotted path: who owns one, which was probably meant, help for people and for editors."""

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from textwrap import wrap
from typing import Any, Literal, Union, get_args

from pydantic import Field, create_model
from pydantic_core import to_jsonable_python

from tacit.errors import RecipeError
from tacit.recipe.choice import REGISTRIES
from tacit.recipe.faults import brief
from tacit.recipe.schema import Recipe
from tacit.registry import resolve
from tacit.settings import Settings

WORDS = {"integer": "whole number", "boolean": "true or false", "string": "text", "array": "list", "object": "mapping"}
SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}


def group(path: str, tree: Mapping[str, Any]) -> type[Settings] | None:
    """The class of the section or group at a path; None where there is no such group, or its name is unknown."""
    cls: type[Settings] | None = Recipe
    for depth, word in enumerate(path.split(".") if path else []):
        if cls is None:
            return None
        if depth == 0 and word in REGISTRIES:
            section = tree.get(word)
            name = section.get("name") if isinstance(section, dict) else None
            cls = resolve(REGISTRIES[word], name, word) if isinstance(name, str) and name in REGISTRIES[word] else None
        else:
            field = cls.model_fields.get(word)
            cls = _settings_in(field.annotation) if field else None
    return cls


def _settings_in(annotation: Any) -> type[Settings] | None:
    """The settings class inside an annotation such as `Scratch | None`."""
    if inspect.isclass(annotation) and issubclass(annotation, Settings):
        return annotation
    return next((found for part in get_args(annotation) if (found := _settings_in(part))), None)


def shared_paths(cls: type[Settings] = Recipe, prefix: str = "") -> Iterator[str]:
    """The dotted paths that recipes have whatever their task and method are."""
    for name, field in cls.model_fields.items():
        yield f"{prefix}{name}"
        below = _settings_in(field.annotation)
        if below and f"{prefix}{name}" not in REGISTRIES:
            yield from shared_paths(below, f"{prefix}{name}.")


def nearest_path(path: str, siblings: list[str]) -> str | None:
    """The field that was probably meant: a similar one of the same group, or one of the same name elsewhere."""
    word = path.rpartition(".")[2]
    close = get_close_matches(word, siblings, n=1, cutoff=0.6)
    elsewhere = [known for known in shared_paths() if known.rpartition(".")[2] == word]
    return next(iter(close or elsewhere), None)


def help_text(path: str, recipe: Recipe | None = None) -> str:
    """Type, limits, default and meaning of one field, or of all fields of a group: `train.lr`, `method.coconut`. With a recipe,
    its own paths are known too: `method.length`."""
    kind, _, rest = path.partition(".")
    name, _, field = rest.partition(".")
    if recipe is not None and rest and kind in REGISTRIES:
        own = getattr(recipe, kind)
        if name in type(own.settings).model_fields or name not in REGISTRIES[kind]:
            name, field = own.name, rest
            path = f"{kind}.{name}.{rest}"
    tree: dict[str, Any] = {}
    inner = path
    if kind in REGISTRIES:
        if not name:
            return f"{kind}.name: one of {', '.join(sorted(REGISTRIES[kind]))}\n{kind}.NAME lists the fields of one."
        resolve(REGISTRIES[kind], name, kind)
        tree[kind] = {"name": name}
        inner = f"{kind}.{field}" if field else kind
    cls = group(inner, tree)
    if cls is not None:
        lines = [_field_help(cls, below, f"{path}.{below}") for below in cls.model_fields]
        return "\n".join([f"{path}: {inspect.getdoc(cls) or ''}", *lines])
    above, _, word = inner.rpartition(".")
    cls = group(above, tree)
    if cls is None or word not in cls.model_fields:
        meant = nearest_path(inner, list(cls.model_fields) if cls else [])
        raise RecipeError(f"there is no field {path}" + (f"; did you mean {meant}?" if meant else ""))
    return _field_help(cls, word, path)


def _field_help(cls: type[Settings], name: str, path: str) -> str:
    schema = cls.model_json_schema()["properties"][name]
    field = cls.model_fields[name]
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        kind = f"{_kind(schema)}, required"
    elif isinstance(default, Settings):
        kind = "a group of fields"
    else:
        kind = f"{_kind(schema)}, default {brief(to_jsonable_python(default))}"
    meaning = " ".join((field.description or "").split())
    return "\n".join([f"{path}: {kind}", *wrap(meaning, 100, initial_indent="    ", subsequent_indent="    ")])


def _kind(schema: Mapping[str, Any]) -> str:
    """A JSON schema in words: `whole number ≥ 1 or auto`."""
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return " or ".join(map(str, schema.get("enum", [schema.get("const")])))
    if "$ref" in schema:
        return "a group of fields"
    kind = str(schema.get("type", "anything"))
    limits = [f" {sign} {schema[limit]:g}" for limit, sign in SIGNS.items() if limit in schema]
    return WORDS.get(kind, kind) + ",".join(limits)


def json_schema() -> dict[str, Any]:
    """What editors complete recipes from. Nothing is required, because a file may extend others."""
    more: dict[str, Any] = {"extends": (str | list[str], [])}
    for kind, registry in REGISTRIES.items():
        classes = [_named(kind, name, resolve(registry, name, kind)) for name in sorted(registry)]
        about = Field(default=None, description=Recipe.model_fields[kind].description)
        more[kind] = (Union[tuple(classes)] if classes else dict[str, Any], about)  # noqa: UP007 - built at run time
    cls = create_model("Recipe", __base__=Recipe, **more)
    schema = cls.model_json_schema()
    for part in [schema, *schema.get("$defs", {}).values()]:
        part.pop("required", None)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def _named(kind: str, name: str, cls: type[Settings]) -> type[Settings]:
    """A class with the `name` that chooses it as one more field."""
    only: Any = Literal[name]
    return create_model(f"{kind}_{name}", __base__=cls, __doc__=cls.__doc__, name=(only, name))
