"""Encoded examples on disk, so that a large data set is tokenised once and not at the start of every run.

The key is a hash of what decides the ids: the tokenizer, the template and the texts themselves. A changed file, tokenizer or
template is another key; nothing has to be cleaned by hand. The place is `TACIT_CACHE`, or tacit/ in the user's cache folder;
deleting it costs time and nothing else.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from itertools import accumulate, chain
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from tacit.chunked import MADE_WITH
from tacit.example import Encoded, Example, Template, encode

FIXED = 4
"""Pieces of an example besides its steps."""
WORTH = 5_000
"""Fewer examples than this are tokenised faster than a file is found."""


def encode_cached(examples: Sequence[Example], tokenizer: Any, template: Template) -> list[Encoded]:
    """`tacit.example.encode`, or what it said the last time."""
    # Words are looked up as fast as a file is read, and no file keeps what a graph's row knows, or which chunk has which thought.
    thought = any(example.extra and not example.extra.keys().isdisjoint(("chunks", MADE_WITH)) for example in examples)
    if len(examples) < WORTH or template.kind == "symbolic" or thought:
        return encode(examples, tokenizer, template)
    file = cache_folder() / f"{_key(examples, tokenizer, template)}.npz"
    if (found := _read(file)) is not None:
        return found
    encoded = encode(examples, tokenizer, template)
    _write(file, encoded)
    return encoded


def cache_folder() -> Path:
    given = os.environ.get("TACIT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(given) if given else (Path(base) if base else Path.home() / ".cache") / "tacit"


def _key(examples: Sequence[Example], tokenizer: Any, template: Template) -> str:
    digest = hashlib.sha256(f"{FIXED} {template.model_dump_json()}".encode())
    backend = getattr(tokenizer, "backend_tokenizer", None)
    digest.update((backend.to_str() if backend else json.dumps(tokenizer.get_vocab(), sort_keys=True)).encode())
    digest.update(
        f"{tokenizer.bos_token_id} {tokenizer.eos_token_id} {getattr(tokenizer, 'chat_template', '')}".encode()
    )
    for ex in examples:
        # Lengths first: no two different lists of pieces may run together into the same bytes.
        pieces = (ex.id, ex.question, ex.answer, ex.text, *ex.steps)
        digest.update(f"{len(ex.steps)} {' '.join(str(len(p)) for p in pieces)}\n{''.join(pieces)}".encode())
    return digest.hexdigest()[:40]


def _write(file: Path, encoded: Sequence[Encoded]) -> None:
    """Whole or not at all; a cache that cannot be written is no reason to stop."""
    pieces = [(row.question, row.cue, row.answer, row.opening, *row.steps) for row in encoded]
    partial = file.with_name(f"{file.stem}.{os.getpid()}.partial.npz")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        np.savez(
            partial,
            counts=np.fromiter(map(len, pieces), np.int32),
            lengths=np.fromiter((len(p) for row in pieces for p in row), np.int32),
            ids=np.fromiter(chain.from_iterable(p for row in pieces for p in row), np.int32),
            names=np.frombuffer("\n".join(row.id for row in encoded).encode(), np.uint8),
        )
        os.replace(partial, file)
    except OSError:
        with suppress(OSError):
            partial.unlink()


def _read(file: Path) -> list[Encoded] | None:
    """The examples, or None where there is no file or a damaged one."""
    try:
        with np.load(file, allow_pickle=False) as held:
            counts, lengths, flat = held["counts"].tolist(), held["lengths"].tolist(), held["ids"].tolist()
            names = held["names"].tobytes().decode().split("\n")
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    if sum(lengths) != len(flat) or sum(counts) != len(lengths) or len(names) != len(counts):
        return None
    ends = list(accumulate(lengths))
    pieces = iter([tuple(flat[end - length : end]) for end, length in zip(ends, lengths)])
    rows = []
    for name, count in zip(names, counts):
        question, cue, answer, opening = next(pieces), next(pieces), next(pieces), next(pieces)
        steps = tuple([next(pieces) for _ in range(count - FIXED)])
        rows.append(Encoded(name, question, steps, cue, answer, opening))
    return rows
