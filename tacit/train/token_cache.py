"""Encoded examples on disk, so that a large data set is tokenised once and not at the start of every run.

The key is a hash of what decides the ids: the tokenizer, the template and the texts themselves. A changed file, tokenizer or
template is another key; nothing has to be cleaned by hand. `tacit.kept` says where the files are.
"""

import hashlib
import json
from collections.abc import Sequence
from itertools import accumulate, chain
from typing import Any

import numpy as np

from tacit.chunked import MADE_WITH
from tacit.example import Encoded, Example, Template, encode
from tacit.kept import read_kept, write_kept

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
    key = _key(examples, tokenizer, template)
    if (found := _read(key)) is not None:
        return found
    encoded = encode(examples, tokenizer, template)
    _write(key, encoded)
    return encoded


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


def _write(key: str, encoded: Sequence[Encoded]) -> None:
    pieces = [(row.question, row.cue, row.answer, row.opening, *row.steps) for row in encoded]
    arrays = {
        "counts": np.fromiter(map(len, pieces), np.int32),
        "lengths": np.fromiter((len(p) for row in pieces for p in row), np.int32),
        "ids": np.fromiter(chain.from_iterable(p for row in pieces for p in row), np.int32),
        "names": np.frombuffer("\n".join(row.id for row in encoded).encode(), np.uint8),
    }
    write_kept(key, arrays)


def _read(key: str) -> list[Encoded] | None:
    """The examples, or None where there is no file or a damaged one."""
    held = read_kept(key)
    if held is None or held.keys() != {"counts", "lengths", "ids", "names"}:
        return None
    counts, lengths, flat = held["counts"].tolist(), held["lengths"].tolist(), held["ids"].tolist()
    names = held["names"].tobytes().decode().split("\n")
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
