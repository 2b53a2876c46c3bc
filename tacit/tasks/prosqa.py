"""ProsQA: which of two kinds is Alex? The way there leads through a graph of facts.

`ProsQA` tells the graph in sentences, as the published files do; `ProsQASymbolic` in node numbers, as the superposition
experiments do. `path_verdict` says what kind of mistake a written way through the graph makes.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from tacit.edge_list import TOLD
from tacit.errors import DataError
from tacit.example import Example, Template
from tacit.tasks.base import Generated, Split
from tacit.tasks.graphs import Graph, GraphShape, distances, draw_graph, frontiers, shortest_layers, shortest_path
from tacit.tasks.rows import Rows

# The names of the published problems. A list of words is easier to read than a list of strings.
ENTITIES = tuple(
    "Alex Bob Carol Davis Eva Fae Gabriel Jack Max Oliver Polly Rex Sally Sam Stella Tom Wren".split()  # noqa: SIM905
)
CONCEPTS = tuple(
    """
    bompus boompus brimpus chorpus dumpus felpus fompus gerpus gorpus grimpus gwompus hilpus impus jelpus jompus kerpus
    lempus lorpus numpus quimpus rempus rompus rorpus scrompus shumpus sterpus storpus terpus timpus tumpus vumpus
    worpus wumpus yerpus yimpus yumpus zhorpus zumpus
    """.split()  # noqa: SIM905
)

Verdict = Literal[
    "correct path", "longer path", "hallucinated edge", "wrong target", "correct label", "incorrect label"
]
SENTENCE = re.compile(r"(?:Every )?(\w+) is an? (\w+)\b")


SYMBOLIC = Template(kind="symbolic", question="{question}", step="{step}", cue="[A]", answer="{answer}", bos=True)


class ProsQA(Generated):
    """Is ROOT a TARGET or something else? Facts, steps and answer are sentences."""

    extractor: str = "hash@1"
    """How the answer is found in what the model wrote; the default takes what follows the last #, as Coconut does."""
    path: str = ""
    """A folder with the published files (prosqa_train.json, …) to read instead of making graphs."""
    shape: GraphShape = GraphShape()
    """How graphs grow."""
    train_rows: int = Field(default=17_886, ge=1)
    """Examples of the train split; the published one has 17,886."""
    valid_rows: int = Field(default=300, ge=1)
    """Examples of the valid split."""
    test_rows: int = Field(default=500, ge=1)
    """Examples of the test split."""

    def examples(self, split: Split) -> list[Example]:
        if not self.path:
            return super().examples(split)
        return list(Rows(path=self.path, limit=self.rows(split)).examples(split))

    def problem(self, rng: np.random.Generator) -> Graph:
        while True:
            graph = draw_graph(rng, self.shape)
            entities = graph.size - len({target for _, target in graph.edges})
            if entities <= len(ENTITIES) and graph.size - entities <= len(CONCEPTS):
                return graph

    def pose(self, problem: Graph, rng: np.random.Generator) -> Example:
        names = _names(problem, rng)
        facts = [_sentence(names, *edge) for edge in problem.edges]
        offered = either_order(names[problem.target], names[problem.neg_target], rng)
        path = shortest_path(problem, rng)
        root = names[problem.root]
        return Example(
            question=" ".join(shuffled(facts, rng)) + f" Is {root} a {offered[0]} or {offered[1]}?",
            steps=tuple([_sentence(names, *edge) for edge in pairwise(path)]),
            answer=f"{root} is a {names[problem.target]}.",
            extra={"idx_to_symbol": names, **as_extra(problem)},
        )

    def choices(self, example: Example) -> tuple[str, str]:
        words = example.question.rstrip("?").split()
        return f"{words[-5]} is a {words[-3]}.", f"{words[-5]} is a {words[-1]}."

    def verdict(self, example: Example, text: str, hidden: int = 0) -> Verdict | None:
        return path_verdict(example, text, hidden) if has_graph(example) else None


class ProsQASymbolic(Generated):
    """The same question in node numbers: `s t | s t [Q] x y [R] root`, a path of nodes, `[A] target`."""

    template: Template = SYMBOLIC
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote."""
    shape: GraphShape = GraphShape(max_steps=4)
    """How graphs grow; the published symbolic set keeps problems of at most 4 steps."""
    path: str = ""
    """A folder with the published files (prosqa_train.json, …) whose graphs are told in symbols, those of at most
    shape.max_steps steps, instead of graphs that are made here."""
    fresh: bool = True
    """Put edges and offered answers in another order in every epoch."""
    train_rows: int = Field(default=14_785, ge=1)
    """Examples of the train split; the published one has 14,785."""
    valid_rows: int = Field(default=257, ge=1)
    """Examples of the valid split."""
    test_rows: int = Field(default=419, ge=1)
    """Examples of the test split."""

    def examples(self, split: Split) -> list[Example]:
        if not self.path:
            return super().examples(split)
        rng, found = self.rng(split), []
        for example in Rows(path=self.path).examples(split):
            if len(example.steps) <= self.shape.max_steps and len(found) < self.rows(split):
                found.append(replace(self.pose(graph_of(example), rng), id=example.id))
        return found

    def problem(self, rng: np.random.Generator) -> Graph:
        return draw_graph(rng, self.shape)

    def pose(self, problem: Graph, rng: np.random.Generator) -> Example:
        edges = " | ".join(shuffled([f"{source} {target}" for source, target in problem.edges], rng))
        offered = either_order(problem.target, problem.neg_target, rng)
        return Example(
            question=f"{edges} [Q] {offered[0]} {offered[1]} [R] {problem.root}",
            steps=tuple([str(node) for node in shortest_path(problem, rng)[1:]]),
            answer=str(problem.target),
            extra=searched(problem) | {TOLD: {"stride": 3, "fresh": self.fresh}},
        )

    def choices(self, example: Example) -> tuple[str, str]:
        return offered(example)

    def kind(self, example: Example) -> str:
        return f"{len(example.steps)} hops"

    def verdict(self, example: Example, text: str, hidden: int = 0) -> Verdict | None:
        return path_verdict(example, text, hidden) if has_graph(example) else None

    def words(self) -> list[str]:
        return [*map(str, range(max(31, self.shape.slots))), "|", "[Q]", "[R]", "[A]"]


def offered(example: Example) -> tuple[str, str]:
    """The two candidates of a question in symbols, in the order in which they stand."""
    first, second = example.question.split("[Q]")[1].split()[:2]
    return first, second


def _names(graph: Graph, rng: np.random.Generator) -> list[str]:
    """Entities for nodes without parents, concepts for the rest, each name once."""
    entities, concepts = iter(shuffled(ENTITIES, rng)), iter(shuffled(CONCEPTS, rng))
    children = {target for _, target in graph.edges}
    return [next(concepts if node in children else entities) for node in range(graph.size)]


def _sentence(names: list[str], source: int, target: int) -> str:
    every = "" if names[source][0].isupper() else "Every "
    return f"{every}{names[source]} is a {names[target]}."


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
