"""Recipe text to values and back: YAML with line numbers, and `key=value` words of the command line.

Scalars follow YAML 1.2, so `1e-4` is a number and `no` is a word. What a text sets is a flat *layer*: dotted path →
value and place. Duplicates are faults; aliases are refused, since `extends` is how recipes share.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, NamedTuple

import yaml
from pydantic_core import to_jsonable_python

from tacit.errors import RecipeError
from tacit.recipe.faults import Fault


class Setting(NamedTuple):
    """A value and where it was set."""

    value: Any
    origin: str


Layer = dict[str, Setting]
"""Dotted paths to settings. A value is a scalar, a list, or an empty mapping; anything deeper is a longer path."""

SHORT = {"seed": "train.seed"}
"""Overrides that need no dots."""

COMMAND_LINE = "command line"
TAG = "tag:yaml.org,2002:"
SCALARS = [
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", list("tTfF")),
    ("int", r"^([-+]?[0-9]+(_[0-9]+)*|0x[0-9a-fA-F]+)$", list("-+0123456789")),
    (
        "float",
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$",
        list("-+.0123456789"),
    ),
]


class _Reader(yaml.SafeLoader):
    yaml_implicit_resolvers = {}  # noqa: RUF012 - the base class declares it so

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(None, None, "aliases are not read; put shared values in a file to extend", mark)
        return super().compose_node(parent, index)


class _Writer(yaml.SafeDumper):
    """Quotes whatever our reader or a plain YAML 1.1 reader would take for something else than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(writer: _Writer, text: str) -> yaml.Node:
    """Line breaks and other invisible characters are written as escapes: readable, and safe from folding."""
    return writer.represent_scalar(f"{TAG}str", text, style=None if text.isprintable() else '"')


_Writer.add_representer(str, _text)
for _kind, _pattern, _first in SCALARS:
    for _class in (_Reader, _Writer):
        _class.add_implicit_resolver(TAG + _kind, re.compile(_pattern), _first)


def read_yaml(text: str, label: str) -> tuple[Layer, list[Fault]]:
    """What a file sets, and which keys it sets twice. Text that is no YAML at all raises `RecipeError`."""
    try:
        root = _Reader(text).get_single_node()
        if root is None:
            return {}, []
        if not isinstance(root, yaml.MappingNode):
            raise RecipeError(f"{label} is no recipe: it should consist of lines such as  train: {{steps: 100}}")
        layer: Layer = {}
        faults: list[Fault] = []
        for path, value, line in _leaves(root, "", root.start_mark.line):
            origin = f"{label}:{line + 1}"
            if (earlier := _clash(layer, path)) is not None:
                twice = f"is set twice, here and at {layer[earlier].origin}; keep one"
                faults.append(Fault(path, twice, value, origin=origin))
            put(layer, path, value, origin)
        return layer, faults
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{label}:{mark.line + 1}" if mark else label
        raise RecipeError(f"{place} cannot be read as YAML: {getattr(error, 'problem', None) or error}") from error


def read_words(words: Iterable[str]) -> tuple[Layer, list[Fault]]:
    """What overrides such as `train.lr=1e-4` set. The last one wins."""
    layer: Layer = {}
    faults = []
    for word in words:
        path, equals, text = word.partition("=")
        if not equals or not path:
            remedy = f"an override is written {path or 'train.steps'}=VALUE"
            faults.append(Fault(path or word, remedy, word, origin=COMMAND_LINE))
            continue
        try:
            put(layer, SHORT.get(path, path), scalar(text), COMMAND_LINE)
        except yaml.YAMLError:
            remedy = f"{text} cannot be read; close the brackets, or quote the text"
            faults.append(Fault(path, remedy, text, origin=COMMAND_LINE))
    return layer, faults


def read_mapping(values: Mapping[str, Any]) -> Layer:
    """What a Python mapping sets: dotted keys, nested mappings, or both."""
    return flatten({path: to_jsonable_python(value, fallback=str) for path, value in values.items()}, "overrides")


def scalar(text: str) -> Any:
    """The value of an override: a plain YAML scalar, or a bracketed or quoted piece of YAML."""
    reader = _Reader(text)
    if text[:1] in tuple("[{\"'"):
        return _plain(reader.get_single_node())
    return _plain(yaml.ScalarNode(reader.resolve(yaml.ScalarNode, text, (True, False)), text))


def write(tree: Mapping[str, Any]) -> str:
    """YAML that reads back as the same values."""
    return yaml.dump(dict(tree), Dumper=_Writer, sort_keys=False, allow_unicode=True, width=110)


def put(layer: Layer, path: str, value: Any, origin: str) -> None:
    """Set a value and whatever hangs below it, replacing what stood there or in its way."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            put(layer, f"{path}.{key}", below, origin)
        return
    while (old := _clash(layer, path)) is not None:
        if value == {} and old.startswith(f"{path}."):
            return  # an empty group adds nothing to a group that is there
        del layer[old]
    layer[path] = Setting(value, origin)


def flatten(values: Mapping[str, Any], origin: str) -> Layer:
    """A mapping as a layer; its keys may be dotted."""
    layer: Layer = {}
    for path, value in values.items():
        put(layer, SHORT.get(path, path), value, origin)
    return layer


def origin_of(path: str, layer: Layer) -> str:
    """Where a path was set, or the list it stands in, or what was last set below it; empty where nothing is."""
    return next((setting.origin for known, setting in reversed(layer.items()) if touches(known, path)), "")


def tree(layer: Layer) -> dict[str, Any]:
    """The nested mapping that a layer stands for."""
    root: dict[str, Any] = {}
    for path, setting in layer.items():
        *groups, last = path.split(".")
        place = root
        for group in groups:
            place = place.setdefault(group, {})
        place[last] = setting.value
    return root


def _clash(layer: Layer, path: str) -> str | None:
    """A path of the layer that is this one, lies above it or below it."""
    if path in layer:
        return path
    above, below = accumulate(path.split("."), "{}.{}".format), f"{path}."
    return next((old for old in above if old in layer), None) or next(
        (old for old in layer if old.startswith(below)), None
    )


def touches(one: str, other: str) -> bool:
    """Whether one path is the other, or lies above or below it."""
    return one == other or one.startswith(f"{other}.") or other.startswith(f"{one}.")


def _leaves(node: Any, path: str, line: int) -> Iterator[tuple[str, Any, int]]:
    if not isinstance(node, yaml.MappingNode) or (path and not node.value):
        yield path, _plain(node), line
        return
    for key, value in node.value:
        yield from _leaves(value, f"{path}.{_word(key)}" if path else _word(key), key.start_mark.line)


def _word(key: Any) -> str:
    if not isinstance(key, yaml.ScalarNode):
        raise yaml.MarkedYAMLError(None, None, "a key must be a word", key.start_mark)
    return key.value


def _plain(node: Any) -> Any:
    if isinstance(node, yaml.MappingNode):
        group = {_word(key): _plain(value) for key, value in node.value}
        if len(group) < len(node.value):
            raise yaml.MarkedYAMLError(None, None, "a key is set twice in this group", node.start_mark)
        return group
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    text, kind = node.value, node.tag.removeprefix(TAG)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() == "true"
    if kind == "int":
        return int(text, 16 if text.startswith("0x") else 10)
    if kind == "float":
        number = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        # 1e4 counts steps as well as 10000 does.
        return int(number) if "." not in text and abs(number) < 1e15 and number.is_integer() else number
    if kind == "str":
        return text
    raise yaml.MarkedYAMLError(None, None, f"values of type {node.tag} are not read", node.start_mark)
