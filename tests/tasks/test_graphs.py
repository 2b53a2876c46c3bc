"""Generated graphs against the statistics of the 800 published ones, and the laws every single graph keeps.

The counts are compared per graph, not per node: nodes of one graph depend on each other. For the mean of a histogram
over graphs, with S the covariance between graphs, d' S^-1 d is chi-square with as many degrees of freedom as bins.
"""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.tasks.graphs import Graph, GraphShape, distances, draw_graph, shortest_layers, shortest_path

GRAPHS, PUBLISHED_GRAPHS, PUBLISHED_NODES = 1000, 800, 22.81

# What is counted: (published mean of each bin per graph).
PUBLISHED = {
    "path length 3, 4, 5": (0.407, 0.438, 0.131),
    "entities 2, 3, 4": (0.576, 0.316, 0.085),
    "in-degree 0..3": tuple(PUBLISHED_NODES * share for share in (0.112, 0.437, 0.278, 0.122)),
    "out-degree 0..4": tuple(PUBLISHED_NODES * share for share in (0.323, 0.236, 0.180, 0.133, 0.078)),
    "nodes, edges": (PUBLISHED_NODES, 36.0),
    "root is node 1": (0.636,),
}
# 99.9 % points of chi-square by degrees of freedom.
CRITICAL = {1: 10.83, 2: 13.82, 3: 16.27, 4: 18.47, 5: 20.52}


def counts(graph: Graph) -> dict[str, tuple[int, ...]]:
    into, out = Counter(target for _, target in graph.edges), Counter(source for source, _ in graph.edges)
    steps = distances(graph)[graph.target]
    entities = sum(into[node] == 0 for node in range(graph.size))
    ins, outs = Counter(into[node] for node in range(graph.size)), Counter(out[node] for node in range(graph.size))
    return {
        "path length 3, 4, 5": tuple(int(steps == length) for length in (3, 4, 5)),
        "entities 2, 3, 4": tuple(int(entities == number) for number in (2, 3, 4)),
        "in-degree 0..3": tuple(ins[degree] for degree in range(4)),
        "out-degree 0..4": tuple(outs[degree] for degree in range(5)),
        "nodes, edges": (graph.size, len(graph.edges)),
        "root is node 1": (int(graph.root == 1),),
    }


def deviations(shape: GraphShape, seed: int = 0) -> dict[str, float]:
    """For each histogram chi-square over its critical value: above 1 is a contradiction."""
    rng = np.random.default_rng(seed)
    counted = [counts(draw_graph(rng, shape)) for _ in range(GRAPHS)]
    found = {}
    for name, expected in PUBLISHED.items():
        table = np.array([count[name] for count in counted], float)
        covariance = np.atleast_2d(np.cov(table.T)) * (1 / GRAPHS + 1 / PUBLISHED_GRAPHS)
        difference = table.mean(0) - expected
        found[name] = float(difference @ np.linalg.solve(covariance, difference)) / CRITICAL[len(expected)]
    return found


def test_graphs_have_the_published_statistics():
    found = deviations(GraphShape())
    assert max(found.values()) < 1, found


@pytest.mark.parametrize(
    ("wrong", "shows_in"),
    [
        ({"parents": 1.0}, "in-degree 0..3"),
        ({"depth_weight": 0.0}, "path length 3, 4, 5"),
        ({"below_first": 0.45, "below_second": 0.35}, "root is node 1"),
        ({"slots": 26}, "nodes, edges"),
        ({"below_first": 0.1, "below_second": 0.1}, "out-degree 0..4"),
    ],
)
def test_twin_wrong_constants_do_not(wrong, shows_in):
    assert deviations(GraphShape(**wrong))[shows_in] > 1


def faults(graph: Graph) -> list[str]:
    """Laws of a problem that this graph breaks."""
    nodes = {node for edge in graph.edges for node in edge}
    sources, targets = {source for source, _ in graph.edges}, [target for _, target in graph.edges]
    far = walk(graph, graph.root)
    broken = {
        "nodes are numbered without gaps": nodes == set(range(graph.size)),
        "edges go forward, each once": len(set(graph.edges)) == len(graph.edges) and all(a < b for a, b in graph.edges),
        "edges are sorted by target": targets == sorted(targets),
        "target is a leaf": graph.target not in sources,
        "wrong target is a leaf": graph.neg_target not in sources,
        "target is reached": graph.target in far,
        "wrong target is not": graph.neg_target not in far,
        "wrong target hangs on the other root": graph.neg_target in walk(graph, 1 - graph.root),
        "target does not": graph.target not in walk(graph, 1 - graph.root),
    }
    return [law for law, kept in broken.items() if not kept]


def walk(graph: Graph, root: int) -> dict[int, int]:
    """Distances by breadth-first search, the slow and simple way."""
    far, frontier = {root: 0}, [root]
    while frontier:
        frontier = [
            b for a in frontier for s, b in graph.edges if s == a and b not in far and not far.update({b: far[a] + 1})
        ]
    return far


def test_every_graph_is_a_problem():
    rng = np.random.default_rng(1)
    for _ in range(200):
        graph = draw_graph(rng, GraphShape())
        assert not faults(graph)
        assert distances(graph) == walk(graph, graph.root)
        assert 3 <= distances(graph)[graph.target] <= 6


def test_twin_swapped_targets_break_the_laws():
    graph = draw_graph(np.random.default_rng(1), GraphShape())
    swapped = graph._replace(target=graph.neg_target, neg_target=graph.target)
    assert set(faults(swapped)) >= {"target is reached", "wrong target is not"}


DIAMOND = Graph(8, [(0, 2), (0, 3), (2, 4), (3, 4), (4, 5), (0, 6), (1, 7)], 0, 5, 7)


def test_layers_are_the_nodes_of_shortest_ways():
    assert shortest_layers(DIAMOND) == [[0], [2, 3], [4], [5]]
    paths = {tuple(shortest_path(DIAMOND, np.random.default_rng(seed))) for seed in range(20)}
    assert paths == {(0, 2, 4, 5), (0, 3, 4, 5)}


def test_paths_are_shortest():
    rng = np.random.default_rng(2)
    for _ in range(100):
        graph = draw_graph(rng, GraphShape())
        path = shortest_path(graph, rng)
        assert (path[0], path[-1], len(path) - 1) == (graph.root, graph.target, walk(graph, graph.root)[graph.target])
        assert set(pairwise(path)) <= set(graph.edges)


def test_impossible_shapes_are_refused():
    with pytest.raises(ValueError, match="min_steps 5 is above max_steps 4"):
        GraphShape(min_steps=5, max_steps=4)
    with pytest.raises(ValueError, match="more than 1"):
        GraphShape(below_first=0.6, below_second=0.6)
    with pytest.raises(DataError, match="no graph has 20 to 20 steps"):
        draw_graph(np.random.default_rng(0), GraphShape(slots=8, min_steps=20, max_steps=20))
