"""A published command line: words become a list of runs, each a set of options."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from tacit.compat.quiet.options import MODIFIERS, OPTIONS, REQUIRED, modified
from tacit.errors import TacitError
from tacit.registry import nearest

PROGRAM = "run.py"
IGNORED = ("hydra.",)
"""Options of the launcher: where a run is started is this program's own business."""


@dataclass
class Command:
    """A command line that was read."""

    modifiers: tuple[str, ...] = ()
    sweep: bool = False
    dry_run: bool = False
    runs: list[dict[str, Any]] = field(default_factory=list)
    """The options of every run, the last one changing fastest."""
    asked: list[str] = field(default_factory=list)
    """Options that the command line itself sets."""
    varied: list[str] = field(default_factory=list)
    """Options that differ between the runs."""
    notes: list[str] = field(default_factory=list)
    same_widths: bool = False


def read(words: Sequence[str]) -> Command:
    """All faults of a command line are raised in one error."""
    command, faults = Command(), []
    axes: dict[str, list[Any]] = {}
    for word in _repaired(list(words), command):
        if word in ("-m", "--multirun"):
            command.sweep = True
        elif word == "--dry-run":
            command.dry_run = True
        elif word.startswith("-") or "=" not in word:
            faults.append(f"{word}: an option is written name=value; besides there are -m and --dry-run")
        else:
            _option(word, command, axes, faults)
    if not command.modifiers and not any("run_modifier" in fault for fault in faults):
        faults.append(f"+run_modifier: missing; one of {', '.join(MODIFIERS)}")
    command.asked = list(axes)
    command.varied = [name for name, values in axes.items() if len(values) > 1]
    if command.varied and not command.sweep:
        faults.append(f"{command.varied[0]}: several values need -m")
    refuse(faults)
    below, command.same_widths = modified(command.modifiers)
    base = {name: option.default for name, option in OPTIONS.items() if option.default is not REQUIRED} | below
    command.runs = [base | dict(zip(axes, values)) for values in product(*axes.values())]
    return command


def _repaired(words: list[str], command: Command) -> list[str]:
    """Without what was noted behind a command, and with the space that one of them lacks."""
    for at, word in enumerate(words):
        if word.startswith("//") or word == "-->":
            command.notes.append(f"what follows {word} is a remark, and not read")
            words = words[:at]
            break
    if any(word.startswith("-m+") for word in words):
        command.notes.append("-m+run_modifier: read as -m +run_modifier")
        words = [part for word in words for part in (["-m", word[2:]] if word.startswith("-m+") else [word])]
    return words


def _option(word: str, command: Command, axes: dict[str, list[Any]], faults: list[str]) -> None:
    name, _, text = word.partition("=")
    name = name.lstrip("+")
    if name == "run_modifier":
        names = tuple(part.strip().strip("'\"") for part in text.strip("[]").split(",") if part.strip())
        unknown = [one for one in names if one not in MODIFIERS]
        faults.extend(f"run_modifier: there is no {one!r}{nearest(one, MODIFIERS)}" for one in unknown)
        if not names:
            faults.append(f"run_modifier: no name is given; there are {', '.join(MODIFIERS)}")
        command.modifiers = () if unknown else names
        return
    if name.startswith(IGNORED):
        command.notes.append(f"{name}: no effect, since runs are started here")
        return
    if name not in OPTIONS:
        faults.append(f"{name}: there is no such option{nearest(name, OPTIONS)}")
        return
    if name in axes:
        faults.append(f"{name}: given twice; write its values once, with commas between them")
    values = [text] if name == "info" else split(text)
    if not values or not all(values):
        faults.append(f"{name}: a sweep over no value; write {name}=VALUE, or several with commas between them")
        return
    axes[name] = []
    for value in values:
        try:
            axes[name].append(OPTIONS[name].read(value.strip("'\"")))
        except ValueError as error:
            faults.append(f"{name}={value}: {error}")
    if len(set(axes[name])) < len(axes[name]):
        faults.append(f"{name}: a value is given twice")


def split(text: str) -> list[str]:
    """At commas, but not at those inside brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts]


def refuse(faults: Sequence[str]) -> None:
    """All faults in one error, if there are any."""
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise TacitError(f"{PROGRAM} cannot run this command; {len(faults)} fault{'s' * (len(faults) != 1)}:{listed}")
