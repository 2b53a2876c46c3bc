"""A student that thinks silently beside a teacher that writes, in one model: what they share, what is compared, the loss.

Both are layouts of the same example and share its question, so they are read on one trunk (`tacit.engine.shared`). What is
compared are states of every layer at few places, `Pairs`: the teacher's without gradient, divided by their size. That size
is the whole step's, however the step is cut into micro-batches.

Shapes: L layers compared, P pairs, H hidden size.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from tacit.engine.averages import Averages
from tacit.engine.shared import SharedBatch, SharedTrace, read_shared
from tacit.errors import ModelError
from tacit.layout import Layout
from tacit.methods.base import Loss
from tacit.methods.distance import Distance
from tacit.vocab import Vocab

STUDENT, TEACHER = 0, 1
PARTS = ("student", "teacher")
EPSILON = 1e-8
"""Added to what a distance is divided by."""


class Place(NamedTuple):
    """Tokens of a student's layout and of its teacher's whose mean states are compared."""

    student: Sequence[int]
    teacher: Sequence[int]


Term = Callable[[Layout, Layout], list[Place]]
"""(student, teacher) -> where one term compares them."""


@dataclass
class Pairs:
    """All that one term compares in a micro-batch."""

    student: Averages
    teacher: Averages
    known: Tensor  # (P,) False where one of the two has no such token, and so there is no distance
    places: list[tuple[int, Sequence[int]]]
    """The row of each pair, and the teacher's tokens."""

    def to(self, device) -> "Pairs":
        return Pairs(self.student.to(device), self.teacher.to(device), self.known.to(device), self.places)


@dataclass
class Twins:
    """A micro-batch of students and teachers."""

    batch: SharedBatch
    teachers: tuple[Layout, ...]
    pairs: dict[str, Pairs]
    """By term."""
    parts: dict[str, Tensor]
    """(N,) what each learned token counts for: `student`, `teacher`, and `stop` for the student's decisions alone."""
    sums: dict[str, float]
    """What parts and terms are divided by, and the moments of the teacher's states: each to be summed over the whole step."""

    @classmethod
    def of(
        cls, rows: Sequence[dict[str, Layout]], vocab: Vocab, terms: dict[str, Term], closing: bool = False
    ) -> "Twins":
        """Rows of a student, `main`, and perhaps a `teacher`. `closing`: see `SharedBatch.of`."""
        names = [name for name in ("main", "teacher") if name in rows[0]]
        batch = SharedBatch.of([[row[name] for name in names] for row in rows], vocab, closing)
        pairs = {name: _pairs(batch, rows, places) for name, places in terms.items()}
        parts = {name: batch.weights * (batch.stages == stage) for name, stage in zip(PARTS, range(len(names)))}
        deciding = (batch.said == vocab.open) | (batch.said == vocab.latent)
        parts["stop"] = (deciding & (batch.stages == STUDENT)).to(batch.weights)
        sums = {name: float(part.double().sum()) for name, part in parts.items()}
        sums |= {name: float(len(pair.places)) for name, pair in pairs.items()}
        # Behind <think> a teacher writes and decides nothing.
        batch.said = torch.where(batch.stages == TEACHER, vocab.pad, batch.said)
        return cls(batch, tuple(row["teacher"] for row in rows if "teacher" in row), pairs, parts, sums)

    @property
    def learned(self) -> float:
        return self.batch.learned

    @property
    def keep(self) -> Tensor:
        return self.batch.keep

    @property
    def trunk(self):
        return self.batch.trunk

    def to(self, device) -> "Twins":
        pairs = {name: pair.to(device) for name, pair in self.pairs.items()}
        parts = {name: part.to(device) for name, part in self.parts.items()}
        return replace(self, batch=self.batch.to(device), pairs=pairs, parts=parts)

    def read(self, thinker) -> SharedTrace:
        return read_shared(thinker, self.batch, [side for p in self.pairs.values() for side in (p.student, p.teacher)])


def _pairs(batch: SharedBatch, rows: Sequence[dict[str, Layout]], places: Term) -> Pairs:
    found = [(r, place) for r, row in enumerate(rows) for place in places(row["main"], row["teacher"])]
    which = [r for r, _ in found]
    student = _averages(batch, which, STUDENT, [place.student for _, place in found])
    teacher = _averages(batch, which, TEACHER, [place.teacher for _, place in found])
    known = torch.tensor([len(p.student) > 0 and len(p.teacher) > 0 for _, p in found], dtype=torch.bool)
    return Pairs(student, teacher, known, [(r, place.teacher) for r, place in found])


def _averages(batch: SharedBatch, rows: Sequence[int], stage: int, places: Sequence[Sequence[int]]) -> Averages:
    """Over `places`, tokens of a layout of each of `rows`."""
    sizes = [len(place) for place in places]
    which = np.repeat(np.array(rows, dtype=np.int64), sizes)
    columns = np.fromiter(chain.from_iterable(places), np.int64, sum(sizes))
    return Averages.of(batch.spots(which, stage, columns), sizes, batch.trunk.ids.numel())


def distilled_loss(thinker, twins: Twins, counts: dict, distance: Distance, weights: dict[str, float]) -> Loss:
    """The weighted sum of both cross-entropies, each a mean over its own tokens, and of the terms. `weights` are those of
    `student`, `teacher` and each term; `counts` are the `sums` of the whole step."""
    trace = twins.read(thinker)
    each = trace.nll()
    parts = {name: (each * part.to(each)).sum() / counts[name] for name, part in twins.parts.items() if counts[name]}
    told = {}
    for name, pair in twins.pairs.items():
        if not counts[name]:
            continue
        student, teacher = (_compared(trace.averages(side), distance) for side in (pair.student, pair.teacher))
        teacher = teacher.detach()
        student = torch.where(pair.known[:, None], student, teacher)
        size = sizes(teacher, name, counts, distance)
        apart = distances(student, teacher, distance) / counts[name]
        parts[name] = (apart / size).mean()
        told |= _statistics(name, student, teacher, apart, size, counts[name])
    total = torch.stack([parts[name] * weight for name, weight in weights.items() if name in parts]).sum()
    return Loss(total, {name: part.detach() for name, part in (parts | told).items()})


def _compared(states: Tensor, distance: Distance) -> Tensor:
    """(L, P, H): the layers that are compared, of the embedding's output and all layers."""
    layers = len(states) - 1
    first, last = distance.blocks or (0, layers - 1)
    if last >= layers:
        raise ModelError(
            f"layers {first} to {last} are to be compared, and this model has layers 0 to {layers - 1}; set "
            "method.distance.blocks to some of these, or null for all"
        )
    blocks = states[1 + first : 2 + last]
    return torch.cat([states[:1], blocks]) if distance.embedding else blocks


def distances(student: Tensor, teacher: Tensor, distance: Distance) -> Tensor:
    """(L,) summed over pairs."""
    if distance.measure == "l2":
        return (student - teacher).norm(dim=-1).sum(-1)
    return torch.nn.functional.smooth_l1_loss(student, teacher, reduction="none").mean(-1).sum(-1)


def sizes(teacher: Tensor, term: str, counts: dict, distance: Distance) -> Tensor:
    """(L,) what each layer's distance is divided by: from these states if they are all of the step's, else from the moments
    that were gathered over the step."""
    if distance.norm == "none":
        return teacher.new_ones(len(teacher))
    L, P, H = teacher.shape
    whole = counts[term] == P
    moments = _moments(teacher) if whole else teacher.new_tensor(
        [[counts[_key(term, l, kind)] for kind in KINDS] for l in range(L)], dtype=torch.float64
    )  # fmt: skip
    if not distance.norm.startswith("layer"):
        moments = moments.sum(0, keepdim=True).expand(L, -1)
    total, square, length, pairs = moments.unbind(-1)
    if distance.norm.endswith("l2"):
        size = length / pairs
    else:
        size = ((square - total**2 / (pairs * H)).clamp(min=0) / (pairs * H - 1)).sqrt()
    return size.to(teacher) + EPSILON


KINDS = ("sum", "square", "length", "pairs")


def _key(term: str, layer: int, kind: str) -> str:
    return f"{term}/{layer}/{kind}"


def _moments(states: Tensor) -> Tensor:
    """(L, 4) in float64: the sum of all numbers, of their squares, of the states' lengths, and how many states there are."""
    x = states.double()
    count = torch.full((len(x),), x.shape[1], dtype=x.dtype, device=x.device)
    return torch.stack([x.sum((1, 2)), x.square().sum((1, 2)), x.norm(dim=-1).sum(-1), count], -1)


@torch.no_grad()
def gather_moments(thinker, twins: Twins, distance: Distance) -> Twins:
    """With the moments of the teacher's states among the sums: what a step in several pieces is to divide by. It costs one
    more read of the teachers' rows."""
    if distance.norm == "none" or not twins.pairs:
        return twins
    batch = SharedBatch.of([[layout] for layout in twins.teachers], thinker.vocab)
    sides = {}
    for name, pair in twins.pairs.items():
        which, tokens = [r for r, _ in pair.places], [columns for _, columns in pair.places]
        sides[name] = _averages(batch, which, 0, tokens).to(thinker.device)
    trace = read_shared(thinker, batch.to(thinker.device), list(sides.values()))
    sums = dict(twins.sums)
    for name, side in sides.items():
        rows = _moments(_compared(trace.averages(side), distance)).tolist()
        sums |= {_key(name, l, kind): value for l, row in enumerate(rows) for kind, value in zip(KINDS, row)}
    return replace(twins, sums=sums)


def _statistics(
    term: str, student: Tensor, teacher: Tensor, apart: Tensor, size: Tensor, count: float
) -> dict[str, Tensor]:
    """By layer: the distance, what it is divided by, and the mean lengths of both states; as parts that add up to the step's."""
    share = student.shape[1] / count
    told = {"distance": apart, "size": size * share}
    told |= {"student_l2": student.norm(dim=-1).sum(-1) / count, "teacher_l2": teacher.norm(dim=-1).sum(-1) / count}
    return {_key(term, l, kind): value for kind, values in told.items() for l, value in enumerate(values.unbind())}
