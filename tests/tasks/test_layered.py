"""Layered graphs by their words alone: shape, answer and layers are those of a brute search; no form tells the answer."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from pydantic import ValidationError

from tacit.edge_list import EdgeList
from tacit.example import encode
from tacit.models.tokenizers import word_tokenizer
from tacit.tasks.layered import Layered
from tacit.tasks.prosqa import ProsQASymbolic

TASK = Layered(train_rows=300, test_rows=300)
ROWS = list(TASK.examples("train"))
PROSQA = ProsQASymbolic(train_rows=40)


def read(question: str) -> tuple[list[tuple[str, str]], list[str], str]:
    """Edges, candidates and root, from the words."""
    told, _, rest = question.partition(" [Q] ")
    words = [word for word in told.split() if word != "|"]
    *offered, _, root = rest.split()
    return list(zip(words[::2], words[1::2], strict=True)), offered, root


def ways(edges, root: str, length: int) -> list[list[str]]:
    """All walks of a length, by trying every edge."""
    found = [[root]]
    for _ in range(length):
        found = [[*way, target] for way in found for source, target in edges if source == way[-1]]
    return found


def layers(edges, root: str) -> list[set[str]]:
    """Nodes by distance, by walking ever longer ways."""
    found: list[set[str]] = []
    while here := {way[-1] for way in ways(edges, root, len(found))} - set().union(*found):
        found.append(here)
    return found


def lies(example) -> list[str]:
    edges, offered, root = read(example.question)
    path, hops = [root, *example.steps], len(example.steps)
    by_distance = layers(edges, root)
    reached = set().union(*by_distance)
    right = [way for way in ways(edges, root, hops) if way[-1] == example.answer]
    told = [set(map(str, layer)) for layer in example.extra["frontier_k"]]
    on_path = [set(map(str, layer)) for layer in example.extra["neighbor_k"]]
    broken = {
        "one candidate is reached": {x for x in offered if x in reached} == {example.answer},
        "the path is a way": set(pairwise(path)) <= set(edges) and path[-1] == example.answer,
        "it is shortest": example.answer in by_distance[hops],
        "frontiers are layers": told == by_distance,
        "neighbors are on shortest ways": on_path == [{way[k] for way in right} for k in range(hops + 1)],
    }
    return [law for law, kept in broken.items() if not kept]


@pytest.mark.parametrize("rows", [ROWS, list(PROSQA.examples("train"))], ids=["layered", "prosqa"])
def test_rows_are_true(rows):
    for example in rows:
        assert not lies(example)


def test_twins_every_lie_is_noticed():
    example = ROWS[0]
    extra = example.extra
    (wrong,) = set(TASK.choices(example)) - {example.answer}
    assert "one candidate is reached" in lies(replace(example, answer=wrong))
    assert "the path is a way" in lies(replace(example, steps=(wrong, *example.steps[1:])))
    assert lies(replace(example, extra=extra | {"frontier_k": extra["neighbor_k"][:-1]})) == ["frontiers are layers"]
    assert lies(replace(example, extra=extra | {"neighbor_k": extra["frontier_k"]}))


@pytest.mark.parametrize(("width", "names"), [(1, 10), (2, 20), (3, 26)])
def test_the_shape(width, names):
    for example in list(Layered(width=width, names=names, slots=64, train_rows=60).examples("train")):
        edges, _, root = read(example.question)
        hops, extra = len(example.steps), int(width > 1)
        assert len(set(edges)) == len(edges) == 2 * (width + (hops - 1) * (width + extra))
        reached = layers(edges, root)
        assert [len(layer) for layer in reached] == [1] + [width] * hops
        (other,) = {source for source, _ in edges} - {target for _, target in edges} - {root}
        assert [len(layer) for layer in layers(edges, other)] == [1] + [width] * hops
        parents = Counter(target for _, target in edges)
        for layer in reached[2:]:
            assert sorted(parents[node] for node in layer) == [1] * (width - extra) + [2] * extra


def test_hops_names_and_order_are_fair():
    rows = list(Layered(train_rows=3000).examples("train"))
    assert [Counter(len(row.steps) for row in rows)[hops] / 3000 for hops in (2, 3, 4)] == pytest.approx(
        [1 / 3] * 3, abs=0.03
    )
    assert abs(np.mean([TASK.choices(row)[0] == row.answer for row in rows]) - 0.5) < 0.03
    assert max(Counter(row.answer for row in rows).values()) < 220  # 150 expected of each of 20 names
    # Where the edges into the two candidates stand says nothing either.
    places = [[[t for _, t in read(row.question)[0]].index(x) for x in candidates(row)] for row in rows]
    right, wrong = np.mean(places, axis=0)
    assert abs(right - wrong) < 0.6  # about four standard errors


def candidates(row) -> list[str]:
    """The right one first."""
    return sorted(TASK.choices(row), key=lambda one: one != row.answer)


def test_splits_and_seeds_have_graphs_of_their_own():
    questions = {row.question for row in ROWS}
    for other in (list(TASK.examples("test")), list(Layered(train_rows=300, seed=1).examples("train"))):
        assert not questions & {row.question for row in other}
    assert list(TASK.examples("train")) == ROWS
    far = Layered(hops=(2,), held_out_hops=(3, 5), names=22, test_rows=40)
    assert {len(row.steps) for row in list(far.examples("test"))} == {3, 5}
    assert {far.kind(row) for row in list(far.examples("test"))} == {"3 hops", "5 hops"}
    assert {len(row.steps) for row in list(far.examples("train"))} == {2}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"hops": (5,)}, r"5 hops have 22 nodes; set names to 22"),
        ({"held_out_hops": (6,), "names": 30}, r"6 hops have 34 edges; set slots to 34"),
        ({"hops": (0, 2)}, "at least one edge"),
        ({"hops": ()}, "hops is empty"),
    ],
)
def test_what_does_not_fit_is_refused(fields, message):
    with pytest.raises(ValidationError, match=message):
        Layered(**fields)


def test_grades_choices_and_verdicts():
    example = next(row for row in ROWS if len(row.steps) == 3)
    (wrong,) = set(TASK.choices(example)) - {example.answer}
    path = " ".join(example.steps)
    assert TASK.grade(example, f"{path} [A] {example.answer}").correct and TASK.grade(example, example.answer).correct
    assert not TASK.grade(example, wrong).correct
    assert TASK.verdict(example, f"{path} [A] {example.answer}") == "correct path"
    assert TASK.verdict(example, f"{path} [A] {wrong}") == "wrong target"
    assert TASK.verdict(example, f"{wrong} {path} [A] {example.answer}") == "hallucinated edge"


# --- in ids, met again and again -------------------------------------------------------------------------------------


def encoded(task, rows):
    tokenizer = word_tokenizer([*task.words(), "[A]"])
    return tokenizer, encode(rows, tokenizer, task.template)


def retold(tokenizer, ex, example):
    """A row in ids as an example, to be judged by its words."""

    def words(ids) -> str:
        return " ".join(tokenizer.convert_ids_to_tokens([i])[0] for i in ids)

    start = len(ex.question) - len(example.question.split())
    sets = {"frontier_k": ex.graph.frontier, "neighbor_k": ex.graph.on_path}
    return replace(
        example,
        question=words(ex.question[start:]),
        steps=tuple(words(step) for step in ex.steps),
        answer=words(ex.answer),
        extra=example.extra | {key: [words(layer).split() for layer in layers] for key, layers in sets.items()},
    )


@pytest.mark.parametrize("task", [TASK, PROSQA], ids=["layered", "prosqa"])
def test_met_again_a_row_is_another_and_as_true(task):
    rows = list(task.examples("train"))[:20]
    tokenizer, all_encoded = encoded(task, rows)
    for example, ex in zip(rows, all_encoded):
        assert retold(tokenizer, ex, example).question == example.question
        again = [ex.again(np.random.default_rng(epoch)) for epoch in range(4)]
        assert len({one.question for one in [ex, *again]}) == 5
        for one in again:
            assert not lies(retold(tokenizer, one, example))
            assert len(one.question) == len(ex.question) and one.graph.hops == ex.graph.hops


def test_names_are_dealt_and_edges_keep_their_ends():
    _, (ex, *_) = encoded(TASK, ROWS[:1])
    again = ex.again(np.random.default_rng(1))
    dealt = dict(zip(ex.graph.on_path[0] + ex.graph.on_path[-1], again.graph.on_path[0] + again.graph.on_path[-1]))
    assert dealt[ex.question[-1]] == again.question[-1] and dealt[ex.answer[0]] == again.answer[0]
    degree = [sorted(Counter(s for s, _ in one.graph.pairs(one.question)).values()) for one in (ex, again)]
    assert degree[0] == degree[1]


def test_what_shall_not_change_does_not():
    for task in (Layered(train_rows=1, fresh=False), ProsQASymbolic(train_rows=1, fresh=False)):
        _, (ex,) = encoded(task, list(task.examples("train")))
        assert ex.again(np.random.default_rng(0)) is ex


def test_positions_of_edges_are_shared_and_the_query_stands_still():
    _, all_encoded = encoded(TASK, ROWS[:30])
    for ex in [one.again(np.random.default_rng(3)) for one in all_encoded]:
        length, form = len(ex.question), ex.graph.form
        positions = ex.graph.positions(length)
        edges = positions[1:-5]
        assert positions[0] == 0 and positions[-5:] == (1, 2, 3, 4, 5)
        first = 6 + TASK.room + form.offset
        assert edges[::2] == edges[1::2] == tuple(range(first, first + len(edges) // 2))
        assert edges[-1] < 6 + TASK.room + TASK.slots
    offsets = {all_encoded[0].again(np.random.default_rng(n)).graph.form.offset for n in range(200)}
    assert offsets == set(range(TASK.slots - len(list(all_encoded[0].graph.pairs(all_encoded[0].question))) + 1))
    _, (counted,) = encoded(PROSQA, list(PROSQA.examples("train"))[:1])
    assert counted.graph.positions(len(counted.question)) is None


def test_rows_without_a_form_have_no_graph():
    assert EdgeList.of(None, {}) is None and EdgeList.of({"edges": []}, {}) is None
    plain = replace(ROWS[0], extra=None)
    assert encoded(TASK, [plain])[1][0].graph is None


def test_published_graphs_are_told_in_symbols(tmp_path):
    import json

    from tacit.example import to_row
    from tacit.tasks.prosqa import ProsQA

    text = ProsQA(train_rows=20).examples("train")
    (tmp_path / "prosqa_train.json").write_text(json.dumps([to_row(row) for row in text]))
    rows = ProsQASymbolic(path=str(tmp_path), train_rows=99).examples("train")
    assert [row.id for row in rows] == [row.id for row in text if len(row.steps) <= 4]
    assert not any(lies(row) for row in rows) and len(rows) < 20
