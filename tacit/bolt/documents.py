"""Whole documents: chunk after chunk, each behind the chunks and thoughts before it.

All documents advance together: the first chunks of all, then the second ones. What is written down of a document can be read by
the task `rows`, and is what the next model learns from.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tacit.bolt.chunks import Chunking, cut
from tacit.bolt.infer import Asked, Inferred, infer
from tacit.bolt.rounds import Inference
from tacit.chunked import IDS, MADE_WITH
from tacit.evaluate.flops import Price, price
from tacit.example import Encoded, Example, Template, encode, to_row
from tacit.layout import Layout, Segment
from tacit.methods.base import question
from tacit.methods.bolt import Marks, chunks, posterior, prior, untold
from tacit.models.tokenizers import fingerprint
from tacit.thinker import Thinker

Row = dict[str, Any]
MARKS = 8
"""Tokens around a chunk and its thought, at most."""


@dataclass
class Found:
    """A document and what was inferred for its chunks; None for a chunk that does not fit into the model."""

    example: Example
    encoded: Encoded
    inferred: list[Inferred | None] = field(default_factory=list)

    @property
    def pairs(self) -> list[tuple[Sequence[int], Sequence[int]]]:
        return chunks(self.encoded)


def infer_documents(
    thinker: Thinker,
    examples: Sequence[Example],
    template: Template,
    settings: Inference,
    chunking: Chunking | None = None,
    on_chunks: Callable[[int], None] | None = None,
) -> list[Found]:
    """Thoughts for every chunk of every document. Texts are cut first, unless they come in chunks. `on_chunks` is told how many
    chunks were inferred, now and then."""
    cut_up = [_cut(example, chunking or Chunking()) for example in examples]
    encoded = encode(cut_up, thinker.tokenizer, template.filled(thinker.tokenizer))
    found = [Found(*pair) for pair in zip(cut_up, encoded)]
    for place in range(max((len(one.pairs) for one in found), default=0)):
        here = [one for one in found if place < len(one.pairs)]
        asked = [_asked(thinker, one, place, settings) for one in here]
        thoughts = iter(infer(thinker, [one for one in asked if one is not None], settings))
        for one, question_ in zip(here, asked):
            one.inferred.append(None if question_ is None else next(thoughts))
        if on_chunks:
            on_chunks(len(here))
    return found


def _cut(example: Example, chunking: Chunking) -> Example:
    if not example.text or "chunks" in (example.extra or {}):
        return example
    pieces = [{"text": piece} for piece in cut(example.text, chunking)]
    return Example(example.id, text=example.text, extra={**(example.extra or {}), "chunks": pieces})


def _asked(thinker: Thinker, found: Found, place: int, settings: Inference) -> Asked | None:
    """A chunk behind as much of what comes before it as the model has room for: the same for posterior and prior."""
    pairs, marks = found.pairs, Marks.of(thinker.vocab)
    chunk = pairs[place][0]
    limit = thinker.door.limit
    room = None if limit is None else limit - len(chunk) - settings.max_tokens - MARKS
    opening = list(question(found.encoded).ids)
    if room is not None and room < len(opening):
        return None
    first = 0 if settings.window is None else max(0, place - settings.window)
    before: list[int] = []
    for n in range(first, place):
        taken = found.inferred[n]
        before += _told(found, n, marks, pairs[n][0], () if taken is None else taken.thought, settings)
    if room is not None:
        before = before[max(0, len(before) - (room - len(opening))) :]
    context = Layout(Segment("question", (*opening, *before)))
    bare = settings.context == "raw" and not before and bool(found.encoded.chunks)
    return Asked(f"{found.encoded.id}/{place}", context, chunk, place == len(pairs) - 1, marked=not bare)


def _told(
    found: Found, place: int, marks: Marks, chunk: Sequence[int], thought: Sequence[int], settings: Inference
) -> list[int]:
    """A chunk as context of later ones."""
    if settings.context == "raw":
        return list(chunk)
    if not thought:
        return Layout(*untold(marks, chunk)).ids
    # As in training, a thought stands before its chunk or behind it.
    rng = np.random.default_rng([settings.seed, place, *found.encoded.id.encode()])
    return Layout(*(prior if rng.integers(2) else posterior)(marks, thought, chunk)).ids


def rows_of(found: Sequence[Found], thinker: Thinker) -> list[Row]:
    """Documents with their thoughts, as text and in tokens, and what is known of them."""
    costs, made_with = price(thinker), fingerprint(thinker.tokenizer)
    return [{**_row(one, thinker, costs), MADE_WITH: made_with} for one in found]


def _row(found: Found, thinker: Thinker, costs: Price) -> Row:
    row = to_row(found.example)
    told = [{**_thought(one, thinker), **_numbers(one, costs)} for one in found.inferred]
    if found.example.text:
        return row | {"chunks": [chunk | one for chunk, one in zip(row["chunks"], told)]}
    [one] = told
    thought = one.pop("thought")
    # The text of a step cannot be blank; the tokens of such a thought are there all the same.
    return row | {"steps": [thought] if thought.strip() else []} | one


def _thought(one: Inferred | None, thinker: Thinker) -> Row:
    if one is None or one.taken is None:
        return {"thought": "", IDS: None}
    return {"thought": thinker.tokenizer.decode(one.thought), IDS: list(one.thought)}


def _numbers(one: Inferred | None, costs: Price) -> Row:
    if one is None:
        return {"candidates": 0}
    valid = sum(candidate.valid for candidate in one.candidates)
    numbers: Row = {"candidates": len(one.candidates), "valid": valid, "flops": one.work.flops(costs)}
    if one.taken is not None:
        weights = [c.log_weight for c in one.candidates if c.valid]
        numbers |= {
            "log_weight": one.candidates[one.taken].log_weight,
            "mean_log_weight": math.fsum(weights) / len(weights),
            "effective": one.effective,
            "bound": one.bound(len(one.candidates)),
        }
    return numbers
