"""ProsQA in sentences and in numbers: what a row says is what its graph says; verdicts on written ways."""

import json
import re
from itertools import pairwise

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.example import Example, to_row
from tacit.tasks.graphs import distances, shortest_layers
from tacit.tasks.prosqa import CONCEPTS, ENTITIES, ProsQA, ProsQASymbolic
from tacit.tasks.ways import graph_of, path_verdict

ROWS = 60
TEXT = ProsQA(train_rows=ROWS).examples("train")
SYMBOLIC = ProsQASymbolic(train_rows=ROWS).examples("train")


def told(question: str) -> tuple[set[tuple[str, str]], str, list[str]]:
    """Facts, root and the two kinds offered, read from the words alone."""
    *facts, asked = re.split(r"(?<=\.) ", question)
    pairs = {re.fullmatch(r"(?:Every )?(\w+) is a (\w+)\.", fact).groups() for fact in facts}
    root, first, second = re.fullmatch(r"Is (\w+) a (\w+) or (\w+)\?", asked).groups()
    return pairs, root, [first, second]


def faults(example: Example) -> list[str]:
    """What of a row does not follow from the words of its question."""
    facts, root, offered = told(example.question)
    steps = [re.fullmatch(r"(?:Every )?(\w+) is a (\w+)\.", step).groups() for step in example.steps]
    answer = re.fullmatch(rf"{root} is a (\w+)\.", example.answer)
    reached, length = {root}, 0
    while answer and answer[1] not in reached and length < 30:
        reached |= {kind for source, kind in facts if source in reached}
        length += 1
    broken = {
        "every step is a told fact": set(steps) <= facts,
        "steps lead from the root": steps[0][0] == root and all(a[1] == b[0] for a, b in pairwise(steps)),
        "steps end at the answer": answer is not None and steps[-1][1] == answer[1],
        "steps are a shortest way": len(steps) == length,
        "the answer is offered": answer is not None and answer[1] in offered,
        "the other is not reached": not (set(offered) - {answer and answer[1]}) & closure(facts, root),
        "entities are those without parents": all(
            (a in ENTITIES) == (a not in {b for _, b in facts}) for a, _ in facts
        ),
        "kinds have kinds' names": all(b in CONCEPTS for _, b in facts),
    }
    return [law for law, kept in broken.items() if not kept]


def closure(facts, root):
    reached = {root}
    while more := {kind for source, kind in facts if source in reached} - reached:
        reached |= more
    return reached


@pytest.mark.parametrize("example", TEXT[:30], ids=lambda example: example.id)
def test_rows_are_true(example):
    assert not faults(example)


def test_twin_a_lie_is_noticed():
    example = TEXT[0]
    other = ProsQA().choices(example)[0 if example.answer != ProsQA().choices(example)[0] else 1]
    assert faults(Example("x", example.question, example.steps, other))
    assert faults(Example("x", example.question, example.steps[1:], example.answer))


def test_rows_look_like_the_published_ones():
    row = to_row(TEXT[0])
    assert list(row) == ["idx_to_symbol", "edges", "root", "target", "neg_target", "question", "steps", "answer", "id"]
    assert json.loads(json.dumps(row)) == row
    graph = graph_of(TEXT[0])
    names = row["idx_to_symbol"]
    assert row["answer"] == f"{names[graph.root]} is a {names[graph.target]}."
    assert {(names[a], names[b]) for a, b in graph.edges} == told(row["question"])[0]


def test_published_files_are_read_from_a_folder(tmp_path):
    (tmp_path / "prosqa_valid.json").write_text(json.dumps([to_row(example) for example in TEXT]))
    read = ProsQA(path=str(tmp_path), valid_rows=5).examples("valid")
    assert [(row.question, row.extra) for row in read] == [(row.question, row.extra) for row in TEXT[:5]]


@pytest.mark.parametrize(("task", "examples"), [(ProsQA(), TEXT), (ProsQASymbolic(), SYMBOLIC)])
def test_the_order_of_choices_says_nothing(task, examples):
    first = sum(task.choices(example)[0] == example.answer for example in examples)
    assert all(example.answer in task.choices(example) for example in examples)
    assert 0.25 < first / len(examples) < 0.75


def symbolic_faults(example: Example) -> list[str]:
    edges, _, rest = example.question.partition(" [Q] ")
    pairs = {tuple(map(int, edge.split())) for edge in edges.split(" | ")}
    *offered, _, root = rest.split()
    path = [int(root), *map(int, example.steps)]
    graph = graph_of(example)
    layers = example.extra["neighbor_k"]
    broken = {
        "edges are the graph's": pairs == set(graph.edges),
        "the path is one of them": set(pairwise(path)) <= pairs,
        "it ends at the answer": str(path[-1]) == example.answer and example.answer in offered,
        "it is shortest": len(path) - 1 == distances(graph)[graph.target],
        "it goes through neighbor_k": all(node in layer for node, layer in zip(path, layers, strict=True)),
        "at most four steps": len(example.steps) <= 4,
    }
    return [law for law, kept in broken.items() if not kept]


def test_symbolic_rows_are_true():
    for example in SYMBOLIC:
        assert not symbolic_faults(example)
        assert example.extra["neighbor_k"] == shortest_layers(graph_of(example))


def test_twin_a_symbolic_lie_is_noticed():
    example = SYMBOLIC[0]
    wrong = next(choice for choice in ProsQASymbolic().choices(example) if choice != example.answer)
    assert symbolic_faults(Example("x", example.question, example.steps, wrong, extra=example.extra))


def test_symbolic_words_are_a_closed_list():
    known = set(ProsQASymbolic().words())
    assert len(known) == 35
    for example in SYMBOLIC:
        assert set(f"{example.question} {' '.join(example.steps)} {example.answer} [A]".split()) <= known


GRAPH = {
    "edges": [[0, 2], [2, 4], [4, 5], [2, 6], [6, 4], [1, 3], [0, 8], [4, 7]],
    "root": 0,
    "target": 5,
    "neg_target": 3,
}
NAMES = ["Tom", "Alex", "wumpus", "yumpus", "impus", "lempus", "rompus", "vumpus", "gerpus"]
SENTENCES = Example(extra=GRAPH | {"idx_to_symbol": NAMES})
NUMBERS = Example(extra=GRAPH)

DETOUR = "Every wumpus is a rompus. Every rompus is a impus."
WRITTEN = [
    ("Tom is a wumpus.\nEvery wumpus is a impus.\nEvery impus is a lempus.\n### Tom is a lempus.", 0, "correct path"),
    ("Tom is a wumpus. Every wumpus is an impus. Every impus is a lempus. Tom is a lempus.", 0, "correct path"),
    ("Every wumpus is a impus. Every impus is a lempus.### Tom is a lempus.", 1, "correct path"),
    ("Every wumpus is a impus. Every impus is a lempus.### Tom is a lempus.", 0, "hallucinated edge"),
    (f"Tom is a wumpus. {DETOUR} Every impus is a lempus. ### Tom is a lempus.", 0, "longer path"),
    ("Tom is a wumpus. Every wumpus is a lempus. ### Tom is a lempus.", 0, "hallucinated edge"),
    ("Tom is a wumpus. Every impus is a lempus. ### Tom is a lempus.", 0, "hallucinated edge"),
    ("Tom is a wumpus. Every wumpus is a unicorn. ### Tom is a lempus.", 0, "hallucinated edge"),
    ("Tom is a gerpus. ### Tom is a lempus.", 0, "wrong target"),
    ("Tom is a wumpus. Every wumpus is a impus. Every impus is a lempus. ### Tom is a yumpus.", 0, "wrong target"),
    ("### Tom is a lempus.", 0, "correct label"),
    ("Tom is a lempus.", 0, "correct label"),
    ("### Tom is a yumpus.", 0, "incorrect label"),
    ("", 0, "incorrect label"),
]


@pytest.mark.parametrize(("text", "hidden", "verdict"), WRITTEN)
def test_verdicts_on_sentences(text, hidden, verdict):
    assert path_verdict(SENTENCES, text, hidden) == verdict


NUMBERED = [
    ("2 4 5 [A] 5", 0, "correct path"),
    ("2 4 5 5", 0, "correct path"),
    ("4 5 [A] 5", 1, "correct path"),
    ("4 5 [A] 5", 0, "hallucinated edge"),
    ("2 6 4 5 [A] 5", 0, "longer path"),
    ("2 5 [A] 5", 0, "hallucinated edge"),
    ("2 4 7 [A] 7", 0, "wrong target"),
    ("2 x 5 [A] 5", 0, "hallucinated edge"),
    ("[A] 5", 0, "correct label"),
    ("[A] 3", 0, "incorrect label"),
    ("[A]", 0, "incorrect label"),
]


@pytest.mark.parametrize(("text", "hidden", "verdict"), NUMBERED)
def test_verdicts_on_numbers(text, hidden, verdict):
    assert path_verdict(NUMBERS, text, hidden) == verdict


@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_gold_solutions_are_correct_paths(hidden):
    for example in TEXT:
        assert (
            path_verdict(example, " ".join(example.steps[hidden:]) + "### " + example.answer, hidden) == "correct path"
        )
    for example in SYMBOLIC:
        written = " ".join(example.steps[hidden:]) + " [A] " + example.answer
        expected = "correct path" if len(example.steps) - hidden > 1 else "correct label"
        assert path_verdict(example, written, hidden) == expected


def test_a_row_without_its_graph_has_no_path():
    with pytest.raises(DataError, match="r1: edges: missing"):
        path_verdict(Example("r1"), "text")
    assert ProsQA().verdict(Example("r1"), "text") is None


def test_tasks_with_graphs_give_verdicts():
    assert ProsQA().verdict(SENTENCES, WRITTEN[0][0]) == WRITTEN[0][2]
    assert ProsQASymbolic().verdict(NUMBERS, NUMBERED[0][0]) == NUMBERED[0][2]


def test_too_many_nodes_for_the_names_are_drawn_again():
    task = ProsQA(shape={"slots": 40})
    graphs = [task.problem(np.random.default_rng(seed)) for seed in range(30)]
    assert max(graph.size for graph in graphs) > 30
    assert all(
        len(set(task.pose(graph, np.random.default_rng(0)).extra["idx_to_symbol"])) == graph.size for graph in graphs
    )
