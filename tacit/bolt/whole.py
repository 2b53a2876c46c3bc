"""Files that are there as a whole or not at all, also when several processes write the same one."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


@contextmanager
def whole(file: Path) -> Iterator[TextIO]:
    """A text to write. It takes the file's name when it is complete and on the disk; until then its name is nobody else's."""
    partial = file.with_name(f"{file.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        with partial.open("w", encoding="utf-8") as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)


def write_whole(file: Path, text: str) -> None:
    """A text that is there already."""
    with whole(file) as out:
        out.write(text)
