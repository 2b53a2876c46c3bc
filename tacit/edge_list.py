"""A question that lists the edges of a graph in symbols: `s t s t … [Q] x y [R] root`, with or without `|` between edges.

In which order the edges stand, which offered answer stands first and what the nodes are called means nothing, so the same
graph can be met in other words in every epoch. And a search from the root has reached certain nodes after so many hops: what
silent steps can be taught to name, whatever is written.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Ids = tuple[int, ...]
TOLD = "told"
"""The key of an example's `extra` under which a task says how it wrote the edges down: the fields of `Form`."""
TAIL = 5
"""Tokens behind the edges: `[Q] x y [R] root`."""


class Form(NamedTuple):
    """How the edges are written down."""

    stride: int = 2
    """Tokens from one edge to the next: 2, or 3 with a separator."""
    names: int = 0
    """Nodes are called 0 … names-1, dealt anew whenever the graph is met; 0: a node keeps its name."""
    slots: int = 0
    """Positions for edges: the two ends of an edge share one, so an edge can be found as one thing. 0: positions are
    counted as in any text."""
    offset: int = 0
    """The slot of the first edge."""
    room: int = 0
    """Positions between those of the query and those of the edges, for what follows the question."""
    fresh: bool = True
    """Whether the graph is met in another order, under other names and in other slots in every epoch."""


class EdgeList(NamedTuple):
    """What a row in ids knows about the edges that its question lists."""

    form: Form
    names: Ids
    """The tokens of all names that nodes can have."""
    frontier: tuple[Ids, ...]
    """For k = 0, 1, …: the nodes at distance k from the root."""
    on_path: tuple[Ids, ...]
    """For k = 0, 1, …: those of them that lie on a shortest way to the target."""

    @classmethod
    def of(cls, extra: Mapping[str, Any] | None, vocabulary: Mapping[str, int]) -> "EdgeList | None":
        """From an example's `extra`: its form, and the keys frontier_k and neighbor_k, in the words of the question."""
        if not extra or TOLD not in extra:
            return None
        form = Form(**extra[TOLD])
        sets = [tuple([tuple([vocabulary[str(n)] for n in s]) for s in extra[k]]) for k in ("frontier_k", "neighbor_k")]
        return cls(form, tuple([vocabulary[str(name)] for name in range(form.names)]), sets[0], sets[1])

    @property
    def hops(self) -> int:
        """Edges on the shortest way from root to target."""
        return len(self.on_path) - 1

    def edges(self, length: int) -> tuple[int, int]:
        """Where the first edge stands in a question of so many tokens, and how many edges there are."""
        stride = self.form.stride
        count = (length - TAIL + stride - 2) // stride  # the last edge has no separator behind it
        return length - TAIL - (stride * count - (stride - 2)), count

    def positions(self, length: int) -> Ids | None:
        """Of the tokens of a question of that length; None where they are counted.

        What precedes the edges and the query behind them are counted as if there were no edges, so the root has the same
        position in every graph.
        """
        form = self.form
        if not form.slots:
            return None
        start, count = self.edges(length)
        base = start + TAIL + form.room + form.offset
        ends = chain.from_iterable((base + edge,) * form.stride for edge in range(count))
        return (*range(start), *list(ends)[: length - TAIL - start], *range(start, start + TAIL))

    def again(
        self, question: Ids, steps: tuple[Ids, ...], answer: Ids, rng: "np.random.Generator"
    ) -> tuple["EdgeList", Ids, tuple[Ids, ...], Ids]:
        """The same graph in other words: edges and answers in another order, nodes under other names, in other slots."""
        stride, (start, count) = self.form.stride, self.edges(len(question))
        drawn = list(question)
        for slot, edge in enumerate(rng.permutation(count).tolist()):
            to, taken = start + slot * stride, start + edge * stride
            drawn[to : to + 2] = question[taken : taken + 2]
        offset, swap = rng.random(2).tolist()
        if swap < 0.5:
            drawn[-4], drawn[-3] = drawn[-3], drawn[-4]
        form = self.form
        if form.slots > count:
            form = form._replace(offset=int(offset * (form.slots - count + 1)))
        if not self.names:
            return self._replace(form=form), tuple(drawn), steps, answer
        dealt = dict(zip(self.names, [self.names[place] for place in rng.permutation(len(self.names)).tolist()]))

        def named(ids: Ids | list[int]) -> Ids:
            return tuple([dealt.get(i, i) for i in ids])

        frontier, on_path = tuple(map(named, self.frontier)), tuple(map(named, self.on_path))
        return EdgeList(form, self.names, frontier, on_path), named(drawn), tuple(map(named, steps)), named(answer)

    def pairs(self, question: Ids) -> Iterator[tuple[int, int]]:
        """The edges, source and target, in the order in which they stand."""
        start, count = self.edges(len(question))
        for at in range(start, start + count * self.form.stride, self.form.stride):
            yield question[at], question[at + 1]
