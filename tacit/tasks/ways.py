"""Ways through a graph: questions in symbols, the graph behind a row, and what a written way does right or wrong.

A question in symbols lists edges as pairs of nodes and offers two nodes: `s t s t … [Q] x y [R] root`.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np

from tacit.errors import DataError
from tacit.example import Example, Template
from tacit.tasks.base import Generated
from tacit.tasks.graphs import Graph, distances, frontiers, shortest_layers

Verdict = Literal[
    "correct path", "longer path", "hallucinated edge", "wrong target", "correct label", "incorrect label"
]
SENTENCE = re.compile(r"(?:Every )?(\w+) is an? (\w+)\b")


SYMBOLIC = Template(kind="symbolic", question="{question}", step="{step}", cue="[A]", answer="{answer}", bos=True)


class InSymbols(Generated):
    """Questions about graphs whose nodes are numbers."""

    template: Template = SYMBOLIC
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote."""

    def choices(self, example: Example) -> tuple[str, str]:
        return offered(example)

    def kind(self, example: Example) -> str:
        return f"{len(example.steps)} hops"

    def verdict(self, example: Example, text: str, hidden: int = 0) -> Verdict | None:
        return path_verdict(example, text, hidden) if has_graph(example) else None


def offered(example: Example) -> tuple[str, str]:
    """The two candidates of a question in symbols, in the order in which they stand."""
    first, second = example.question.split("[Q]")[1].split()[:2]
    return first, second


def shuffled(items: Sequence[str], rng: np.random.Generator) -> list[str]:
    """The items in a random order."""
    order: list[int] = rng.permutation(len(items)).tolist()
    return [items[index] for index in order]


def either_order(a: Any, b: Any, rng: np.random.Generator) -> tuple[Any, Any]:
    """Both in a random order."""
    return (a, b) if rng.random() < 0.5 else (b, a)


def as_extra(graph: Graph) -> dict[str, Any]:
    """The graph as the published files tell it."""
    edges = [list(edge) for edge in graph.edges]
    return {"edges": edges, "root": graph.root, "target": graph.target, "neg_target": graph.neg_target}


def searched(graph: Graph) -> dict[str, Any]:
    """The graph, and what a search from its root finds at every distance; neighbor_k is the name in the published set."""
    return {**as_extra(graph), "frontier_k": frontiers(graph), "neighbor_k": shortest_layers(graph)}


def has_graph(example: Example) -> bool:
    """Whether the row brought the graph that its question tells."""
    return not _missing(example)


def _missing(example: Example) -> list[str]:
    return [key for key in ("edges", "root", "target", "neg_target") if key not in (example.extra or {})]


def graph_of(example: Example) -> Graph:
    """The graph behind an example of either form, or of the published files."""
    extra, missing = example.extra or {}, _missing(example)
    if missing:
        raise DataError(
            f"{example.id or 'example'}: {missing[0]}: missing; only rows with their graph have a path to judge"
        )
    edges = [(source, target) for source, target in extra["edges"]]
    size = 1 + max(max(edge) for edge in edges)
    return Graph(size, edges, extra["root"], extra["target"], extra["neg_target"])


class Written(NamedTuple):
    """A way through the graph as a model wrote it."""

    edges: list[tuple[int, int]]
    answer: int


UNKNOWN = -1  # a node that does not exist


def path_verdict(example: Example, text: str, hidden: int = 0) -> Verdict:
    """What a written solution does: the classes of the Coconut paper.

    `hidden` is how many first steps were thought instead of written: the written part may then start that much farther
    from the root. A text that writes no step is judged by its label alone.
    """
    graph = graph_of(example)
    names = (example.extra or {}).get("idx_to_symbol")
    if names is not None:
        return judge(graph, _read_sentences(names, text), hidden)
    # A sentence names both ends of its step, a number only the far one: with hidden steps the near one is not written.
    return judge(graph, _read_numbers(graph, text, hidden), hidden + 1 if hidden else 0)


def judge(graph: Graph, written: Written, reach: int = 0) -> Verdict:
    """The class of a written way, which may start at most `reach` steps from the root, and of its answer."""
    right = written.answer == graph.target
    if not written.edges:
        return "correct label" if right else "incorrect label"
    far = distances(graph)
    real = set(graph.edges)
    joined = all(before[1] == after[0] for before, after in pairwise(written.edges))
    start, end = written.edges[0][0], written.edges[-1][1]
    if not joined or not all(edge in real for edge in written.edges) or far.get(start, reach + 1) > reach:
        return "hallucinated edge"
    if end != graph.target or not right:
        return "wrong target"
    return "correct path" if far[start] + len(written.edges) == far[graph.target] else "longer path"


def _read_sentences(names: list[str], text: str) -> Written:
    number = {name: node for node, name in enumerate(names)}
    *steps, last = text.split("#")
    found = [
        (number.get(a, UNKNOWN), number.get(b, UNKNOWN))
        for a, b in SENTENCE.findall(" ".join(steps) if steps else text)
    ]
    if steps:
        answers = SENTENCE.findall(last)
        return Written(found, number.get(answers[-1][1], UNKNOWN) if answers else UNKNOWN)
    # Without a cue the last sentence is the answer.
    return Written(found[:-1], found[-1][1] if found else UNKNOWN)


def _read_numbers(graph: Graph, text: str, hidden: int) -> Written:
    path, cue, answer = text.partition("[A]")
    nodes = [_node(word) for word in path.split()]
    answers = [_node(word) for word in answer.split()[:1]] if cue else nodes[-1:]
    nodes = nodes if cue else nodes[:-1]
    nodes = nodes if hidden else [graph.root, *nodes]
    return Written(list(pairwise(nodes)), answers[0] if answers else UNKNOWN)


def _node(word: str) -> int:
    return int(word) if word.isascii() and word.isdecimal() and len(word) < 9 else UNKNOWN
