"""Where the rows of a published command come from: a local file, a local folder, the hub, or, for multiplication, a
generator that makes the published rows."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tacit.errors import DataError
from tacit.tasks.rows import ALIASES
from tacit.tasks.sources import hub_splits, is_hub_id

SIZES = re.compile(r"(\d+)_by_(\d+)_mult")
PUBLISHED = range(3, 10)
"""Digits of which there is a published draw."""
USUAL = (None, "train", "valid", "test")
"""Names of splits that any usual name of their file stands for."""
EXTRACTOR = "hash@1"
"""What follows the last #, without commas: the published comparison."""


class Source(NamedTuple):
    """The task of a recipe, and where its rows are, in words."""

    task: dict[str, Any]
    told: str


def files_of(paths: dict[str, str | None], faults: list[str]) -> Source | None:
    """Rows from files, one for each split. Files of a multiplication that are not there are made up, if none of them is."""
    given = {split: path for split, path in paths.items() if path}
    there = {split: path for split, path in given.items() if Path(path).expanduser().is_file()}
    lost = [path for split, path in given.items() if split not in there]
    if not lost:
        return Source(_files(given), f"rows of {', '.join(given.values())}")
    name = Path(lost[0]).parent.name
    if not there and (found := _elsewhere(name, {split: Path(path).name for split, path in given.items()})):
        return found
    faults += [f"there is no file {path}, and no other place has its rows" for path in lost]
    return None


def _elsewhere(name: str, wanted: dict[str, str]) -> Source | None:
    """Rows by the name of their folder alone."""
    folder = Path("data") / name
    there = {split: folder / file for split, file in wanted.items()}
    if name and all(path.is_file() for path in there.values()):
        return Source(_files({split: str(path) for split, path in there.items()}), f"rows of {folder}")
    return made_up(name)


def named(path: str, name: str | None, splits: dict[str, str | None], faults: list[str]) -> Source | None:
    """Rows of a data set that is named as on the hub: `lintang/implicit-cot-math`, `4_by_4_mult`."""
    if Path(path).is_file():
        return Source(_files({"train": path}), f"rows of {path}")
    last = name or Path(path).name
    wanted = {split: given for split, given in splits.items() if given}
    refused = "neither a file nor a folder"
    for folder in (Path(path) / (name or ""), Path(path), Path("data") / last):
        files = _found(folder, wanted) if folder.is_dir() else {}
        lost = [f"{wanted[split]}.txt" for split in wanted if wanted[split] not in USUAL and split not in files]
        if lost and (folder / "train.txt").is_file():
            faults.append(f"--data_path {path}: {folder} has no {' and no '.join(lost)}")
            return None
        if files and not lost:
            return Source(_files(files), f"rows of {folder}")
    if is_hub_id(path):
        try:
            hub_splits(path, name)
            reading = {"format": "icot", "even": bool(SIZES.search(last))}
            task = {"name": "rows", "path": path, "config": name, "reading": reading, "extractor": EXTRACTOR, **wanted}
            return Source(task, f"rows of {path} on the hub")
        except DataError as error:
            refused = str(error)
    source = made_up(last)
    if source is None:
        faults.append(f"--data_path {path}{f' --data_name {name}' if name else ''}: {refused}")
    return source


def _found(folder: Path, wanted: dict[str, str]) -> dict[str, str]:
    """The files of a folder for the splits that are wanted; nothing without rows to train on."""
    files: dict[str, str] = {}
    aliases: Mapping[str, tuple[str, ...]] = ALIASES  # type: ignore[assignment] (splits are words here)
    for split, name in wanted.items():
        # A name of one's own means that file and no other.
        for alias in (name, *(aliases[split] if name in USUAL else ())):
            if split not in files and (folder / f"{alias}.txt").is_file():
                files[split] = str(folder / f"{alias}.txt")
    return files if "train" in files else {}


def _files(files: dict[str, str]) -> dict[str, Any]:
    # A folder that is called 4_by_4_mult promises rows of one length.
    even = all(SIZES.search(str(Path(path).absolute().parent.name)) for path in files.values())
    return {"name": "rows", "reading": {"format": "icot", "even": even}, "extractor": EXTRACTOR, **files}


def made_up(name: str) -> Source | None:
    """The rows of `9_by_9_mult`, made here; None for other names."""
    found = SIZES.fullmatch(name)
    if found is None:
        return None
    left, right = map(int, found.groups())
    published = left == right and left in PUBLISHED
    task = {"name": "multiplication", "left": left, "right": right, "published": published}
    how = "the published rows, drawn again" if published else "a draw of our own, since the published one is not known"
    told = f"{name} is not to be had, so its rows are made here: {how}"
    return Source({**task, "extractor": EXTRACTOR, "train_rows": 808_000}, told)
