"""The option variables: from a file of shell assignments, or from the environment of a script."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

from tacit.errors import TacitError
from tacit.registry import nearest

OPTIONS = (
    "LATENT_SETTINGS_OPTIONS",
    "LORA_CONFIG_OPTIONS",
    "TRAINING_CONFIG_OPTIONS",
    "GRPO_CONFIG_OPTIONS",
    "VAL_CONFIG_OPTIONS",
)
"""Each holds names of options with slashes between them, from a registry of its own."""
PLAIN = ("MODEL_PATH_OR_REPO", "DIR_NAME", "SAVE_DIR_OVERRIDE", "MICRO_BATCH_SIZE", "TIME_LIMIT")
NAMES = (*PLAIN, *OPTIONS)
ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)=(.*)")
FENCE = "```"


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """What is set there. Empty is the same as not set."""
    return {name: environment[name].strip() for name in NAMES if environment.get(name, "").strip()}


def from_file(file: Path) -> dict[str, str]:
    """The assignments of a file; comments and the fences of a pasted block are passed over. All faults at once."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TacitError(f"{file} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    found: dict[str, str] = {}
    faults = []
    for number, line in enumerate(lines, 1):
        try:
            if pair := _assignment(line):
                name, value = pair
                if name in found:
                    raise ValueError(f"{name} is set twice; keep one block in a file")
                found[name] = value
        except ValueError as error:
            faults.append(f"\n  line {number}: {error}")
    if not found and not faults:
        faults.append('\n  there is no assignment in it, such as LORA_CONFIG_OPTIONS="r_128/alpha_32"')
    if faults:
        raise TacitError(f"{file} is no block of options:{''.join(faults)}")
    return {name: value for name, value in found.items() if value}


def _assignment(line: str) -> tuple[str, str] | None:
    """The name and the value of a line; None for a line without either. A ValueError says what is wrong with it."""
    line = line.strip()
    if not line or line.startswith(("#", FENCE)):
        return None
    found = ASSIGNMENT.fullmatch(line)
    if found is None:
        raise ValueError(f"{line[:60]!r} is no assignment")
    name, text = found.groups()
    if name not in NAMES:
        raise ValueError(f"{name} is none of the variables that are read{nearest(name, NAMES)}")
    try:
        words = shlex.split(text, comments=True)
    except ValueError as error:
        raise ValueError(f"{name}: a quotation mark is not closed") from error
    if len(words) > 1:
        raise ValueError(f"{name}: a value with blanks needs quotation marks around it")
    if any("$" in word or "`" in word for word in words):
        raise ValueError(f"{name}: {words[0]} would have to be worked out by a shell; write the value itself")
    return name, words[0].strip() if words else ""
