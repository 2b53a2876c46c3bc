"""The section `bolt.corpus` of a recipe: where documents come from, and which of them are for what."""

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from tacit.settings import Settings

SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmb])", re.IGNORECASE)
UNITS = {"k": 10**3, "m": 10**6, "b": 10**9}
ROUNDED = 0.96
"""Published data sets are called by rounded sizes: 2b is 1.92 billion tokens, 500m is 480 million."""


def token_budget(given: object) -> object:
    """A number of tokens; a published name such as 2b stands for what it really held."""
    if not isinstance(given, str):
        return given
    match = SIZE.fullmatch(given.strip())
    if match is None:
        raise ValueError(f"{given!r} is no number of tokens; write 1920000000, or a published name such as 2b or 500m")
    return round(float(match[1]) * UNITS[match[2].lower()] * ROUNDED)


Budget = Annotated[int, Field(ge=1), BeforeValidator(token_budget)]


class Preparation(Settings):
    """How a corpus is prepared. Every document is for validation or for training, and one in training belongs to one of
    `slices` slices: the warm start and the corpus of the rounds own different slices, so they share no document."""

    source: str
    """A file (jsonl, json, parquet, arrow, csv, text), a folder of such files, or the id of a hub data set."""
    config: str | None = None
    """The configuration of a hub data set."""
    split: str = "train"
    """The split of a hub data set."""
    column: str | None = None
    """Where the text stands in a row; null takes text, or else content."""
    documents: Literal["file", "paragraph", "line"] = "file"
    """For plain text: a document is the whole file, a paragraph (between empty lines), or a line."""
    keep: list[str] = Field(default_factory=list)
    """Other columns that stay with a document. chunks are looked at: a row whose chunks do not make up its text is left out."""
    folder: str
    """Where the prepared files go."""
    tokenizer: str | None = None
    """A folder or hub id; every document is then told with its number of tokens."""
    shuffle: int | None = Field(default=42, ge=0)
    """Seed of the order of documents; null keeps that of the source."""
    by: Literal["index", "hash"] = "index"
    """What decides where a document belongs. index: its place in the order, as published. hash: its text, so that a corpus that
    grows keeps its validation documents."""
    valid_every: int = Field(default=1_000, ge=2)
    """One document in so many is for validation."""
    slices: int = Field(default=20, ge=1)
    """How many slices the training documents are dealt to, one by one."""
    warm: list[int] = Field(default=[0])
    """The slices of the warm start."""
    corpus: list[int] = Field(default=[13, 14, 15, 16])
    """The slices that thoughts are inferred for."""
    warm_tokens: Budget | None = None
    """The warm start ends with the document that brings it to so many tokens: a number, or a name such as 500m (480 million)."""
    corpus_tokens: Budget | None = None
    """Likewise for the corpus: 2b is 1.92 billion."""
    limit: int | None = Field(default=None, ge=1)
    """Read the first so many rows of the source only."""
    piece: int | None = Field(default=None, ge=1)
    """Documents of more tokens are cut between sentences, or between their chunks, into pieces of at most so many, which are
    documents of their own of the same split. Their thoughts come on top: the model must have room for both."""
    part: int = Field(default=2_000, ge=1)
    """Rows that are held in memory, and lost at most, at a time."""

    @model_validator(mode="after")
    def _apart(self) -> "Preparation":
        if both := sorted({*self.warm} & {*self.corpus}):
            raise ValueError(
                f"slices {both} are in warm and in corpus: the rounds would learn what the warm start knows"
            )
        if wrong := [n for n in (*self.warm, *self.corpus) if not 0 <= n < self.slices]:
            raise ValueError(
                f"slices {wrong}: there are {self.slices} of them, counted from 0; set slices, warm or corpus"
            )
        if self.tokenizer is None and (self.warm_tokens or self.corpus_tokens or self.piece):
            raise ValueError("tokens cannot be counted without a tokenizer; set tokenizer")
        return self
