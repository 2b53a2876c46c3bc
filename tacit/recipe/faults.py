"""Faults in recipes: what was given, why it cannot be, what was probably meant and where it was set."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tacit.errors import RecipeError


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a recipe."""

    path: str
    """Dotted path of the field."""
    reason: str
    """A sentence that says what was given and why it cannot be."""
    value: Any = None
    """What was given, for programs."""
    nearest: str | None = None
    """The legal name that was probably meant."""
    origin: str = ""
    """Where it was set: FILE:LINE or "command line"."""

    @property
    def sentence(self) -> str:
        """The reason with its hint."""
        return f"{self.reason}; did you mean {self.nearest}?" if self.nearest else self.reason


class FaultyRecipe(RecipeError):
    """Everything that is wrong with one recipe; the faults are kept for programs that want them one by one."""

    def __init__(self, name: str, faults: Sequence[Fault]):
        self.faults = tuple(faults)
        super().__init__(table(name, self.faults))


def brief(value: Any, limit: int = 60) -> str:
    """A value as YAML would have it, short enough for a line."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def table(name: str, faults: Sequence[Fault], width: int = 62) -> str:
    """Paths, wrapped sentences and origins in three columns."""
    column = min(max(len(fault.path) for fault in faults), 36) + 2
    lines = [f"recipe {name} has {len(faults)} fault{'s' * (len(faults) != 1)}"]
    for fault in faults:
        text = textwrap.wrap(fault.sentence, width, break_long_words=False, break_on_hyphens=False)
        if fault.origin:
            text[-1] = f"{text[-1]:<{width}}  ({fault.origin})"
        first = [fault.path] if len(fault.path) > column - 2 else [f"{fault.path:<{column}}{text.pop(0)}"]
        lines += [f"  {line}" for line in first + [" " * column + rest for rest in text]]
    return "\n".join(lines)
