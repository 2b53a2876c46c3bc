"""Examples of one shape, as in N-by-N multiplication: laid out once, and filled in on the device.

Where all questions are equally long, and so are all first steps, all second steps and so on, rows differ in nothing but
their ids. So the ids of all examples become one table, made once, which stays on the device. A method lays out an example
whose ids are holes, numbered like the columns of the table, and a batch is that pattern with its holes filled from the
table. A method that draws random numbers has a pattern for each different series of them. The batches are those that rows
laid out one by one would give.

What a method must not do for this is look at the ids of an example. One that does is found out by comparison, and its rows
are laid out one by one, as are those of a method that makes tensors in its own way or draws more than whole numbers.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.example import Encoded, Ids
from tacit.layout import Layout
from tacit.methods.base import Method
from tacit.train.chance import Decisions, Forgettable, generators
from tacit.vocab import Vocab

Views = dict[str, Layout]

HOLE = 1 << 40
"""Ids from here on are columns of the table; no vocabulary is that large."""
COMPARED = 32
"""Rows of the first stage that are laid out one by one as well; of every later stage, one is."""


class Unfit(Exception):
    """Rows of this method must be laid out one by one."""


class Shapes:
    """Lays out rows of examples that are all of one shape."""

    def __init__(self, method: Method, encoded: Sequence[Encoded], vocab: Vocab, seed: int, table: Tensor):
        self.method, self.encoded, self.vocab, self.seed = method, encoded, vocab, seed
        self.table = table  # (examples, columns), on the device
        self.example = _holes(encoded[0])
        self.stage: int | None = None
        self.patterns: Decisions[Views]
        self.usable = True
        self.blank = lru_cache(8)(self._blank)

    @classmethod
    def of(cls, method: Method, encoded: Sequence[Encoded], vocab: Vocab, seed: int, device) -> "Shapes | None":
        """None where rows must be laid out one by one."""
        shape = _shape(encoded[0])
        if method.collates_itself() or any(row.graph or row.chunks or _shape(row) != shape for row in encoded):
            return None
        flat = np.fromiter(chain.from_iterable(map(_ids, encoded)), np.int32)
        # Where a thought may stand depends on these, which holes would hide.
        if np.isin(flat, [vocab.latent, vocab.close, vocab.eos]).any():
            return None
        return cls(method, encoded, vocab, seed, torch.from_numpy(flat.reshape(len(encoded), -1)).to(device))

    def lay_out(self, picks: Sequence[tuple[int, int]], stage: int) -> "Shaped | None":
        """The rows of (epoch, index). None where they must be laid out one by one: then the method draws more than whole
        numbers, or looks at ids, or complains, and the rows themselves say of what."""
        try:
            if self.usable and stage != self.stage:
                self._enter(stage, picks)
            return self._laid(picks) if self.usable else None
        except (Unfit, Forgettable):
            self.usable = False
            return None

    def _enter(self, stage: int, picks: Sequence[tuple[int, int]]) -> None:
        """Forget the patterns of another stage, and see whether some rows are what they would be alone."""
        some = picks[: COMPARED if self.stage is None else 1]
        self.stage = stage
        self.patterns = Decisions(lambda rng: self._views(self.example, rng))
        for epoch, index in some:
            rng, again = (np.random.default_rng([self.seed, epoch, index]) for _ in range(2))
            pattern, row = self.patterns.outcomes[self.patterns.number(rng)], self.encoded[index]
            if _filled(pattern, row) != self._views(row, again):
                raise Unfit

    def _views(self, example: Encoded, rng: Any) -> Views:
        assert self.stage is not None
        try:
            return self.method.layouts(example, self.vocab, self.stage, rng)
        except Exception as error:
            raise Unfit from error

    def _laid(self, picks: Sequence[tuple[int, int]]) -> "Shaped":
        patterns = self.patterns
        if patterns.certain:
            kinds = np.zeros(len(picks), np.int64)
        else:
            kinds = np.array([patterns.number(rng) for rng in generators(self.seed, picks)])
        return Shaped(self, patterns.outcomes, kinds, np.array([index for _, index in picks]))

    def _blank(self, layout: Layout, rows: int) -> Batch:
        """Rows that are all alike, their holes not filled."""
        return Batch.of([layout], self.vocab).repeat(np.zeros(rows, np.int64), self.table.device)


class Shaped(Sequence[Views]):
    """The rows of a step. Tensors are filled on the device; layouts with ids are made for those who ask for one."""

    picks: Sequence[tuple[int, int]] = ()
    """Only methods that act ask for them, and these make tensors in their own way."""

    def __init__(self, shapes: Shapes, patterns: list[Views], kinds: np.ndarray, chosen: np.ndarray):
        self.shapes, self.patterns, self.kinds, self.chosen = shapes, patterns, kinds, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, row: int) -> Views:  # type: ignore[override]
        return _filled(self.patterns[self.kinds[row]], self.shapes.encoded[int(self.chosen[row])])

    @property
    def examples(self) -> list[Encoded]:
        """What the rows are made of."""
        return [self.shapes.encoded[index] for index in self.chosen.tolist()]

    def lengths(self) -> list[int]:
        """The longest view of each row."""
        return np.array([max(map(len, views.values())) for views in self.patterns])[self.kinds].tolist()

    def counted(self) -> Iterable[tuple[Views, int]]:
        """Layouts, and how many rows have the segments of each."""
        return zip(self.patterns, np.bincount(self.kinds, minlength=len(self.patterns)).tolist())

    def only(self, which: Iterable[int]) -> "Shaped":
        """Some of the rows."""
        rows = list(which)
        return Shaped(self.shapes, self.patterns, self.kinds[rows], self.chosen[rows])

    def tensors(self, method: Method, vocab: Vocab) -> dict[str, Batch]:
        """Views as tensors."""
        table = self.shapes.table
        rows = table.index_select(0, torch.from_numpy(self.chosen).to(table.device, non_blocking=True)).long()
        present, kinds = np.unique(self.kinds, return_inverse=True)
        patterns = [self.patterns[kind] for kind in present]
        return {name: self._fill(self._blank(name, patterns, kinds), rows, name) for name in patterns[0]}

    def _blank(self, name: str, patterns: list[Views], kinds: np.ndarray) -> Batch:
        if len(patterns) == 1:
            return self.shapes.blank(patterns[0][name], len(self))
        pattern = Batch.of([views[name] for views in patterns], self.shapes.vocab)
        return pattern.repeat(kinds, self.shapes.table.device)

    def _fill(self, blank: Batch, rows: Tensor, name: str) -> Batch:
        ids, labels = (
            torch.where(given < HOLE, given, rows.gather(1, (given - HOLE).clamp(min=0)))
            for given in (blank.ids, blank.labels)
        )
        targets = labels.flatten().index_select(0, blank.sources + 1)
        return replace(blank, ids=ids, labels=labels, targets=targets, layouts=_View(self, name))


class _View(Sequence[Layout]):
    """One view of every row."""

    def __init__(self, rows: Shaped, name: str):
        self.rows, self.name = rows, name

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row):
        if isinstance(row, slice):
            return [self[r] for r in range(*row.indices(len(self)))]
        return self.rows[row][self.name]


def _shape(ex: Encoded) -> tuple[int, ...]:
    return len(ex.question), len(ex.opening), *map(len, ex.steps), len(ex.cue), len(ex.answer)


def _ids(ex: Encoded) -> Iterable[int]:
    return chain(ex.question, ex.opening, *ex.steps, ex.cue, ex.answer)


def _holes(ex: Encoded) -> Encoded:
    """The example with the number of its column in place of each id."""
    columns = count(HOLE)

    def take(ids: Ids) -> Ids:
        return tuple(islice(columns, len(ids)))

    question, opening = take(ex.question), take(ex.opening)
    return Encoded(ex.id, question, tuple(take(step) for step in ex.steps), take(ex.cue), take(ex.answer), opening)


def _filled(views: Views, ex: Encoded) -> Views:
    """The layouts that the example itself would have."""
    known = tuple(_ids(ex))

    def fill(ids: Sequence[int]) -> Sequence[int]:
        found = [i if i < HOLE else known[i - HOLE] for i in ids]
        return found if isinstance(ids, list) else tuple(found)

    return {
        name: Layout(
            *(s._replace(ids=fill(s.ids), labels=None if s.labels is None else fill(s.labels)) for s in layout.segments)
        )
        for name, layout in views.items()
    }
