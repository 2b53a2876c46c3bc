"""Files that are there as a whole or not at all, also when several processes write the same one."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tacit.errors import TacitError


def make_folder(folder: Path) -> None:
    """A folder for results, with those above it. A file in its way is left alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next((place for place in (folder, *folder.parents) if place.is_file()), folder)
        raise TacitError(f"{file} is a file, and results need a folder; name another one than {folder}") from None


@contextmanager
def beside(file: Path) -> Iterator[Path]:
    """A name that is nobody else's, for a file that takes its own name when it is complete."""
    partial = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield partial
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def whole(file: Path) -> Iterator[TextIO]:
    """A text to write. It is on the disk before the file has its name."""
    with beside(file) as partial, partial.open("w", encoding="utf-8", newline="\n") as out:
        yield out
        out.flush()
        os.fsync(out.fileno())


def write_whole(file: Path, text: str) -> None:
    """A text that is there already."""
    with whole(file) as out:
        out.write(text)
