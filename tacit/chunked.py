"""Documents in chunks, as they stand in files: under `chunks`, each with its text and the thought behind it."""

from collections.abc import Mapping, Sequence
from typing import Any

from tacit.errors import DataError

TEXT, THOUGHT = ("text", "suffix"), ("thought", "latent")
"""Our names, and the published ones."""


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
