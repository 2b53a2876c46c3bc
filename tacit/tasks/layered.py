"""Which of two nodes can be reached from the root? Layered graphs, made for reasoning by superposition.

A graph is two layered parts of the same shape, and nothing but being connected to the root tells the two candidates apart.
Names say nothing about nodes, so nothing can be learned by heart: a model must search.

Order, names and positions are dealt anew in every epoch, so training meets no question twice and held-out graphs differ by
their random numbers alone; there is no table of questions that could be split by hash.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydantic import Field, field_validator, model_validator

from tacit.edge_list import TOLD
from tacit.example import Example
from tacit.tasks.base import Split, check_split
from tacit.tasks.graphs import Graph, shortest_path
from tacit.tasks.ways import InSymbols, either_order, searched, shuffled


class Layered(InSymbols):
    """`s t s t … [Q] x y [R] root`, a path of nodes, `[A] target`: which of x and y is connected to the root?"""

    hops: tuple[int, ...] = (2, 3, 4)
    """Edges from root to target; each graph draws one of these."""
    held_out_hops: tuple[int, ...] = ()
    """Edges from root to target in the valid and test splits; empty: those of training."""
    width: int = Field(default=2, ge=1)
    """Nodes of a layer, in each of the two parts."""
    names: int = Field(default=20, ge=4)
    """Names that nodes draw from, as many at least as the largest graph has nodes."""
    slots: int = Field(default=32, ge=0)
    """Positions for edges, whose two ends share one; a graph takes a stretch of them that starts anywhere. 0: tokens are
    counted as in any text."""
    room: int = Field(default=12, ge=0)
    """Positions between those of the query and those of the edges, for thoughts and what is written."""
    fresh: bool = True
    """Deal names, order and slots anew in every epoch."""
    valid_rows: int = Field(default=600, ge=1)
    """Examples of the valid split."""
    test_rows: int = Field(default=6000, ge=1)
    """Examples of the test split."""

    @field_validator("hops", "held_out_hops")
    @classmethod
    def _are_hops(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(hops < 1 for hops in value):
            raise ValueError("a target is at least one edge away from the root: give numbers from 1 on")
        return value

    @model_validator(mode="after")
    def _fits(self) -> "Layered":
        if not self.hops:
            raise ValueError("hops is empty; name at least one number of edges, such as [2, 3, 4]")
        longest = max(*self.hops, *self.held_out_hops, 1)
        nodes, edges = 2 * (1 + self.width * longest), 2 * len(_part(longest, self.width, np.random.default_rng(0)))
        if self.names < nodes:
            raise ValueError(f"graphs of {longest} hops have {nodes} nodes; set names to {nodes} at least")
        if self.slots and self.slots < edges:
            raise ValueError(f"graphs of {longest} hops have {edges} edges; set slots to {edges} at least, or to 0")
        return self

    def examples(self, split: Split) -> Iterator[Example]:
        check_split(split)
        hops = (split != "train" and self.held_out_hops) or self.hops
        return self._drawn(split, hops, self.rng(split))

    def _drawn(self, split: Split, hops: tuple[int, ...], rng: np.random.Generator) -> Iterator[Example]:
        for number in range(self.rows(split)):
            graph = draw_layered(hops[int(rng.integers(len(hops)))], self.width, rng)
            yield replace(self.pose(graph, rng), id=f"{split}-{number}")

    def problem(self, rng: np.random.Generator) -> Graph:
        return draw_layered(self.hops[int(rng.integers(len(self.hops)))], self.width, rng)

    def pose(self, problem: Graph, rng: np.random.Generator) -> Example:
        name = rng.permutation(self.names).tolist()
        graph = Graph(
            self.names,
            [(name[source], name[target]) for source, target in problem.edges],
            *(name[node] for node in (problem.root, problem.target, problem.neg_target)),
        )
        edges = shuffled([f"{source} {target}" for source, target in graph.edges], rng)
        first, second = either_order(graph.target, graph.neg_target, rng)
        offset = int(rng.integers(self.slots - len(edges) + 1)) if self.slots else 0
        told = {"names": self.names, "slots": self.slots, "offset": offset, "room": self.room, "fresh": self.fresh}
        return Example(
            question=f"{' '.join(edges)} [Q] {first} {second} [R] {graph.root}",
            steps=tuple([str(node) for node in shortest_path(graph, rng)[1:]]),
            answer=str(graph.target),
            extra=searched(graph) | {TOLD: told},
        )

    def words(self) -> list[str]:
        return [*map(str, range(self.names)), "[Q]", "[R]", "[A]"]


def draw_layered(hops: int, width: int, rng: np.random.Generator) -> Graph:
    """Two parts, numbered one after the other; the first holds root and target."""
    size = 1 + hops * width
    edges = _part(hops, width, rng)
    edges += [(size + source, size + target) for source, target in _part(hops, width, rng)]
    target, other = (size - width + rng.integers(width, size=2)).tolist()
    return Graph(2 * size, edges, 0, target, size + other)


def _part(hops: int, width: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """The edges of one part. Node 0 is its root, and every node of the first layer hangs on it. Every node of a later layer
    has one parent in the layer before, and one node of each has a second."""
    edges = [(0, node) for node in range(1, 1 + width)]
    for layer in range(1, hops):
        above, below = 1 + (layer - 1) * width, 1 + layer * width
        parents = rng.integers(width, size=width).tolist()
        edges += [(above + parent, below + child) for child, parent in enumerate(parents)]
        if width > 1:
            child, step = int(rng.integers(width)), int(rng.integers(1, width))
            edges.append((above + (parents[child] + step) % width, below + child))
    return edges
