"""What pydantic finds wrong, as faults in our own words with path, hint and place."""

import re
import shlex
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tacit.recipe.choice import REGISTRIES
from tacit.recipe.faults import Fault, brief
from tacit.recipe.fields import group, nearest_path
from tacit.recipe.reader import COMMAND_LINE, Layer, origin_of
from tacit.registry import resolve

REASONS = {
    "int_type": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_from_float": "is not a whole number",
    "float_type": "is not a number",
    "float_parsing": "is not a number",
    "bool_type": "is neither true nor false",
    "bool_parsing": "is neither true nor false",
    "string_type": "is not text",
    "literal_error": "is not one of {expected}",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "finite_number": "must be a finite number",
    "model_type": "is not a group of fields",
    "dict_type": "is not a group of fields",
    "tuple_type": "is not a list",
    "list_type": "is not a list",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
}
"""Predicates of a value, by pydantic's type of error."""

OWNERS = 4
"""So many of those that have a field are named."""


def from_pydantic(error: ValidationError, tree: Mapping[str, Any], layer: Layer) -> list[Fault]:
    """One fault per field; a field that may be this or that gives several errors and still one fault."""
    found: dict[str, list[ErrorDetails]] = {}
    for detail in error.errors():
        found.setdefault(_path(detail, tree), []).append(detail)
    # Of a field that may be a word or a list, the branch that got further says what was meant.
    deepest = [path for path in found if not any(other.startswith(f"{path}.") for other in found)]
    return [_fault(path, found[path], tree, layer) for path in deepest]


def _path(detail: ErrorDetails, tree: Any) -> str:
    """The dotted path of an error; without the branches of a union, which pydantic names there but recipes do not."""
    words, known = [], True
    for word in detail["loc"]:
        known = (isinstance(tree, dict) and word in tree) or (isinstance(tree, list) and word in range(len(tree)))
        if known:
            tree = tree[word]  # pyright: ignore[reportCallIssue, reportArgumentType]
            words.append(str(word))
    if detail["type"] == "missing" and not known:
        words.append(str(detail["loc"][-1]))
    return ".".join(words)


def _fault(path: str, details: Sequence[ErrorDetails], tree: Mapping[str, Any], layer: Layer) -> Fault:
    first, origin = details[0], origin_of(path, layer)
    kind, value = first["type"], first["input"]
    above, _, word = path.rpartition(".")
    if kind == "extra_forbidden":
        owner = tree[above]["name"] if above in REGISTRIES else above or "a recipe"
        cls = group(above, tree)
        near = nearest_path(path, list(cls.model_fields) if cls else [])
        return Fault(path, f"{owner} has no such field{owners(above, word)}", value, near, origin)
    if kind == "missing":
        names = path if path in REGISTRIES else above if above in REGISTRIES and word == "name" else ""
        remedy = f"; set {names}.name to one of: {', '.join(sorted(REGISTRIES[names]))}" if names else ""
        return Fault(path, f"is missing{remedy}", None, None, origin or origin_of(above, layer))
    if kind == "value_error":
        return Fault(path, str(first.get("ctx", {})["error"]), value, None, origin)
    words = [word for detail in details for word in _legal(detail)]
    near = next(iter(get_close_matches(value, words, n=1, cutoff=0.5)), None) if isinstance(value, str) else None
    reason = f"{brief(value)} {' and '.join(map(_reason, details))}"
    if kind == "string_type" and isinstance(value, int | float):
        text = f'"{brief(value)}"'
        reason += f"; as text it is {shlex.quote(text) if origin == COMMAND_LINE else text}"
    if kind == "model_type" and path in REGISTRIES:
        reason += f"; set {path}.name to choose one"
    return Fault(path, reason, value, near, origin)


def owners(kind: str, field: str) -> str:
    """Which other tasks or methods have a field, told behind a comma."""
    found = [
        name
        for name, cls in REGISTRIES.get(kind, {}).items()
        if field in resolve(REGISTRIES[kind], name, kind).model_fields
    ]
    few = ", ".join(found[:OWNERS]) + (", …" if len(found) > OWNERS else "")
    return f", which belongs to {few}" if found else ""


def _reason(detail: ErrorDetails) -> str:
    words = REASONS.get(detail["type"])
    return words.format(**detail.get("ctx", {})).replace("'", "") if words else detail["msg"]


def _legal(detail: ErrorDetails) -> list[str]:
    """The words that a field accepts, where it has a list of them."""
    about = detail.get("ctx", {})
    return re.findall("'([^']*)'", about["expected"]) if detail["type"] == "literal_error" else about.get("known", [])
