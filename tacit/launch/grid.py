"""A grid of runs from override words: `train.lr=1e-4,2e-4 seed=1..5` are two times five."""

import re
from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

from tacit.errors import TacitError
from tacit.recipe.reader import SHORT

RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
LARGEST = 10_000


class Point(NamedTuple):
    """One run of a grid."""

    name: str
    """A folder name made of what differs between the runs."""
    words: tuple[str, ...]
    """All overrides, as `tacit train` takes them."""
    varied: dict[str, str]
    """What differs between the runs, by path."""


def grid(words: Sequence[str]) -> list[Point]:
    """Every combination of the values, the last word changing fastest."""
    axes = [_axis(word) for word in words]
    paths = [path for path, _ in axes]
    for path in paths:
        if paths.count(path) > 1:
            raise TacitError(f"{path} is set twice; write its values once, with commas between them")
    total = 1
    for _, values in axes:
        total *= len(values)
    if total > LARGEST:
        raise TacitError(f"this grid has {total:,} runs; at most {LARGEST:,} are started by one command")
    points: list[Point] = []
    for values in product(*(values for _, values in axes)):
        chosen = dict(zip(paths, values))
        varied = {path: chosen[path] for path, options in axes if len(options) > 1}
        points.append(Point(_name(varied, points), tuple(f"{path}={v}" for path, v in chosen.items()), varied))
    return points


def _axis(word: str) -> tuple[str, list[str]]:
    path, equals, given = word.partition("=")
    if not equals or not path:
        raise TacitError(f"{word!r} is no override; write k=v, k=a,b for several values or k=1..5 for a range")
    values = [value for part in _split(given) for value in _range(part, word)]
    if not all(values) or len(set(values)) < len(values):
        raise TacitError(f"{word!r} has an empty or a repeated value")
    return SHORT.get(path, path), values


def _split(given: str) -> list[str]:
    """At commas, but not at those inside brackets or quotes, which belong to one value."""
    parts, depth, quote = [""], 0, ""
    for letter in given:
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter in "[{(":
            depth += 1
        elif letter in ")}]":
            depth -= 1
        if letter == "," and depth == 0 and not quote:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def _range(part: str, word: str) -> list[str]:
    found = RANGE.fullmatch(part)
    if not found:
        return [part]
    low, high = int(found[1]), int(found[2])
    if low > high:
        raise TacitError(f"{word!r}: a range goes from the smaller to the larger number")
    if high - low >= LARGEST:
        raise TacitError(f"{word!r} has {high - low + 1:,} values; at most {LARGEST:,} are started by one command")
    return [str(number) for number in range(low, high + 1)]


def _name(varied: dict[str, str], before: Sequence[Point]) -> str:
    """`lr=1e-4_seed=1`; a number behind it where two would be called the same once odd characters are replaced."""
    ends = [path.rpartition(".")[2] for path in varied]
    words = [f"{end if ends.count(end) == 1 else path}={value}" for end, (path, value) in zip(ends, varied.items())]
    name = re.sub(r"[^\w.=+-]+", "-", "_".join(words))[:150] or "run"
    same = sum(point.name.partition("~")[0] == name for point in before)
    return f"{name}~{same + 1}" if same else name
