"""Documents in chunks: units of text, gathered by a random number of them that depends on the text alone.

Nothing is lost: the units of a text, one behind the other, are the text.
"""

import hashlib
import math
import re
from collections.abc import Callable
from itertools import accumulate
from typing import Literal

from pydantic import Field, model_validator

from tacit.settings import Settings

Unit = Literal["word", "sentence", "paragraph"]

WORD = re.compile(r"\s*\S+|\s+")
PARAGRAPH = re.compile(r"(?:(?!\n[^\S\n]*\n)[\s\S])+(?:\n[^\S\n]*)*|(?:\n[^\S\n]*)+")
# A sentence ends behind closing marks and before white space; not behind single letters, numbers of a list, and what is
# usually shortened.
END = re.compile(r"[.!?…。！？]+[\"'”’)\]]*(?=\s)")
SHORT = re.compile(
    "mr|mrs|ms|dr|prof|sr|jr|st|vs|etc|eg|ie|cf|al|figs?|eqs?|no|vol|pp|ch|sec|dept|est|approx|inc|ltd|co",
    re.IGNORECASE,
)


class Chunking(Settings):
    """How documents are cut."""

    unit: Unit = "sentence"
    """What is never cut."""
    mean: int = Field(default=8, ge=1)
    """Units of a chunk on average."""
    least: int = Field(default=1, ge=1)
    """Units of a chunk at least."""
    most: int = Field(default=20, ge=1)
    """Units of a chunk at most."""
    even: bool = False
    """As few chunks as their mean allows, all of the same size, instead of random ones."""
    seed: int = Field(default=42, ge=0)
    """With the text itself, what the sizes are drawn from."""

    @model_validator(mode="after")
    def _ordered(self) -> "Chunking":
        if not self.least <= self.mean <= self.most:
            raise ValueError(f"least {self.least}, mean {self.mean}, most {self.most}: set them in this order")
        return self


def cut(text: str, chunking: Chunking) -> list[str]:
    """The chunks of a text, which make up the text; none for an empty one."""
    units = UNITS[chunking.unit](text)
    sizes = _even(len(units), chunking.mean) if chunking.even else _drawn(text, len(units), chunking)
    return ["".join(units[end - size : end]) for end, size in zip(accumulate(sizes), sizes)]


def _even(count: int, mean: int) -> list[int]:
    pieces = math.ceil(count / mean)
    return [count * (n + 1) // pieces - count * n // pieces for n in range(pieces)]


def _drawn(text: str, left: int, chunking: Chunking) -> list[int]:
    import numpy as np

    name = int(hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(), 16)
    rng = np.random.default_rng((name + chunking.seed) % 2**32)
    sizes = []
    while left:
        size = chunking.least + int(rng.poisson(chunking.mean - chunking.least))
        sizes.append(min(size, chunking.most, left))
        left -= sizes[-1]
    return sizes


def words(text: str) -> list[str]:
    """White space and the word behind it."""
    return WORD.findall(text)


def paragraphs(text: str) -> list[str]:
    """A paragraph and the empty lines behind it."""
    return PARAGRAPH.findall(text)


def sentences(text: str) -> list[str]:
    """The white space behind a sentence belongs to the next one."""
    found = []
    for paragraph in paragraphs(text):
        start = 0
        for match in END.finditer(paragraph):
            if not _shortened(paragraph[start : match.start()]):
                found.append(paragraph[start : match.end()])
                start = match.end()
        rest = paragraph[start:]
        if rest.strip() or not found:
            found.append(rest)
        else:  # white space alone is no sentence
            found[-1] += rest
    return found


def _shortened(before: str) -> bool:
    last = (before.split() or [""])[-1].lstrip("([\"'“‘").replace(".", "")
    return (len(last) == 1 and last.isalpha()) or bool(SHORT.fullmatch(last))


UNITS: dict[str, Callable[[str], list[str]]] = {"word": words, "sentence": sentences, "paragraph": paragraphs}
