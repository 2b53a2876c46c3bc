"""Any rows: a local file, a folder with a file for each split, or a data set of the hub."""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Example
from tacit.tasks.base import SPLITS, Split, Task, check_split, home
from tacit.tasks.formats import Reading, read_file, read_rows
from tacit.tasks.sources import SUFFIXES, hub_rows, hub_splits, is_hub_id

# What others call our splits.
ALIASES: dict[Split, tuple[str, ...]] = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "val", "dev", "eval"),
    "test": ("test", "test_bigbench"),
}


class Rows(Task):
    """Rows in any of the published formats. A valid or test split that is not there is taken out of train by hash."""

    path: str = ""
    """A file, a folder with train/valid/test files, or a hub id; empty if train, valid and test name files."""
    config: str | None = None
    """The configuration of a hub data set."""
    revision: str | None = None
    """Its branch, tag or commit."""
    train: str = ""
    """The train split: a file, or the name it has on the hub; empty finds it."""
    valid: str = ""
    """The valid split, likewise."""
    test: str = ""
    """The test split, likewise."""
    reading: Reading = Reading()
    """How a row is to be understood."""
    held_out: float = Field(default=0.05, gt=0, lt=0.5)
    """The part of train taken for each of valid and test where they are missing."""
    stream: bool = False
    """Read rows as they are needed instead of all at once; for data larger than memory."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many rows of a split."""

    @model_validator(mode="after")
    def _somewhere(self) -> "Rows":
        if not (self.path or self.train or self.valid or self.test):
            raise ValueError("set path (a file, a folder or a hub id), or train, valid and test to files")
        return self

    def examples(self, split: Split) -> Iterable[Example]:
        found = self.one_by_one(split)
        if self.stream:
            return found
        rows = list(found)
        if not rows:
            raise DataError(
                f"{self.path or self.train}: no row fell into {split}; set {split} to a file, or raise held_out"
            )
        return rows

    def one_by_one(self, split: Split) -> Iterator[Example]:
        """The examples of a split as they are needed, whatever `stream` says."""
        check_split(split)
        return islice(self._split(split), self.limit)

    def _split(self, split: Split) -> Iterator[Example]:
        sources = self._sources()
        if split in sources and split != "train":
            return self._read(split, sources[split])
        if "train" not in sources:
            given = ", ".join(f"{name}={source}" for name, source in sources.items()) or "none"
            raise DataError(
                f"{self.path or 'the task'}: no {split} split and no train split to take it from (found: {given})"
            )
        shares: dict[Split, float] = {name: self.held_out for name in SPLITS if name not in sources}
        rows = self._read("train", sources["train"])
        return (row for row in rows if home(row.question or row.text, shares) == split) if shares else rows

    def _read(self, split: Split, source: str) -> Iterator[Example]:
        if self._on_hub():
            rows = hub_rows(self.path, self.config, source, self.stream, self.revision)
            return read_rows(rows, self.reading, f"{split}-", f"{self.path} {source}")
        return read_file(Path(source), self.reading, f"{split}-")

    def _on_hub(self) -> bool:
        return bool(self.path) and not Path(self.path).exists() and is_hub_id(self.path)

    def _sources(self) -> dict[Split, str]:
        """Each split that is there: a file, or a name on the hub."""
        given: dict[Split, str] = {split: getattr(self, split) for split in SPLITS if getattr(self, split)}
        if not self.path:
            return given
        if self._on_hub():
            names = hub_splits(self.path, self.config, self.revision)
            for split, name in given.items():
                if name not in names:
                    raise DataError(f"{self.path}: has no split {name!r} for {split}; it has {', '.join(names)}")
            return _matched({name: name for name in names}) | given
        path = Path(self.path).expanduser()
        if path.is_dir():
            files = {file.stem: str(file) for file in sorted(path.iterdir()) if file.suffix in SUFFIXES}
            given = {split: str(path / name) for split, name in given.items()}
            return _matched(files) | given
        if not path.exists():
            raise DataError(f"{self.path}: no such file or folder, and not the id of a hub data set")
        given.setdefault("train", str(path))
        return given


def _matched(names: dict[str, str]) -> dict[Split, str]:
    """Names to splits: valid for valid.jsonl, validation.json and prosqa_valid.json."""
    found: dict[Split, str] = {}
    for split, aliases in ALIASES.items():
        for name, source in names.items():
            if split not in found and (name in aliases or name.endswith(tuple(f"_{alias}" for alias in aliases))):
                found[split] = source
    return found
