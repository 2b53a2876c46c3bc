"""From a source of any size to the documents of a warm start, of the rounds and of validation.

FOLDER/train.jsonl        all training documents: {id, text, tokens}
FOLDER/warm.jsonl         those of the warm start
FOLDER/corpus.jsonl       those that thoughts are inferred for
FOLDER/valid.jsonl        those for validation
FOLDER/skipped.jsonl      a line for every row that was left out
FOLDER/dataset.json       statistics and provenance; it is there when everything else is
"""

import hashlib
import json
import math
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import Any

from tacit.bolt.chunks import sentences
from tacit.bolt.ledger import Kept, Ledger, text_key
from tacit.bolt.preparation import Preparation
from tacit.chunked import chunk_pairs
from tacit.errors import DataError, TacitError
from tacit.methods.bolt import Bolt
from tacit.tasks.sources import SUFFIXES, TABLES, Raw, file_rows, hub_rows, is_hub_id, text_documents
from tacit.whole import beside, whole, write_whole

DATASET, SKIPPED, WORK = "dataset.json", "skipped.jsonl", ".preparing"
SPLITS = ("train", "warm", "corpus", "valid")
CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f�]")
BINARY = 0.01
"""A text with a larger share of control characters is no text."""
COLUMNS = ("text", "content")
Row = dict[str, Any]
Say = Callable[[str], None]


def prepare(settings: Preparation, say: Say = print) -> Path:
    """The prepared folder: found, gone on with, or begun."""
    folder = Path(settings.folder)
    about = {"settings": settings.model_dump(mode="json"), "files": [_told(file) for file in _files(settings)]}
    if (folder / DATASET).exists():
        there = json.loads((folder / DATASET).read_text(encoding="utf-8"))
        if {key: there.get(key) for key in about} != about:
            raise TacitError(
                f"{folder} holds a corpus that was prepared from other sources or settings; give another folder, or remove it"
            )
        return folder
    with closing(Ledger(folder / WORK, about)) as ledger:
        _read(ledger, settings)
        told = {**about, "read": ledger.read, "skipped": ledger.reasons(), "splits": _write(ledger, settings, folder)}
    if not told["splits"]["train"]["documents"]:
        raise DataError(f"{settings.source}: no document is left of {told['read']} rows (left out: {told['skipped']})")
    write_whole(folder / DATASET, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    shutil.rmtree(folder / WORK)
    parts = ", ".join(f"{name} {facts['documents']:,}" for name, facts in told["splits"].items())
    left_out = ", ".join(f"{reason} {count:,}" for reason, count in told["skipped"].items()) or "none"
    say(f"{told['read']:,} rows read; documents: {parts}; left out: {left_out}")
    return folder


# -- reading ------------------------------------------------------------------------------------------------------------


def _files(settings: Preparation) -> list[Path]:
    """The local files of a source, none for one of the hub."""
    path = Path(settings.source).expanduser()
    if path.is_dir():
        found = [file for file in sorted(path.rglob("*")) if file.suffix in SUFFIXES]
        if not found:
            raise DataError(f"{path}: no file in this folder ends in {', '.join(SUFFIXES)}")
        return found
    if not path.exists() and is_hub_id(settings.source):
        return []
    return [path]


def _told(file: Path) -> dict[str, Any]:
    try:
        return {"file": str(file), "bytes": file.stat().st_size}
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}; set bolt.corpus.source") from error


def _rows(settings: Preparation) -> Iterator[Raw]:
    """Every row of the source, in an order that is always the same. A file that is no text is one row without any."""
    files = _files(settings)
    if not files:
        yield from hub_rows(settings.source, settings.config, settings.split, stream=True)
    for file in files:
        if file.suffix in TABLES or "json" in file.suffix:
            yield from file_rows(file)
            continue
        try:
            yield from text_documents(file, settings.documents)
        except DataError:
            yield Raw(str(file), "" if not file.stat().st_size else b"")


def _read(ledger: Ledger, settings: Preparation) -> None:
    """Documents and what is no document, block by block, from where reading stopped."""
    if ledger.fact("complete", False):
        return
    rows = enumerate(islice(_rows(settings), settings.limit), 1)
    for _ in islice(rows, ledger.read):
        pass
    count = _counter(settings.tokenizer)
    while block := list(islice(rows, settings.part)):
        documents: list[tuple[int, str, dict[str, Any]]] = []
        for number, (place, row) in block:
            found = _document(row, place, number, settings)
            if isinstance(found, str):
                ledger.skip(number, place, found)
            else:
                documents.append((number, place, found))
        for (number, place, row), tokens in zip(documents, count([row["text"] for _, _, row in documents])):
            told = row if tokens is None else {**row, "tokens": tokens}
            if not ledger.add(text_key(row["text"], settings.shuffle), told):
                ledger.skip(number, place, "duplicate")
        ledger.commit(block[-1][0])
    ledger.note("complete", True)
    ledger.commit(ledger.read)


def _document(row: Any, place: str, number: int, settings: Preparation) -> dict[str, Any] | str:
    """The document of a row, or why there is none."""
    fields: Mapping[str, Any] = row if isinstance(row, Mapping) else {"text": row}
    columns = (settings.column,) if settings.column else COLUMNS
    column = next((name for name in columns if name in fields), None)
    if column is None:
        raise DataError(
            f"{place}: no column {' or '.join(map(repr, columns))}; the row has {', '.join(map(str, fields)) or 'nothing'}. "
            "Set bolt.corpus.column"
        )
    text = fields[column]
    if text is None or (isinstance(text, str) and not text.strip()):
        return "empty"
    if not isinstance(text, str) or _binary(text):
        return "binary"
    if any(mark in text for mark in Bolt.tokens):
        return "delimiter"
    if "chunks" in settings.keep:
        try:
            pairs = chunk_pairs(fields, text, place)
        except DataError:
            return "chunks"
        if any(mark in thought for _, thought in pairs for mark in Bolt.tokens):
            return "delimiter"
    own = fields.get("id")
    id = str(own) if isinstance(own, str | int) and str(own) else str(number)
    return {"id": id, "text": text, **{name: fields[name] for name in settings.keep if name in fields}}


def _binary(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return "\0" in text or len(CONTROL.findall(text)) > BINARY * len(text)


def _counter(tokenizer: str | None) -> Callable[[list[str]], list[int | None]]:
    if tokenizer is None:
        return lambda texts: [None] * len(texts)
    from tacit.models.loading import load_tokenizer

    loaded = load_tokenizer(tokenizer)
    return lambda texts: [len(ids) for ids in loaded(texts, add_special_tokens=False)["input_ids"]] if texts else []


# -- writing ------------------------------------------------------------------------------------------------------------


def _write(ledger: Ledger, settings: Preparation, folder: Path) -> dict[str, dict[str, Any]]:
    """A file for each split, and what is in it."""
    counts = {name: Counter[str](documents=0, characters=0, bytes=0) for name in SPLITS}
    hashes = {name: hashlib.sha256() for name in SPLITS}
    pieces = _cutter(settings)
    budgets = {"warm": settings.warm_tokens, "corpus": settings.corpus_tokens}
    with ExitStack() as stack:
        parts = {name: stack.enter_context(beside(folder / f"{name}.jsonl")) for name in SPLITS}
        files = {name: stack.enter_context(part.open("wb")) for name, part in parts.items()}
        for kept, homes in _dealt(ledger.documents(settings.shuffle is not None), settings):
            open_ = [name for name in homes if counts[name]["tokens"] < (budgets.get(name) or math.inf)]
            for row in pieces(kept.row):
                line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
                for name in open_:
                    files[name].write(line)
                    hashes[name].update(line)
                    counts[name].update(documents=1, characters=len(row["text"]), bytes=len(line))
                    if settings.tokenizer is not None:
                        counts[name].update(tokens=row["tokens"])
    with whole(folder / SKIPPED) as out:
        out.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in ledger.skipped())
    return {name: {**counts[name], "sha256": hashes[name].hexdigest()} for name in SPLITS}


def _cutter(settings: Preparation) -> Callable[[Row], list[Row]]:
    """From a document to its pieces: as many sentences as fit, or chunks where it has some, and never less than one."""
    if settings.piece is None:
        return lambda row: [row]
    count, most = _counter(settings.tokenizer), settings.piece

    def pieces(row: Row) -> list[Row]:
        if row["tokens"] <= most:
            return [row]
        chunks = row.get("chunks")
        units = [text for text, _ in chunk_pairs(row, row["text"], row["id"])] or sentences(row["text"])
        groups: list[list[int]] = []
        room = 0
        for number, tokens in enumerate(count(units)):
            if groups and (tokens or 0) <= room:
                groups[-1].append(number)
            else:
                groups, room = [*groups, [number]], most
            room -= tokens or 0
        texts = ["".join(units[number] for number in group) for group in groups]
        made = [
            {**row, "id": f"{row['id']}/{n}", "text": text, "tokens": size}
            for n, (text, size) in enumerate(zip(texts, count(texts)))
        ]
        for piece, group in zip(made, groups):
            if chunks:
                piece["chunks"] = [chunks[number] for number in group]
        return made

    return pieces


def _dealt(documents: Iterator[Kept], settings: Preparation) -> Iterator[tuple[Kept, tuple[str, ...]]]:
    """Each document with the splits that it belongs to: valid alone, or train and at most one of its parts."""
    training = 0
    for index, kept in enumerate(documents):
        if settings.by == "index":
            place, dealt = index, training
        else:
            place = int.from_bytes(kept.key, "big")
            dealt = place // settings.valid_every
        if place % settings.valid_every == 0:
            yield kept, ("valid",)
            continue
        training += 1
        slice_ = dealt % settings.slices
        yield kept, ("train", *(name for name in ("warm", "corpus") if slice_ in getattr(settings, name)))
