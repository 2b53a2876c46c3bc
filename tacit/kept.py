"""Arrays on disk that cost time to make and nothing to lose.

The place is `TACIT_CACHE`, or tacit/ in the user's cache folder. A file's name says what its arrays were made from, so it is
never changed; several processes may write the same one, and whoever is last has written the same.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from tacit.whole import beside


def cache_folder() -> Path:
    given = os.environ.get("TACIT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else (Path(base) if base else Path.home() / ".cache") / "tacit"


def write_kept(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Whole or not at all; a place that cannot be written is no reason to stop."""
    file = cache_folder() / f"{name}.npz"
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        with beside(file) as partial, partial.open("wb") as out:
            np.savez(out, **arrays)  # type: ignore[arg-type]


def read_kept(name: str) -> dict[str, np.ndarray] | None:
    """The arrays, or None where there is no file or a damaged one."""
    try:
        with np.load(cache_folder() / f"{name}.npz", allow_pickle=False) as held:
            return {key: held[key] for key in held.files}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
