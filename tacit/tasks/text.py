"""Plain text: files, a folder or a hub data set, cut into pieces of so many characters.

Two ways of cutting. `blocks` cuts everything, end to end, and deals the blocks out at random; `crops` takes one random piece of
every document that is long enough, so no two pieces share one.
"""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Example, Template
from tacit.kept import read_kept, write_kept
from tacit.tasks.base import SPLITS, Split, Task, check_split

ENDINGS = (".txt", ".text", ".md")
CUT = 1
"""Goes up when the same settings cut other pieces, so that those on disk are not taken for them."""


class Text(Task):
    """Documents that ask nothing: the next token is all there is to predict."""

    template: Template = Template(bos=True)
    """A text begins behind a BOS and has no words around it."""
    path: str | list[str] | None = None
    """A text file, several of them (read one behind the other), or a folder of them. Null: `hub`."""
    hub: str | None = None
    """A data set of the hub with a column of texts, instead of path."""
    config: str | None = None
    """Configuration of that data set."""
    column: str = "text"
    """Its column."""
    most: int | None = Field(default=None, ge=1)
    """Read the first so many documents only."""
    cut: Literal["blocks", "crops"] = "blocks"
    """blocks: all characters, end to end. crops: one random piece of each document."""
    length: int = Field(default=128, ge=1)
    """Characters of a piece."""
    rare: int = Field(default=0, ge=0)
    """Characters that occur no more often than this are replaced."""
    unknown: str = Field(default="\N{REPLACEMENT CHARACTER}", min_length=1, max_length=1)
    """What they are replaced by."""
    shares: tuple[float, float, float] = (0.8, 0.1, 0.1)
    """Of the pieces: train, valid and test."""
    seed: int = Field(default=42, ge=0)
    """Deals pieces out to the splits, and draws crops."""

    @model_validator(mode="after")
    def _one_source(self) -> "Text":
        if (self.path is None) == (self.hub is None):
            raise ValueError("path and hub both say where the text is: set exactly one of them")
        if abs(sum(self.shares) - 1) > 1e-9 or min(self.shares) < 0:
            raise ValueError(f"shares are parts of one whole, and {self.shares} add up to {sum(self.shares):g}")
        return self

    def examples(self, split: Split) -> list[Example]:
        check_split(split)
        pieces = self._kept()
        chosen = self._dealt(len(pieces))[split]
        if not len(chosen):
            raise DataError(
                f"{self.path or self.hub} makes {len(pieces)} pieces of {self.length} characters, and none of them falls to "
                f"{split}; set a shorter length, other shares, or give more text"
            )
        return [Example(f"{split}-{place}", text=pieces[place]) for place in chosen.tolist()]

    def _dealt(self, count: int) -> dict[Split, np.ndarray]:
        """Which pieces belong to which split: whole shares in order of a permutation, and what rounding left over goes round
        from the first on."""
        import torch

        order = torch.randperm(count, generator=torch.Generator().manual_seed(self.seed)).numpy()
        sizes = [int(count * share) for share in self.shares]
        for left in range(count - sum(sizes)):
            sizes[left % len(sizes)] += 1
        ends = np.cumsum(sizes)
        return {split: order[end - size : end] for split, size, end in zip(SPLITS, sizes, ends)}

    def letters(self) -> str:
        return "".join(sorted(set().union(*self._kept())))

    def _kept(self) -> list[str]:
        files = [] if self.hub else self._files()
        return _pieces(self.model_dump_json(), tuple(file.stat().st_mtime_ns for file in files if file.exists()))

    def pieces(self) -> list[str]:
        """The whole text, cut up; `examples` deals it out."""
        documents = self._without_rare(self._documents())
        if self.cut == "blocks":
            text = "".join(documents)
            pieces = [text[at : at + self.length] for at in range(0, len(text) - self.length + 1, self.length)]
        else:
            rng = np.random.default_rng(self.seed)
            long = [document for document in documents if len(document) >= self.length]
            starts = [int(rng.integers(len(document) - self.length + 1)) for document in long]
            pieces = [document[start : start + self.length] for document, start in zip(long, starts)]
        if not pieces:
            raise DataError(
                f"{self.path or self.hub} has no piece of {self.length} characters; set task.length shorter, or give more text"
            )
        return pieces

    def _without_rare(self, documents: list[str]) -> list[str]:
        if not self.rare:
            return documents
        points = np.concatenate([np.frombuffer(d.encode("utf-32-le"), dtype=np.uint32) for d in documents])
        found, counts = np.unique(points, return_counts=True)
        table = {int(point): self.unknown for point in found[counts <= self.rare]}
        return [document.translate(table) for document in documents]

    def _documents(self) -> list[str]:
        found: list[str] = []
        for document in self._hub() if self.hub else map(_read, self._files()):
            found.append(document)
            if len(found) == self.most:
                break
        return found

    def _files(self) -> list[Path]:
        assert self.path is not None
        files: list[Path] = []
        for place in map(Path, [self.path] if isinstance(self.path, str) else self.path):
            inside = sorted(p for p in place.rglob("*") if p.suffix in ENDINGS) if place.is_dir() else [place]
            if not inside:
                raise DataError(f"{place}: no {', '.join(ENDINGS)} file in this folder; name the files in task.path")
            files += inside
        return files

    def _hub(self) -> Iterator[str]:
        from tacit.tasks.sources import hub_rows

        for place, row in hub_rows(str(self.hub), self.config, "train", stream=self.most is not None):
            yield _column(row, self.column, place)


@lru_cache(2)
def _pieces(settings: str, changed: tuple[int, ...]) -> list[str]:
    """The pieces of a task, for all of its splits, until a file changes. Those of the hub are also kept on disk: every process
    of a sweep would read hundreds of thousands of pages again. There, a data set is what it was when it was first read."""
    task = Text.model_validate_json(settings)
    if not task.hub:
        return task.pieces()
    decided = task.model_dump_json(exclude={"template", "extractor", "shares"})
    name = f"pieces-{CUT}-{hashlib.sha256(decided.encode()).hexdigest()[:40]}"
    held = read_kept(name)
    if held is not None and held.keys() == {"text"}:
        text = held["text"].tobytes().decode(errors="surrogatepass")
        return [text[at : at + task.length] for at in range(0, len(text), task.length)]
    pieces = task.pieces()
    write_kept(name, {"text": np.frombuffer("".join(pieces).encode(errors="surrogatepass"), np.uint8)})
    return pieces


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}; set task.path") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 ({error.reason}); convert the file") from error


def _column(row: Any, name: str, place: str) -> str:
    if not isinstance(row, dict) or not isinstance(row.get(name), str):
        raise DataError(f"{place}: no text in column {name!r}; set task.column to one of {', '.join(row)}")
    return row[name]
