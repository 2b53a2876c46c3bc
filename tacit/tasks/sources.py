"""Rows as they lie in files and on the hub, one after the other, each with its place for complaints.

Nothing here knows what a row means: `tacit.tasks.formats` turns a row into an example.
"""

import codecs
import json
import os
import re
from collections import deque
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Literal, NamedTuple

from tacit.errors import DataError

Documents = Literal["file", "paragraph", "line"]
CHUNK = 1 << 20
TABLES = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv"}
SUFFIXES = (".jsonl", ".ndjson", ".json", ".txt", ".text", ".md", *TABLES)


class Raw(NamedTuple):
    """A row before anyone has looked into it: an object of JSON or of a table, or a string."""

    place: str
    row: Any


def file_rows(path: Path) -> Iterator[Raw]:
    """The rows of a local file by its suffix: a line of a text, an object of JSON, a row of a table."""
    if path.suffix in TABLES:
        return _table(path)
    if path.suffix in (".jsonl", ".ndjson"):
        return json_lines(path)
    if path.suffix == ".json":
        return json_list(path) if _starts_with(path, b"[") else json_lines(path)
    return text_lines(path)


def _starts_with(path: Path, mark: bytes) -> bool:
    with _opened(path) as file:
        return file.read(CHUNK).removeprefix(codecs.BOM_UTF8).lstrip().startswith(mark)


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error


def text_lines(path: Path, ends: bool = False) -> Iterator[Raw]:
    """Every line of a text, also empty ones: whether they may be is the format's business. `ends` keeps line ends."""
    number = 0
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise DataError(f"{path}:{number}: not UTF-8 ({error.reason}); convert the file") from error
            yield Raw(f"{path}:{number}", text if ends else text.rstrip("\r\n"))
    if not number:
        raise DataError(f"{path}: the file is empty")


def json_lines(path: Path) -> Iterator[Raw]:
    """One JSON object a line."""
    for place, line in text_lines(path):
        if not line or line.isspace():
            raise DataError(f"{place}: empty line; one JSON object a line is expected")
        try:
            yield Raw(place, json.loads(line))
        except (json.JSONDecodeError, RecursionError) as error:
            raise DataError(f"{place}: not JSON: {error}") from error


def json_list(path: Path) -> Iterator[Raw]:
    """The objects of one JSON list, without holding the whole list."""
    decoder = json.JSONDecoder()
    number, at, size = 0, 1, CHUNK
    with TextIOWrapper(_opened(path), encoding="utf-8-sig") as file:
        try:
            text = file.read(size).lstrip()
            while True:
                at = _next(text, at)
                if text.startswith("]", at):
                    break
                try:
                    row, at = _item(decoder, text, at, first=number == 0)
                except json.JSONDecodeError as error:
                    more = file.read(size)
                    if not more:
                        raise DataError(f"{path}: row {number + 1}: not JSON: {error.msg}") from error
                    # Twice as much each time: a row larger than what was read must not be scanned again and again.
                    text, at, size = text[at:] + more, 0, size * 2
                    continue
                number, size = number + 1, CHUNK
                yield Raw(f"{path}: row {number}", row)
        except RecursionError as error:
            raise DataError(f"{path}: row {number + 1}: nested too deeply") from error
        except UnicodeDecodeError:
            deque(text_lines(path), maxlen=0)  # raises with the line
            raise
        if (text[at + 1 :] + file.read()).strip():
            raise DataError(f"{path}: after row {number}: text behind the end of the list")
    if not number:
        raise DataError(f"{path}: the list is empty")


def _next(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _item(decoder: json.JSONDecoder, text: str, at: int, first: bool) -> tuple[Any, int]:
    """The object at this point, behind the comma that must stand there unless it is the first."""
    if not first:
        if not text.startswith(",", at):
            raise json.JSONDecodeError("expected a comma or the end of the list", text, at)
        at = _next(text, at + 1)
    row, end = decoder.raw_decode(text, at)
    if end == len(text) and not isinstance(row, dict | list | str):
        raise json.JSONDecodeError("expected an object", text, at)  # a number may go on in what was not read yet
    return row, end


def text_documents(path: Path, unit: Documents) -> Iterator[Raw]:
    """A plain text as documents: the whole file, its paragraphs (between empty lines), or its lines."""
    if unit == "file":
        yield Raw(str(path), "".join(raw.row for raw in text_lines(path, ends=True)))
        return
    place, block = str(path), []
    for raw in text_lines(path):
        if block and (unit == "line" or not raw.row.strip()):
            yield Raw(place, "\n".join(block))
            block = []
        if raw.row.strip():
            place = place if block else raw.place
            block.append(raw.row)
    if block:
        yield Raw(place, "\n".join(block))


def _table(path: Path) -> Iterator[Raw]:
    from datasets import load_dataset

    if not path.exists():
        raise DataError(f"{path}: cannot be read: no such file")
    try:
        rows = load_dataset(TABLES[path.suffix], data_files=str(path), split="train", streaming=True)
        for number, row in enumerate(rows, 1):
            yield Raw(f"{path}: row {number}", row)
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"{path}: not a readable {TABLES[path.suffix]} file: {_first_line(error)}") from error


def is_hub_id(path: str) -> bool:
    """Whether the words look like a data set of the hub rather than like a file."""
    return bool(re.fullmatch(r"[\w.-]+(/[\w.-]+)?", path)) and Path(path).suffix not in SUFFIXES


def hub_splits(path: str, config: str | None, revision: str | None = None) -> list[str]:
    """The names of a hub data set's splits."""
    from datasets import get_dataset_split_names

    try:
        return list(get_dataset_split_names(path, config, **_at(revision)))
    except Exception as error:
        raise _refused(path, config, error) from error


def hub_rows(path: str, config: str | None, split: str, stream: bool, revision: str | None = None) -> Iterator[Raw]:
    """The rows of a hub data set's split; streaming reads them as they are needed instead of downloading first."""
    from datasets import load_dataset

    name = f"{path}[{config}]" if config else path
    try:
        rows = load_dataset(path, config, split=split, streaming=stream, **_at(revision))
    except Exception as error:
        raise _refused(path, config, error) from error
    for number, row in enumerate(rows, 1):
        yield Raw(f"{name} {split}: row {number}", row)


def _at(revision: str | None) -> dict[str, Any]:
    return {"revision": revision} if revision else {}


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _refused(path: str, config: str | None, error: Exception) -> DataError:
    """The hub's client raises errors of four libraries. What a user needs is the sentence and what to set."""
    reason = _first_line(error)
    offline = [name for name in ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE") if os.environ.get(name, "0") not in ("", "0")]
    if re.search(r"gated|private|401|403|authenticat|restricted", reason, re.IGNORECASE):
        remedy = "accept its terms on its hub page and set HF_TOKEN to a token that may read it"
    elif re.search(r"builderconfig|config name", reason, re.IGNORECASE):
        remedy = "set config to one that it has"
    elif offline:
        remedy = (
            f"no network is used while {' and '.join(offline)} is set: unset it, or give a local file or folder as path"
        )
    else:
        remedy = "check the id and the network; a private one needs HF_TOKEN; a local file or folder works too"
    named = f"{path!r}" + (f" (config {config!r})" if config else "")
    return DataError(f"the data set {named} cannot be loaded: {reason} — {remedy}")
