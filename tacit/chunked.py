"""Documents in chunks, as they stand in files: under `chunks`, each with its text and the thought behind it.

A thought that a model inferred stands there in tokens too, since its text may have other ones, or be none at all. Tokens count
wherever the tokenizer is the one that they were made with; elsewhere the text does.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tacit.errors import DataError

if TYPE_CHECKING:
    from tacit.example import Encoded, Example

TEXT, THOUGHT = ("text", "suffix"), ("thought", "latent")
"""Our names, and the published ones."""
IDS, MADE_WITH = "thought_ids", "thought_tokenizer"
"""A thought's tokens, in the chunk or in the row that it belongs to; and whose tokens they are, in the row."""


def chunk_pairs(extra: Mapping[str, Any] | None, text: str, place: str) -> list[tuple[str, str]]:
    """Each chunk of a document and its thought, which may be empty; no chunks where a document was not cut."""
    if not extra or "chunks" not in extra:
        return []
    found = extra["chunks"]
    if not isinstance(found, Sequence) or not all(isinstance(chunk, Mapping) for chunk in found):
        raise DataError(f"{place}: chunks: expected a list of objects with text and thought")
    pairs = [(_field(chunk, TEXT, place), _field(chunk, THOUGHT, place, "")) for chunk in found]
    if "".join(chunk for chunk, _ in pairs) != text:
        raise DataError(f"{place}: chunks: joined, they are not the text of the document; cut it again")
    return pairs


def _field(chunk: Mapping[str, Any], names: tuple[str, ...], place: str, without: str | None = None) -> str:
    value = next((chunk[name] for name in names if chunk.get(name) is not None), without)
    if not isinstance(value, str):
        raise DataError(f"{place}: chunks: {names[0]} is missing or no text in one of them")
    return value


def with_thought_ids(encoded: "list[Encoded]", examples: "Sequence[Example]", tokenizer: Any) -> "list[Encoded]":
    """Thoughts that were written down in tokens of this tokenizer as just these."""
    makers = [(example.extra or {}).get(MADE_WITH) for example in examples]
    if not any(makers):
        return encoded
    from tacit.models.tokenizers import fingerprint

    mine = fingerprint(tokenizer)
    if others := sum(maker not in (None, mine) for maker in makers):
        warnings.warn(
            f"{others} examples have thoughts in tokens of another tokenizer; their text is read", stacklevel=3
        )
    return [_exactly(row, example) if maker == mine else row for row, example, maker in zip(encoded, examples, makers)]


def _exactly(row: "Encoded", example: "Example") -> "Encoded":
    extra, place = example.extra or {}, example.id or "example"
    if not row.chunks:
        ids = _ids(extra, place)
        return row if ids is None else row._replace(steps=(ids,))
    kept = [_ids(chunk, place) for chunk in extra["chunks"]]
    pairs = [(chunk, thought if ids is None else ids) for (chunk, thought), ids in zip(row.chunks, kept)]
    return row._replace(chunks=tuple(pairs))


def _ids(told: Mapping[str, Any], place: str) -> tuple[int, ...] | None:
    found = told.get(IDS)
    if found is None:
        return None
    if not isinstance(found, Sequence) or not all(type(one) is int and one >= 0 for one in found):
        raise DataError(f"{place}: {IDS}: expected a list of token numbers")
    return tuple(found)
