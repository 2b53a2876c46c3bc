"""The graphs behind ProsQA: a random DAG, a root, a leaf that can be reached from it and one that cannot.

The published problems came without their generator. The growth rule below and its constants were fitted to the 800
public valid and test graphs; `tests/tasks/test_graphs.py` holds it to their histograms.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.settings import Settings

ATTEMPTS = 10_000
NEITHER, FIRST, SECOND, BOTH = 0, 1, 2, 3  # which of the two roots a node descends from, as bits


class GraphShape(Settings):
    """How graphs grow. The defaults give ProsQA's."""

    slots: int = Field(default=28, ge=4, le=40)
    """Nodes drawn, of which those without any edge are dropped."""
    parents: float = Field(default=1.5, gt=0, le=40)
    """Mean number of parents of a new node (Poisson)."""
    below_first: float = Field(default=0.35, ge=0, le=1)
    """Chance that a new node looks for parents among the descendants of the first root only."""
    below_second: float = Field(default=0.45, ge=0, le=1)
    """Chance that it looks among those of the second root only; else it looks everywhere."""
    depth_weight: float = Field(default=1.5, ge=0, allow_inf_nan=False)
    """How much a parent's weight grows with its depth; 0 draws parents uniformly and gives shallow graphs."""
    min_steps: int = Field(default=3, ge=1)
    """Shortest way from root to target, at least."""
    max_steps: int = Field(default=6, ge=1)
    """Shortest way from root to target, at most."""

    @model_validator(mode="after")
    def _possible(self) -> "GraphShape":
        if self.below_first + self.below_second > 1:
            raise ValueError("below_first + below_second is more than 1")
        if self.min_steps > self.max_steps:
            raise ValueError(f"min_steps {self.min_steps} is above max_steps {self.max_steps}")
        return self


class Graph(NamedTuple):
    """Nodes are 0 … size-1 in order of creation, so every edge goes from a smaller to a larger number."""

    size: int
    edges: list[tuple[int, int]]
    """(source, target), sorted by target."""
    root: int
    target: int
    """A leaf that is reached from root and not from the other root: one of the farthest."""
    neg_target: int
    """A leaf that is reached from the other root only."""


def draw_graph(rng: np.random.Generator, shape: GraphShape) -> Graph:
    """Grow graphs until one is a problem of the right length."""
    for _ in range(ATTEMPTS):
        graph = _question(*_grow(rng, shape), rng, shape)
        if graph is not None:
            return graph
    raise DataError(
        f"no graph has {shape.min_steps} to {shape.max_steps} steps in {ATTEMPTS} tries; widen them, or raise slots"
    )


def _grow(rng: np.random.Generator, shape: GraphShape) -> tuple[list[list[int]], list[int]]:
    """Parents and descent of every slot; slots 0 and 1 are the two roots."""
    parents: list[list[int]] = [[], []]
    descent = [FIRST, SECOND]
    weight = [1.0, 1.0]
    depth = [0, 0]
    members: dict[int, list[int]] = {NEITHER: [], FIRST: [0], SECOND: [1], BOTH: []}
    counts = rng.poisson(shape.parents, shape.slots - 2).tolist()
    where = rng.random(shape.slots - 2).tolist()
    dice = iter(rng.random(sum(counts)).tolist())
    for node, (count, place) in enumerate(zip(counts, where), 2):
        if place < shape.below_first:
            candidates = members[FIRST]
        elif place < shape.below_first + shape.below_second:
            candidates = members[SECOND]
        else:
            candidates = range(node)
        chosen = _weighted(candidates, weight, count, dice)
        bits = 0
        for parent in chosen:
            bits |= descent[parent]
        below_one = bits in (FIRST, SECOND)
        parents.append(chosen)
        descent.append(bits)
        depth.append(1 + min([depth[parent] for parent in chosen]) if below_one else 0)
        weight.append(1 + shape.depth_weight * depth[node])
        members[bits].append(node)
    return parents, descent


def _weighted(candidates: Sequence[int], weight: list[float], count: int, dice: Iterator[float]) -> list[int]:
    """Up to `count` different candidates, one after the other, each by its weight among those left."""
    pool = list(candidates)
    chosen = []
    for _ in range(min(count, len(pool))):
        weights = [weight[node] for node in pool]
        point = next(dice) * sum(weights)
        at = 0
        while point >= weights[at] and at < len(pool) - 1:
            point -= weights[at]
            at += 1
        chosen.append(pool.pop(at))
    return chosen


def _question(
    parents: list[list[int]], descent: list[int], rng: np.random.Generator, shape: GraphShape
) -> Graph | None:
    """Choose root, target and wrong target; None if this graph offers none."""
    has_child = {parent for above in parents for parent in above}
    if not {0, 1} <= has_child:
        return None
    sides = []
    for root, below in ((0, FIRST), (1, SECOND)):
        leaves = [node for node in range(2, len(parents)) if descent[node] == below and node not in has_child]
        if not leaves:
            return None
        far = _depths(parents, root)
        sides.append((root, leaves, far, max(far[leaf] for leaf in leaves)))
    (first, second), coin = sides, rng.random() < 0.5
    asked, other = (first, second) if first[3] > second[3] or (first[3] == second[3] and coin) else (second, first)
    root, leaves, far, steps = asked
    if not shape.min_steps <= steps <= shape.max_steps:
        return None
    target = _one_of([leaf for leaf in leaves if far[leaf] == steps], rng)
    neg_target = _one_of(other[1], rng)
    kept = [node for node in range(len(parents)) if parents[node] or node in has_child]
    number = {node: index for index, node in enumerate(kept)}
    edges = [(number[parent], number[node]) for node in kept for parent in parents[node]]
    return Graph(len(kept), edges, number[root], number[target], number[neg_target])


def _one_of(items: list[int], rng: np.random.Generator) -> int:
    return items[int(rng.random() * len(items))]


def _depths(parents: list[list[int]], root: int) -> dict[int, int]:
    """Distance from the root of every node it reaches. Parents come before children, so one pass is enough."""
    far = {root: 0}
    for node, above in enumerate(parents):
        known = [far[parent] for parent in above if parent in far]
        if known:
            far[node] = 1 + min(known)
    return far


def distances(graph: Graph) -> dict[int, int]:
    """The shortest way from the root to each node it reaches, whatever the nodes are called."""
    children: list[list[int]] = [[] for _ in range(graph.size)]
    for source, target in graph.edges:
        children[source].append(target)
    far, reached = {graph.root: 0}, [graph.root]
    for node in reached:  # grows while it is walked
        for child in children[node]:
            if child not in far:
                far[child] = far[node] + 1
                reached.append(child)
    return far


def frontiers(graph: Graph) -> list[list[int]]:
    """For k = 0, 1, …: the nodes at distance k from the root."""
    far = distances(graph)
    layers: list[list[int]] = [[] for _ in range(1 + max(far.values()))]
    for node, k in far.items():
        layers[k].append(node)
    return [sorted(layer) for layer in layers]


def shortest_layers(graph: Graph) -> list[list[int]]:
    """For k = 0, 1, …: the nodes at distance k from the root that lie on some shortest way to the target."""
    far = distances(graph)
    layers = [[graph.target]]
    for step in range(far[graph.target] - 1, -1, -1):
        last = set(layers[-1])
        layers.append(sorted({source for source, node in graph.edges if node in last and far.get(source) == step}))
    return layers[::-1]


def shortest_path(graph: Graph, rng: np.random.Generator) -> list[int]:
    """One of the shortest ways from root to target."""
    edges = set(graph.edges)
    path = [graph.root]
    for layer in shortest_layers(graph)[1:]:
        path.append(_one_of([node for node in layer if (path[-1], node) in edges], rng))
    return path
