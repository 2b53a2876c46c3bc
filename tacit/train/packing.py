"""Documents one behind the other in long rows, so that little of a row is padding."""

from collections.abc import Sequence
from typing import NamedTuple

from tacit.errors import TacitError
from tacit.layout import Layout, Segment
from tacit.methods.base import Method
from tacit.recipe.training import Train


class Packing(NamedTuple):
    """How rows are packed."""

    length: int
    apart: bool


def packing_of(train: Train, method: Method) -> Packing | None:
    """As a recipe says. Only rows whose loss is that of their tokens, whichever row these stand in, can be packed."""
    if train.pack is None:
        return None
    if type(method).loss is not Method.loss or method.collates_itself():
        raise TacitError(
            f"train.pack puts several documents into one row, and method {type(method).__name__.lower()} has to tell rows apart; "
            "set train.pack: null (train.tokens_per_batch saves padding too)"
        )
    return Packing(train.pack, train.pack_apart)


def pack(layouts: Sequence[Layout], length: int, apart: bool) -> list[Layout]:
    """Rows of at most `length` tokens; a longer document has a row of its own. The longest documents are placed first, each in
    the first row that has room. `apart`: documents do not see each other and count their positions anew; otherwise a row is one
    text."""
    rows: list[list[Layout]] = []
    room: list[int] = []
    for layout in sorted(layouts, key=len, reverse=True):
        at = next((n for n, left in enumerate(room) if left >= len(layout)), None)
        if at is None:
            rows.append([])
            room.append(length)
            at = len(rows) - 1
        rows[at].append(layout)
        room[at] -= len(layout)
    return [joined(row, apart) for row in rows]


def joined(layouts: Sequence[Layout], apart: bool) -> Layout:
    """Several documents as one row."""
    if not apart or len(layouts) == 1:
        return Layout(*(segment for layout in layouts for segment in layout.segments))
    segments: list[Segment] = []
    breaks: list[int] = []
    column = 0
    for layout in layouts:
        breaks.append(column)
        positions, at = layout.positions, 0
        for segment in layout.segments:
            segments.append(segment._replace(skip=0, positions=positions[at : at + len(segment.ids)]))
            at += len(segment.ids)
        column += at
    return Layout(*segments, breaks=breaks[1:])
