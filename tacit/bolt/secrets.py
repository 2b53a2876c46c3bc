"""Keys of servers: from the environment or a file `.env`; named when they are missing, never shown."""

import os
from pathlib import Path

from tacit.errors import TacitError

ENV = Path(".env")


def secret(name: str, file: Path = ENV) -> str:
    """The value of a variable. What the environment says wins over the file."""
    found = os.environ.get(name) or _written(file).get(name)
    if not found:
        raise TacitError(
            f"there is no key: set the variable {name}, or write {name}=… into a file {file} here. A server that wants none: "
            "bolt.synthesis.key=null"
        )
    return found


def _written(file: Path) -> dict[str, str]:
    """NAME=VALUE lines; `export` before a name and quotes around a value are left out."""
    found: dict[str, str] = {}
    lines = file.read_text(encoding="utf-8").splitlines() if file.is_file() else []
    for line in lines:
        name, sign, value = line.strip().removeprefix("export ").partition("=")
        if sign and not name.startswith("#"):
            found[name.strip()] = value.strip().strip("\"'")
    return found
