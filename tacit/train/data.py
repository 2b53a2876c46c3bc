"""Which examples a step learns from, and how they become lessons.

The order is arithmetic on (seed, epoch): any step can be asked for without walking to it, so a resumed run skips nothing.
It does not know how many processes there are, so a run means the same on one and on many.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any, NamedTuple

import numpy as np

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Method, Progress
from tacit.recipe.training import Train
from tacit.train.chance import generators
from tacit.train.packing import Packing, pack
from tacit.train.shapes import Shaped
from tacit.vocab import Vocab

ORDER = 1 << 32
"""Sets the random numbers of the order apart from those of the examples; no example has this number."""
BLOCK = 4096
"""Examples that are hashed at once."""
WIDER = 1.125
"""How much longer the longest example of a bucket may be than the shortest."""


class Pick(NamedTuple):
    """An example, and the epoch in which it is met: the same example may be laid out differently next time."""

    epoch: int
    index: int


class Shuffled:
    """A new permutation every epoch, cut into steps of `batch` examples. A step may end one epoch and begin the next."""

    def __init__(self, count: int, batch: int, seed: int):
        self.count, self.batch, self.seed = count, batch, seed
        self._permutation = lru_cache(2)(lambda epoch: _rng(seed, epoch).permutation(count).tolist())

    def steps(self, epochs: float) -> int:
        """How many steps so many passes take, the last one perhaps reaching beyond."""
        return max(1, math.ceil(round(epochs * self.count / self.batch, 6)))

    def epoch(self, step: int) -> float:
        """Passes done before a step."""
        return step * self.batch / self.count

    def picks(self, step: int) -> list[Pick]:
        """The examples of a step."""
        return self.take(step * self.batch, self.batch)

    def take(self, seen: int, rows: int) -> list[Pick]:
        """The next examples after so many."""
        places = (divmod(at, self.count) for at in range(seen, seen + rows))
        return [Pick(epoch, self._permutation(epoch)[at]) for epoch, at in places]


class Bucketed:
    """Examples of similar length share a step, as many as fit into `tokens`, padding included.

    Lengths are those of `lengths`; rows that are shifted so that their thoughts line up take a little more. Buckets depend
    on lengths alone. Every epoch shuffles the examples inside each bucket and then the order of all steps,
    and so has as many steps as any other.
    """

    def __init__(self, lengths: Sequence[int], batch: int, tokens: int, seed: int):
        if max(lengths) > tokens:
            raise DataError(
                f"example {int(np.argmax(lengths))} has {max(lengths)} tokens, more than train.tokens_per_batch: {tokens}; "
                f"set at least {max(lengths)}, or drop such examples"
            )
        widths = np.asarray(lengths)
        bucket = np.floor(np.log(widths) / math.log(WIDER)).astype(int)
        self.members = [np.flatnonzero(bucket == b) for b in np.unique(bucket)]
        self.cuts = [_cuts(len(m), min(batch, tokens // int(widths[m].max()))) for m in self.members]
        self.per_epoch = sum(map(len, self.cuts))
        self.seed = seed
        self._plan = lru_cache(2)(self._shuffled)

    def steps(self, epochs: float) -> int:
        return max(1, math.ceil(round(epochs * self.per_epoch, 6)))

    def epoch(self, step: int) -> float:
        return step / self.per_epoch

    def picks(self, step: int) -> list[Pick]:
        epoch, at = divmod(step, self.per_epoch)
        return [Pick(epoch, index) for index in self._plan(epoch)[at]]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        rng = _rng(self.seed, epoch)
        steps: list[list[int]] = []
        for members, cuts in zip(self.members, self.cuts):
            shuffled = rng.permutation(members).tolist()
            steps += [shuffled[start:end] for start, end in cuts]
        return [steps[i] for i in rng.permutation(len(steps))]


Order = Shuffled | Bucketed


def _rng(seed: int, epoch: int) -> np.random.Generator:
    return np.random.default_rng([seed, epoch, ORDER])


def _cuts(count: int, most: int) -> list[tuple[int, int]]:
    """`count` things in the fewest pieces of at most `most`, as even as can be."""
    pieces = math.ceil(count / most)
    edges = [count * i // pieces for i in range(pieces + 1)]
    return list(zip(edges, edges[1:]))


def order_of(train: Train, method: Method, encoded: Sequence[Encoded], vocab: Vocab) -> Order:
    """The order that a recipe asks for."""
    if train.tokens_per_batch is None:
        return Shuffled(len(encoded), train.batch, train.seed)
    return Bucketed(lengths(train, method, encoded, vocab), train.batch, train.tokens_per_batch, train.seed)


def lengths(train: Train, method: Method, encoded: Sequence[Encoded], vocab: Vocab) -> list[int]:
    """How long each example's longest view is in the first or the last stage; curricula move from the one to the other.

    It is known before the order is, so the number of steps is the one that full batches would need.
    """
    steps = train.steps or math.ceil((train.epochs or 1.0) * len(encoded) / train.batch)
    end = Progress(steps, train.epochs or steps * train.batch / len(encoded), steps)
    picks = [Pick(0, index) for index in range(len(encoded))]
    longest = [0] * len(encoded)
    for stage in {method.stage(Progress(0, 0.0, steps)), method.stage(end)}:
        rows = lay_out(method, encoded, picks, vocab, stage, train.seed)
        longest = [max(most, *map(len, row.values())) for most, row in zip(longest, rows)]
    return longest


class Rows(list[dict[str, Layout]]):
    """The views of each row of a step, laid out one by one, and the examples as this epoch meets them."""

    def __init__(self, views: Iterable[dict[str, Layout]], examples: Sequence[Encoded], picks: Sequence[Pick]):
        super().__init__(views)
        self.examples, self.picks = examples, picks

    def lengths(self) -> list[int]:
        """The longest view of each row."""
        return [max(map(len, row.values())) for row in self]

    def counted(self) -> Iterable[tuple[dict[str, Layout], int]]:
        """Layouts, and how many rows have the segments of each."""
        return zip(self, repeat(1))

    def only(self, which: Iterable[int]) -> "Rows":
        """Some of the rows."""
        rows = list(which)
        return Rows(
            [self[row] for row in rows], [self.examples[row] for row in rows], [self.picks[row] for row in rows]
        )

    def tensors(self, method: Method, vocab: Vocab) -> dict[str, Any]:
        """Views as tensors."""
        return method.collate(self, vocab)

    def packed(self, method: Method, vocab: Vocab, packing: Packing) -> dict[str, Any]:
        """The same in fewer rows, several documents to each."""
        return method.collate([{"main": row} for row in pack([views["main"] for views in self], *packing)], vocab)


def lay_out(
    method: Method, encoded: Sequence[Encoded], picks: Sequence[Pick], vocab: Vocab, stage: int, seed: int
) -> Rows:
    """The views of each example at a stage. An example has random numbers of its own, whatever it shares a step with."""
    views, examples = [], []
    for pick, rng in zip(picks, generators(seed, picks)):
        examples.append(encoded[pick.index].again(rng))
        views.append(method.layouts(examples[-1], vocab, stage, rng))
    return Rows(views, examples, list(picks))


def lessons(
    method: Method, rows: Rows | Shaped, vocab: Vocab, size: int, packing: Packing | None = None
) -> list[Lesson]:
    """Rows in micro-batches of at most `size`, as tensors."""
    parts = [rows.only(range(start, end)) for start, end in _cuts(len(rows), size)]
    made = []
    for part in parts:
        if packing is not None and isinstance(part, Rows):
            views = part.packed(method, vocab, packing)
        else:
            views = part.tensors(method, vocab)
        made.append(Lesson(views, len(part), part.examples, picks=part.picks))
    return made


def portions(rows: Rows | Shaped, count: int) -> list[Rows | Shaped]:
    """Rows in so many parts, as even as can be; fewer where there are not so many rows."""
    count = min(count, len(rows))
    edges = [len(rows) * part // count for part in range(count + 1)]
    return [rows.only(range(*edge)) for edge in zip(edges, edges[1:])]


def fingerprint(encoded: Sequence[Encoded]) -> str:
    """A hash of the examples' ids, to tell whether two runs saw the same data."""
    digest = hashlib.sha256()
    for start in range(0, len(encoded), BLOCK):
        numbers = chain.from_iterable(map(_told, encoded[start : start + BLOCK]))
        digest.update(np.fromiter(numbers, dtype=np.int32).tobytes())
    return digest.hexdigest()[:32]


def _told(row: Encoded) -> Iterator[int]:
    """A row in numbers: where one begins, how long its pieces are, their ids."""
    chunks = chain.from_iterable(row.chunks)
    pieces = (row.question, *row.steps, row.cue, row.answer, *([row.opening] if row.opening else []), *chunks)
    return chain((-1,), map(len, pieces), *pieces)
