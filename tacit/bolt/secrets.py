"""Keys of servers: from the environment or a file `.env`; named when they are missing or cannot be sent, never shown."""

import os
import re
from pathlib import Path

from tacit.errors import TacitError

ENV = Path(".env")
SENDABLE = re.compile(r"[\x21-\x7e]+")
"""What a header may hold: visible ASCII without blanks."""


def secret(name: str, file: Path = ENV) -> str:
    """The value of a variable, without blanks and line ends around it. What the environment says wins over the file."""
    found = os.environ.get(name, "").strip() or _written(file).get(name)
    if not found:
        raise TacitError(
            f"there is no key: set the variable {name}, or write {name}=… into a file {file} here. A server that wants none: "
            "bolt.synthesis.key=null"
        )
    if not SENDABLE.fullmatch(found):
        raise TacitError(
            f"the key in {name} cannot be sent: it has a blank, a line end or a character outside ASCII in it, as after copying "
            "too much or from a formatted page. Copy it again"
        )
    return found


def masked(text: str, key: str | None) -> str:
    """A text without the key, however its characters are escaped."""
    return text if key is None else re.sub(r"\\*".join(map(re.escape, key)), "***", text)


def _written(file: Path) -> dict[str, str]:
    """NAME=VALUE lines; `export` before a name and quotes around a value are left out."""
    found: dict[str, str] = {}
    lines = file.read_text(encoding="utf-8-sig", errors="replace").splitlines() if file.is_file() else []
    for line in lines:
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("\"'").strip()
    return found
