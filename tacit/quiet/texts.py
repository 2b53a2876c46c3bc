"""Rows of text as tensors, and the random numbers of their thoughts.

Shapes: S models, B texts, W tokens, L = W - 1 places that predict, C = L B cells (columns outermost), T thoughts of a cell.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad as padded

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import IGNORE, Layout
from tacit.methods.base import Lesson
from tacit.train.chance import generators

THOUGHTS, DROPOUT, STATES = 1 << 40, 1 << 41, 1 << 42
"""Set the random numbers of thoughts, of dropout and of drawn states apart from those of a seed's layouts."""


@dataclass
class Texts:
    """Rows of text, padded on the right."""

    ids: Tensor  # (B, W)
    keep: Tensor  # (B, W) tokens that are to be predicted; that of the first column does not matter
    learned: float
    """Places where a thought has all that it shall predict."""
    sums: dict[str, float]

    def to(self, device) -> "Texts":
        return replace(self, ids=self.ids.to(device), keep=self.keep.to(device))


def texts(
    rows: Sequence[Sequence[int]], pad: int, ahead: int = 1, taught: Sequence[Sequence[bool]] | None = None
) -> Texts:
    """Rows as one rectangle; `ahead` tokens are predicted at a place. `taught`: which tokens of each row are,
    if not all."""
    ids = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    keep = np.zeros(ids.shape, dtype=bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
        keep[number, : len(row)] = True if taught is None else taught[number]
    sums = {"read": float(keep[:, 1:].sum())}
    return Texts(torch.from_numpy(ids), torch.from_numpy(keep), float(predictable(keep, ahead).sum()), sums)


def collated(layouts: Sequence[Layout], pad: int, ahead: int) -> Texts:
    """Such rows as one rectangle."""
    taught = [[label != IGNORE for label in layout.labels] for layout in layouts]
    return texts([layout.ids for layout in layouts], pad, ahead, taught)


def refuse_short(encoded: Sequence[Encoded], ahead: int) -> None:
    short = next((row for row in encoded if len(row.question) + len(row.answer) <= ahead), None)
    if short is not None:
        raise DataError(
            f"{short.id or 'example'} is no longer than method.ahead: {ahead}, so nothing can be predicted in it; set ahead "
            "lower, or drop such texts"
        )


def predictable(keep, ahead: int):
    """(B, W) -> (B, L): places of which all of the next `ahead` tokens are to be predicted."""
    there = keep[:, 1:]
    for further in range(1, ahead):
        there = there[:, :-1] & keep[:, 1 + further :]
    return there


def refuse_questions(encoded: Sequence[Encoded]) -> None:
    asked = next((row for row in encoded if row.cue or row.steps), None)
    if asked is not None:
        raise DataError(
            f"{asked.id or 'example'} is a question, and thoughts before every token belong to plain text; take a task of "
            "texts, such as text"
        )


def aligned(lessons: Sequence[Lesson], pad: int) -> list[Lesson]:
    """The lessons of several models, padded to one width."""
    width = max(lesson.views["main"].ids.shape[1] for lesson in lessons)

    def wide(view: Texts) -> Texts:
        more = (0, width - view.ids.shape[1])
        return replace(view, ids=padded(view.ids, more, value=pad), keep=padded(view.keep, more, value=False))

    return [replace(lesson, views={"main": wide(lesson.views["main"])}) for lesson in lessons]


def stacked(views: Sequence[Texts]) -> tuple[Tensor, Tensor]:
    """Ids (S, B, W) and, for each cell (S, C), 1 where there is something to predict."""
    ids = torch.stack([view.ids for view in views])
    keep = torch.stack([view.keep for view in views])
    return ids, cells(keep[..., 1:]).float()


def cells(columns: Tensor) -> Tensor:
    """(S, B, L) -> (S, C), columns outermost."""
    return columns.transpose(1, 2).flatten(1)


def chances(lessons: Sequence[Lesson], samples: int, length: int) -> Tensor:
    """Uniform random numbers (R, S, C T) for thoughts of so many tokens."""
    return _numbers(lessons, THOUGHTS, samples, length).permute(3, 0, 1, 2).flatten(2)


def kept(lessons: Sequence[Lesson], width: int, dropped: float) -> Tensor:
    """What dropout multiplies by: (S, C, width)."""
    return (_numbers(lessons, DROPOUT, width) >= dropped).float() / (1.0 - dropped)


def normals(lesson: Lesson, samples: int, width: int) -> Tensor:
    """Standard normal random numbers (L, B, T, width) for states that are drawn."""
    return numbers(lesson, STATES, samples, width, normal=True).transpose(0, 1)


def numbers(lesson: Lesson, kind: int, *shape: int, normal: bool = False) -> Tensor:
    """Uniform or normal random numbers (B, L, …). They belong to a seed, an example and an epoch, and so depend neither on what
    else is in the batch nor on how it is padded."""
    view = lesson.views["main"]
    found = np.empty((lesson.rows, view.ids.shape[1] - 1, *shape), dtype=np.float32)
    for row, rng in enumerate(generators(lesson.seed + kind, lesson.picks)):
        (rng.standard_normal if normal else rng.random)(dtype=np.float32, out=found[row])
    return torch.from_numpy(found).to(view.ids.device)


def _numbers(lessons: Sequence[Lesson], kind: int, *shape: int) -> Tensor:
    """Those of several models (S, C, …), whichever are side by side."""
    return torch.stack([numbers(lesson, kind, *shape).transpose(0, 1).flatten(0, 1) for lesson in lessons])
