"""Where it stands: layouts as tensors. The only owner of padding, columns and positions.

Shapes: B rows, T columns. A label belongs to its own column and is predicted by the column before it; that shift is
made here, once, when the labelled columns are listed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from tacit.errors import DataError
from tacit.layout import IGNORE, Layout
from tacit.vocab import Vocab

Align = Literal["latent", "left", "right"]


@dataclass
class Batch:
    """Rows as tensors, and the lists of columns that the engine walks by."""

    ids: Tensor  # (B, T)
    keep: Tensor  # (B, T) bool, False on padding
    labels: Tensor  # (B, T), IGNORE where nothing is learned
    positions: Tensor  # (B, T)
    latent_columns: tuple[int, ...]
    """Columns in which at least one row has a latent, in order."""
    latent_rows: tuple[bool, ...]
    """For each of these columns: do all rows have one there?"""
    latents: Tensor  # (B, T) bool
    closes: Tensor  # (B, T) bool: </think> behind another token
    close_columns: tuple[int, ...]
    """Columns in which at least one row has one."""
    padded: bool
    sources: Tensor  # (N,) flat index into (B, T) of the column that must predict target n
    targets: Tensor  # (N,)
    weights: Tensor | None  # (N,), None when all are 1
    last_position: int
    document: Tensor | None = None  # (B, T): which document of its row a column belongs to, where rows have several
    thoughts: Tensor | None = None  # (B, T, H): vectors to use in latent columns instead of feedback
    extra: dict[str, Tensor] = field(default_factory=dict)
    layouts: Sequence[Layout] = ()
    starts: tuple[int, ...] = ()
    """The column of each row's first token."""
    pattern: "Batch | None" = None
    """Where many rows are alike: one of each kind, on the host."""
    kinds: np.ndarray | None = None
    """(B,) the row of the pattern that each row is like."""

    @classmethod
    def of(cls, layouts: Sequence[Layout], vocab: Vocab, align: Align = "latent") -> "Batch":
        """Lay rows out. `latent`: rows are shifted so that their first latents share a column (rows without latents are
        not shifted); `left`: all rows start at column 0; `right`: all rows end at the last column, as prompts must."""
        if not layouts:
            raise DataError("a batch of no rows cannot be read; drop empty batches before they are laid out")
        rows = [layout.ids for layout in layouts]
        lengths = [len(row) for row in rows]
        if 0 in lengths:
            raise DataError(
                f"row {lengths.index(0)} is empty: nothing to read. Remove it from the data or give it a prompt"
            )
        starts = _starts(rows, lengths, vocab.latent, align)
        width = max(s + n for s, n in zip(starts, lengths))
        ids = np.full((len(rows), width), vocab.pad, dtype=np.int64)
        labels = np.full((len(rows), width), IGNORE, dtype=np.int64)
        positions = np.zeros((len(rows), width), dtype=np.int64)
        keep = np.zeros((len(rows), width), dtype=bool)
        weights = np.ones((len(rows), width), dtype=np.float32)
        count = np.arange(width)
        weighted = False
        for r, (layout, row, start, length) in enumerate(zip(layouts, rows, starts, lengths)):
            end = start + length
            ids[r, start:end] = row
            keep[r, start:end] = True
            positions[r, start:end] = count[:length] if layout.plain else layout.positions
            at = start
            for s in layout.segments:
                after = at + len(s.ids)
                if s.learn:
                    labels[r, at:after] = s.ids if s.labels is None else s.labels
                    if s.learn != 1.0:
                        weights[r, at:after] = s.learn
                        weighted = True
                at = after
        return cls._from_arrays(
            ids, keep, labels, positions, vocab, weights if weighted else None, tuple(layouts), tuple(starts),
            _documents(layouts, starts, width),
        )  # fmt: skip

    @classmethod
    def from_tensors(cls, ids: Tensor, keep: Tensor, labels: Tensor, positions: Tensor | None, vocab: Vocab) -> "Batch":
        """A batch that somebody else laid out (an outside collator, a test)."""
        keep = keep.bool()
        if positions is None:
            positions = (keep.long().cumsum(1) - 1).clamp(min=0)
        host = [t.cpu().numpy() for t in (ids, keep, labels, positions)]
        return cls._from_arrays(host[0], host[1], host[2], host[3], vocab, None, (), ()).to(ids.device)

    @classmethod
    def _from_arrays(
        cls, ids, keep, labels, positions, vocab: Vocab, weights, layouts, starts, documents=None
    ) -> "Batch":
        latents = (ids == vocab.latent) & keep
        _check_grammar(ids, keep, labels, latents, vocab)
        columns = np.flatnonzero(latents.any(0))
        closes = (ids == vocab.close) & keep
        closes[:, 1:] &= keep[:, :-1]
        closes[:, 0] = False
        # The first kept column of a row has no column before it that could predict it.
        learned = (labels != IGNORE) & keep
        learned[:, 1:] &= keep[:, :-1]
        learned[:, 0] = False
        if documents is not None:  # nor the first of a document
            learned[:, 1:] &= documents[:, 1:] == documents[:, :-1]
        at = np.flatnonzero(learned)
        return cls(
            ids=torch.from_numpy(np.ascontiguousarray(ids)),
            keep=torch.from_numpy(np.ascontiguousarray(keep)),
            labels=torch.from_numpy(np.ascontiguousarray(labels)),
            positions=torch.from_numpy(np.ascontiguousarray(positions)),
            latent_columns=tuple(columns.tolist()),
            latent_rows=tuple(latents[:, columns].all(0).tolist()),
            latents=torch.from_numpy(latents),
            closes=torch.from_numpy(closes),
            close_columns=tuple(np.flatnonzero(closes.any(0)).tolist()),
            padded=not bool(keep.all()),
            sources=torch.from_numpy(at - 1),
            targets=torch.from_numpy(labels.ravel()[at]),
            weights=None if weights is None else torch.from_numpy(weights.ravel()[at]),
            last_position=int(positions.max()),
            layouts=layouts,
            starts=starts,
            document=None if documents is None else torch.from_numpy(documents),
        )

    def repeat(self, kinds: np.ndarray, device=None) -> "Batch":
        """(P rows) -> (B rows), each of them like row `kinds[r]` of this one. Every row must be taken at least once, since
        padding and latent columns stay as they are."""
        device = self.device if device is None else device
        small, which = self.to(device), torch.from_numpy(kinds).to(device, non_blocking=True)
        learned = np.zeros(self.shape, dtype=bool)
        learned.ravel()[self.sources.numpy() + 1] = True
        at = torch.from_numpy(np.flatnonzero(learned[kinds])).to(device, non_blocking=True)
        labels = small.labels.index_select(0, which)
        weights = None
        if small.weights is not None:
            everywhere = torch.ones_like(small.labels, dtype=small.weights.dtype)
            everywhere.view(-1)[small.sources + 1] = small.weights
            weights = everywhere.index_select(0, which).flatten()[at]
        return replace(
            small,
            ids=small.ids.index_select(0, which),
            keep=small.keep.index_select(0, which),
            labels=labels,
            positions=small.positions.index_select(0, which),
            latents=small.latents.index_select(0, which),
            closes=small.closes.index_select(0, which),
            sources=at - 1,
            targets=labels.flatten()[at],
            weights=weights,
            layouts=tuple([self.layouts[kind] for kind in kinds.tolist()]),
            starts=tuple([self.starts[kind] for kind in kinds.tolist()]),
            pattern=self,
            kinds=kinds,
        )

    @property
    def shape(self) -> tuple[int, int]:
        return self.ids.shape[0], self.ids.shape[1]

    @property
    def device(self) -> torch.device:
        return self.ids.device

    @cached_property
    def learned(self) -> float:
        """How many tokens are learned (the sum of their weights): what a loss is divided by."""
        if self.weights is None:
            return float(len(self.targets))
        if self.pattern is None or self.kinds is None:
            return math.fsum(self.weights.tolist())
        assert self.pattern.weights is not None
        # Exact, as the sum over all rows would be: a float32 times a count fits into a float64.
        times = np.bincount(self.kinds)[self.pattern.sources // self.pattern.shape[1]]
        return math.fsum((self.pattern.weights.double().numpy() * times).tolist())

    @cached_property
    def tokens(self) -> int:
        """How many columns are no padding."""
        if self.pattern is None or self.kinds is None:
            return int(self.keep.sum())
        return int(self.pattern.keep.sum(1).numpy()[self.kinds].sum())

    @cached_property
    def end(self) -> int:
        """Columns from here on predict nothing that is learned."""
        if self.pattern is not None:
            return self.pattern.end
        return int((self.sources % self.ids.shape[1]).max()) + 1 if len(self.sources) else self.ids.shape[1]

    def to(self, device) -> "Batch":
        names = (
            "ids", "keep", "labels", "positions", "latents", "closes", "sources", "targets", "weights", "thoughts",
            "document",
        )  # fmt: skip
        moved = {n: None if (t := getattr(self, n)) is None else t.to(device, non_blocking=True) for n in names}
        extra = {name: tensor.to(device, non_blocking=True) for name, tensor in self.extra.items()}
        return replace(self, **moved, extra=extra)

    def at(self, name: str, k: int) -> Tensor:
        """(B,) column of the k-th token of a segment; negative counts from its end."""
        if self.pattern is not None:
            return self._each(self.pattern.at(name, k))
        columns = []
        for layout, shift in zip(self.layouts, self.starts):
            start, end = layout.span(name)
            if not -(end - start) <= k < end - start:
                raise DataError(f"segment {name!r} of {layout!r} has no token {k}")
            columns.append(shift + (start + k if k >= 0 else end + k))
        return torch.tensor(columns, device=self.device)

    def mask(self, name: str) -> Tensor:
        """(B, T) bool: the columns of every segment with this name."""
        if self.pattern is not None:
            return self._each(self.pattern.mask(name))
        out = np.zeros(self.shape, dtype=bool)
        for row, layout, shift in zip(out, self.layouts, self.starts):
            for start, end in layout.pieces(name):
                row[shift + start : shift + end] = True
        return torch.from_numpy(out).to(self.device, non_blocking=True)

    def has(self, name: str) -> Tensor:
        """(B,) bool: the rows with such a segment, be it empty."""
        if self.pattern is not None:
            return self._each(self.pattern.has(name))
        return torch.tensor([any(s.name == name for s in row.segments) for row in self.layouts], device=self.device)

    def _each(self, pattern: Tensor) -> Tensor:
        """What holds for the rows of the pattern, for every row."""
        assert self.kinds is not None
        return pattern[torch.from_numpy(self.kinds)].to(self.device, non_blocking=True)


def _documents(layouts: Sequence[Layout], starts: Sequence[int], width: int) -> np.ndarray | None:
    """(B, T) the number of a column's document within its row; None where every row is one document."""
    if not any(layout.breaks for layout in layouts):
        return None
    begins = np.zeros((len(layouts), width), dtype=np.int64)
    for row, layout, start in zip(begins, layouts, starts):
        row[[start + column for column in layout.breaks]] = 1
    return begins.cumsum(1)


def _starts(rows: list[list[int]], lengths: list[int], latent: int, align: Align) -> list[int]:
    if align == "left":
        return [0] * len(rows)
    if align == "right":
        return [max(lengths) - n for n in lengths]
    firsts = [row.index(latent) if latent in row else -1 for row in rows]
    column = max(firsts)
    return [column - first if first >= 0 else 0 for first in firsts]


def _check_grammar(ids, keep, labels, latents, vocab: Vocab) -> None:
    """A latent takes the hidden state of the column before it, so there must be one, and the thought must be open. A model
    that is free to decide may think anywhere, though: where the latent itself is learned, it was chosen and not laid out."""
    if not latents.any():
        return
    orphan = latents.copy()
    orphan[:, 1:] &= ~keep[:, :-1]
    if orphan.any():
        row = int(np.flatnonzero(orphan.any(1))[0])
        raise DataError(
            f"row {row} starts with a latent token: there is no hidden state before it to feed back. "
            "Put at least one ordinary token (a question, or <think>) in front of it"
        )
    ended = (ids[:, :-1] == vocab.close) | (ids[:, :-1] == vocab.eos)
    stray = latents[:, 1:] & ended & (labels[:, 1:] == IGNORE)
    if stray.any():
        row, column = (int(i[0]) for i in np.nonzero(stray))
        raise DataError(
            f"row {row}, column {column + 1}: a latent token follows </think> or the end of the text; "
            "latents belong behind <think>, another latent or the question. Open a new thought with <think>"
        )
