"""The rows of a large file by their number, without reading what comes before."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import DataError

BLOCK = 1 << 24


class Lines:
    """Where every line of a file begins; the lines stay on the disk."""

    def __init__(self, file: str | Path):
        self.file = Path(file)
        if not self.file.is_file():
            raise DataError(f"there is no file {file}")
        ends: list[np.ndarray] = [np.zeros(1, dtype=np.int64)]
        at = 0
        with self.file.open("rb") as source:
            while block := source.read(BLOCK):
                ends.append(np.flatnonzero(np.frombuffer(block, dtype=np.uint8) == 10) + at + 1)
                at += len(block)
        self.starts = np.concatenate(ends)
        if self.starts[-1] != at:  # the last line has no end
            self.starts = np.append(self.starts, at)

    def __len__(self) -> int:
        return len(self.starts) - 1

    def rows(self, start: int, stop: int) -> list[dict[str, Any]]:
        """The objects of some lines."""
        with self.file.open("rb") as source:
            source.seek(int(self.starts[start]))
            text = source.read(int(self.starts[stop] - self.starts[start]))
        return [json.loads(line) for line in text.split(b"\n")[: stop - start]]
