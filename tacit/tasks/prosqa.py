"""ProsQA: which of two kinds is Alex? The way there leads through a graph of facts.

`ProsQA` tells the graph in sentences, as the published files do; `ProsQASymbolic` in node numbers, as the superposition
experiments do.
"""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from pydantic import Field

from tacit.edge_list import TOLD
from tacit.example import Example
from tacit.tasks.base import Generated, Split
from tacit.tasks.graphs import Graph, GraphShape, draw_graph, shortest_path
from tacit.tasks.rows import Rows
from tacit.tasks.ways import (
    InSymbols,
    Verdict,
    as_extra,
    either_order,
    graph_of,
    has_graph,
    path_verdict,
    searched,
    shuffled,
)

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


class ProsQASymbolic(InSymbols):
    """The same question in node numbers: `s t | s t [Q] x y [R] root`, a path of nodes, `[A] target`."""

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

    def words(self) -> list[str]:
        return [*map(str, range(max(31, self.shape.slots))), "|", "[Q]", "[R]", "[A]"]


def _names(graph: Graph, rng: np.random.Generator) -> list[str]:
    """Entities for nodes without parents, concepts for the rest, each name once."""
    entities, concepts = iter(shuffled(ENTITIES, rng)), iter(shuffled(CONCEPTS, rng))
    children = {target for _, target in graph.edges}
    return [next(concepts if node in children else entities) for node in range(graph.size)]


def _sentence(names: list[str], source: int, target: int) -> str:
    every = "" if names[source][0].isupper() else "Every "
    return f"{every}{names[source]} is a {names[target]}."
