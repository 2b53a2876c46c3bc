"""What is said: a row as an ordered tuple of named segments. The only owner of tokens and labels.

What we train on, what we sample and what we score are all layouts. Where the tokens of a row stand in a tensor is the
business of `tacit.batch`.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

IGNORE = -100


class Segment(NamedTuple):
    """A stretch of tokens with a name, by which losses and probes find it."""

    name: str
    ids: Sequence[int]
    learn: float = 0.0
    """Weight of these tokens in the loss; 0 means that they are read but not learned."""
    skip: int = 0
    """Positions left out before the segment: kept positions after a cut, or a range of their own for thoughts."""
    positions: Sequence[int] | None = None
    """Explicit positions, one for each token; what follows continues after the last of them."""
    labels: Sequence[int] | None = None
    """What is to be predicted in place of the ids, where the two differ (a silent step that must name a node)."""


class Layout:
    """An immutable sequence of segments. `breaks` are the columns in which something begins that must not see what stands before
    it, where several documents share a row."""

    __slots__ = ("breaks", "segments")

    def __init__(self, *segments: Segment, breaks: Sequence[int] = ()):
        self.segments = segments
        self.breaks = tuple(breaks)

    def __add__(self, other: "Layout") -> "Layout":
        return Layout(*self.segments, *other.segments, breaks=self.breaks)

    def __len__(self) -> int:
        return sum(len(s.ids) for s in self.segments)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self.segments == other.segments and self.breaks == other.breaks

    def __hash__(self) -> int:
        return hash(tuple((s.name, tuple(s.ids)) for s in self.segments))

    def __repr__(self) -> str:
        return "Layout(" + " · ".join(f"{s.name}{'*' if s.learn else ''}[{len(s.ids)}]" for s in self.segments) + ")"

    @property
    def ids(self) -> list[int]:
        return list(chain.from_iterable(s.ids for s in self.segments))

    @property
    def labels(self) -> list[int]:
        """Aligned with `ids` and unshifted: the label of a column is what the column before it must predict."""
        out: list[int] = []
        for s in self.segments:
            out += (s.ids if s.labels is None else s.labels) if s.learn else (IGNORE,) * len(s.ids)
        return out

    @property
    def positions(self) -> list[int]:
        out: list[int] = []
        follow = 0
        for s in self.segments:
            if s.positions is not None:
                out += s.positions
            else:
                out += range(follow + s.skip, follow + s.skip + len(s.ids))
            if s.ids:
                follow = out[-1] + 1
            else:
                follow += s.skip
        return out

    @property
    def plain(self) -> bool:
        """No skips and no explicit positions: the usual case, which needs no arithmetic."""
        return all(s.skip == 0 and s.positions is None for s in self.segments)

    def pieces(self, name: str) -> Iterator[tuple[int, int]]:
        """(start, end) of every segment with this name."""
        at = 0
        for s in self.segments:
            if s.name == name:
                yield at, at + len(s.ids)
            at += len(s.ids)

    def span(self, name: str) -> tuple[int, int]:
        """(start, end) of the one stretch with this name; pieces of the same name must touch."""
        found = list(self.pieces(name))
        if not found:
            raise KeyError(f"no segment {name!r} in {self!r}")
        for (_, end), (start, _) in zip(found, found[1:]):
            if start != end:
                raise ValueError(f"segment {name!r} is in several places of {self!r}; ask for a mask instead of a span")
        return found[0][0], found[-1][1]

    def text(self, tokenizer, name: str) -> str:
        return tokenizer.decode([i for s in self.segments if s.name == name for i in s.ids])

    def show(self, tokenizer) -> str:
        """One line for each token: column, segment, position, id, text, label."""
        rows = zip(
            range(len(self)),
            chain.from_iterable([s.name] * len(s.ids) for s in self.segments),
            self.positions,
            self.ids,
            self.labels,
        )
        lines = [f"{'col':>4} {'segment':<10} {'pos':>5} {'id':>7}  {'token':<18} label"]
        for column, name, position, token, label in rows:
            said = repr(tokenizer.decode([token]))
            want = "·" if label == IGNORE else repr(tokenizer.decode([label]))
            lines.append(f"{column:>4} {name:<10} {position:>5} {token:>7}  {said:<18} {want}")
        return "\n".join(lines)


def targets(layout: Layout) -> list[int]:
    """The learned tokens that something stands before, which could predict them."""
    return [label for label in layout.labels[1:] if label != IGNORE]
