"""3SUM and 2SUM-Transform: solvers against brute force, the published law of instances, chains replayed from the question."""

import re
from collections import Counter
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.tasks.digit_rows import corrupt
from tacit.tasks.match2 import SEQUENCES, Match2
from tacit.tasks.match3 import Match3

FEW = {"train_rows": 300, "valid_rows": 20, "test_rows": 60}
SHAPES = [
    {"length": 6, "dimension": 1, "base": 10},
    {"length": 5, "dimension": 2, "base": 3},
    {"length": 8, "dimension": 3, "base": 4},
]


def few(kind, split="train", **fields):
    return list(kind(**FEW | fields).examples(split))


def digits(words: list[str]) -> list[int]:
    """Digits that name their places, or rows of digits in one word."""
    return [int(digit) for word in words for digit in re.sub("[a-z]", "", word)]


def table(question: str, dimension: int) -> list[list[int]]:
    flat = digits(question.split())
    return [flat[i : i + dimension] for i in range(0, len(flat), dimension)]


def zero(rows, base) -> bool:
    return all(sum(column) % base == 0 for column in zip(*rows))


def triples(rows, base):
    return [three for three in combinations(range(len(rows)), 3) if zero([rows[i] for i in three], base)]


@pytest.mark.parametrize("shape", SHAPES)
def test_the_solver_finds_what_brute_force_finds(shape):
    task = Match3(**shape)
    tables = task.random_rows(np.random.default_rng(0), 200, task.length)
    found = task.thirds(tables)
    pairs = list(combinations(range(task.length), 2))
    for rows, thirds in zip(tables.tolist(), found.tolist()):
        first = {}
        for i, j, k in triples(rows, task.base):
            first.setdefault((i, j), k)
        assert [first.get(pair, -1) for pair in pairs] == thirds
    # The twin: one place left out, and the same comparison fails.
    blind = Match3(**{**shape, "dimension": max(1, task.dimension - 1)})
    tables[:, 0, -1] = (tables[:, 0, -1] + 1) % task.base
    assert (blind.thirds(tables[:, :, : blind.dimension]) != found).any()


@pytest.mark.parametrize("written", ["digits", "row"])
@pytest.mark.parametrize("shape", SHAPES)
def test_answers_are_right_and_half_are_true(shape, written):
    rows = few(Match3, **shape, written=written, train_rows=600)
    for row in rows:
        assert row.answer == str(bool(triples(table(row.question, shape["dimension"]), shape["base"])))
    share = np.mean([row.answer == "True" for row in rows])
    assert abs(share - 0.5) < 4 * np.sqrt(0.25 / 600)


def test_the_share_of_true_ones_can_be_set():
    rows = few(Match3, true_rate=0.1)
    assert np.mean([row.answer == "True" for row in rows]) < 0.2


def corruptions(most: int, places: int, count: int = 8000) -> Counter:
    """Rows that changed, of tables whose fresh digits are practically always new. How many places: see test_matching_law."""
    base = 10**9
    before = np.zeros((count, 5, places), dtype=np.int64)
    after = corrupt(before, most, base, np.random.default_rng(0))
    seen = Counter()
    for one in after:
        rows, columns = one.any(1), one.any(0)
        assert rows[: rows.sum()].all() and (one[:, columns][rows] == one[0, columns]).all()
        assert 1 <= columns.sum() <= rows.sum()
        seen[int(rows.sum())] += 1
    return seen


def follows(seen: Counter, going_on: float, most: int) -> bool:
    total, last = sum(seen.values()), going_on ** (most - 1)
    for c in range(1, most + 1):
        share = last if c == most else going_on ** (c - 1) * (1 - going_on)
        if abs(seen[c] / total - share) > 4 * np.sqrt(share / total):
            return False
    return sum(seen[c] for c in range(1, most + 1)) == total


@pytest.mark.parametrize(("most", "places"), [(3, 3), (3, 1), (4, 2)])
def test_corruptions_are_geometric_and_share_their_digits(most, places):
    seen = corruptions(most, places)
    assert follows(seen, 0.25, most)
    assert not follows(seen, 0.3, most) and not follows(seen, 0.25, most + 1)  # the twins


def test_corrupted_places_are_random():
    after = corrupt(np.zeros((3000, 3, 3), dtype=np.int64), 3, 10**9, np.random.default_rng(0))
    shares = (after[:, 0] > 0).mean(0)
    hit = 0.75 / 3 + 0.1875 * (1 - (2 / 3) ** 2) + 0.0625 * (1 - (2 / 3) ** 3)
    assert np.ptp(shares) < 0.06 and np.allclose(shares, hit, atol=0.04)


def pair_chain_holds(row, length: int, dimension: int, base: int) -> bool:
    """Every step from the question alone; a step of the last row repeats the last pair."""
    rows = table(row.question, dimension)
    found = triples(rows, base)
    pairs = [*combinations(range(length), 2), (length - 1, length - 1)]
    if len(row.steps) != len(pairs):
        return False
    for (i, j), step in zip(pairs, row.steps):
        named, said = step.split()
        thirds = [k for a, b, k in found if (a, b) == (i, j)]
        a, b = (i, j) if i < j else (length - 2, length - 1)
        sums = [f"{chr(ord('a') + d)}{(rows[a][d] + rows[b][d]) % base}" for d in range(dimension)]
        if named not in (f"{i}-", f"{j}-") or said not in ([f"{thirds[0]}!"] if thirds else sums):
            return False
    return True


@pytest.mark.parametrize("shape", SHAPES)
def test_chains_of_pairs_hold(shape):
    rows = few(Match3, **shape)
    assert all(pair_chain_holds(row, **shape) for row in rows)
    named = Counter(int(row.steps[0][0]) for row in rows)
    assert set(named) == {0, 1} and abs(named[0] / len(rows) - 0.5) < 0.12
    assert all(any("!" in step for step in row.steps) == (row.answer == "True") for row in rows)


def test_twin_a_wrong_word_breaks_a_chain_of_pairs():
    shape = SHAPES[1]
    row = few(Match3, **shape)[0]
    word = row.steps[1].split()[1]
    wrong = "0!" if "!" not in word else "a0"
    broken = (row.steps[0], row.steps[1].replace(word, wrong), *row.steps[2:])
    assert not pair_chain_holds(replace(row, steps=broken), **shape)


WORKED = "a3 b7 c5 a1 b1 c1 a6 b2 c4 a0 b0 c9"


def test_the_worked_example_of_pairs():
    """375, 111, 624 and 009 modulo 10: rows 0, 1 and 2 sum to (0, 0, 0)."""
    task = Match3(length=4)
    tables = np.array([table(WORKED, 3)])
    assert task.questions((tables,)) == [WORKED] and Match3(length=4, written="row").questions((tables,)) == [
        "375 111 624 009"
    ]
    assert task.thirds(tables).tolist() == [[2, -1, -1, -1, -1, -1]]
    ((steps, answer),) = task.solutions((tables,), np.random.default_rng(0))
    assert answer == "True" and len(steps) == 7 and steps[0].endswith("- 2!")
    assert steps[6].startswith("3- ") and steps[6].split()[1] in ("a6", "b2", "c3")  # 624 + 009 once more


def test_the_examples_of_the_modules_hold():
    three = np.array([table("a0 b1 a2 b0 a1 b2", 2)])
    for seed in range(20):  # whatever the coins say
        ((steps, answer),) = Match3(length=3, dimension=2, base=3).solutions((three,), np.random.default_rng(seed))
        assert answer == "True" and steps[0] in ("0- 2!", "1- 2!") and steps[1] in ("0- a1", "2- a1", "0- b0", "2- b0")
    task = Match2(length=2, dimension=2)
    drawn = (np.array([[[4, 6], [6, 4]]]), np.array([7]))
    assert task.questions(drawn) == ["a7 b7 a6 b3 T 7"]
    assert task.solutions(drawn, np.random.default_rng(0)) == [(("a7 b7 a4 b6",), "L2")]


def serial_chain(row, dimension: int, base: int) -> bool:
    """Every triple whose first digits sum to zero, in order, up to the first that matches."""
    rows = table(row.question, dimension)
    steps = iter(row.steps)
    for three in combinations(range(len(rows)), 3):
        sums = [sum(rows[i][d] for i in three) % base for d in range(dimension)]
        if sums[0]:
            continue
        i, j, k, *words = next(steps, "").split() or ["", "", ""]
        place = ord(words[0][0]) - ord("a") if words else 0
        letters = "abcdefgh"
        nonzero = next((d for d in range(1, dimension) if sums[d]), dimension - 1)
        wanted = [f"{letters[place]}{rows[i][place]}" for i in three]
        wanted += [f"{letters[d]}{sums[d]}" for d in range(1, nonzero + 1)]
        if [i, j, k] != [f"{i}-" for i in three] or words != wanted:
            return False
        if not any(sums):
            break
    return next(steps, None) is None


@pytest.mark.parametrize("shape", SHAPES)
def test_serial_chains_hold(shape):
    rows = few(Match3, **shape, chain="serial")
    kept = {key: shape[key] for key in ("dimension", "base")}
    assert all(serial_chain(row, **kept) for row in rows)
    row = next(row for row in rows if row.steps)
    for broken in (row.steps[1:], row.steps[:-1], (*row.steps, row.steps[-1])):  # the twins
        assert not serial_chain(replace(row, steps=broken), **kept)


def test_the_longest_serial_chains_can_be_left_out():
    shape = SHAPES[2] | {"chain": "serial"}

    def sizes(split, **more):
        return [len(" ".join(row.steps).split()) for row in few(Match3, split, **shape, **more)]

    longest = np.quantile(sizes("test"), 0.5)
    assert max(sizes("train", keep_lengths=0.5)) <= longest < max(sizes("train"))
    assert sizes("test", keep_lengths=0.5) == sizes("test")


def test_instances_that_cannot_be_false_are_refused():
    with pytest.raises(DataError, match=r"practically every instance has a matching triple.*set fewer rows"):
        few(Match3, length=9, dimension=1, base=3)
    with pytest.raises(ValueError, match="chains of pairs are all equally long"):
        Match3(keep_lengths=0.9)
    with pytest.raises(ValueError, match="set written: digits"):
        Match3(dimension=5, written="row")
    with pytest.raises(ValueError, match="disguises have 100"):
        Match2(length=20, dimension=6)


def seen_through(question: str, dimension: int, base: int) -> list[list[int]]:
    """The rows behind their disguise."""
    rows, number = question.split(" T ")
    flat = [(v + s) % base for v, s in zip(digits(rows.split()), SEQUENCES[int(number)].tolist())]
    return [flat[i : i + dimension] for i in range(0, len(flat), dimension)]


def negated(row, base):
    return [-v % base for v in row]


def matches(rows, base) -> list[bool]:
    return [negated(row, base) in rows for row in rows]


@pytest.mark.parametrize("written", ["digits", "row"])
@pytest.mark.parametrize(
    "shape", [{"length": 10, "dimension": 2, "base": 10}, {"length": 4, "dimension": 3, "base": 4}]
)
def test_counts_and_chains_of_match2_hold(shape, written):
    dimension, base = shape["dimension"], shape["base"]
    told = Counter()
    for row in few(Match2, **shape, written=written):
        shown = table(row.question.split(" T ")[0], dimension)
        rows = seen_through(row.question, dimension, base)
        found = matches(rows, base)
        assert row.answer == f"L{sum(found)}"
        assert len(row.steps) == shape["length"] - 1
        for i, step in enumerate(row.steps):
            again, decoded, *rest = table(step, dimension)
            assert again == shown[i]
            if i >= 2 and found[i] and decoded != rows[i]:
                assert decoded == negated(rows[i], base)
                told["negation"] += 1
            else:
                assert decoded == rows[i]
                told["row"] += i >= 2 and found[i]
            assert rest == ([[sum(pair) % base for pair in zip(*rows[:2])]] if i == 1 else [])
    assert 0.35 < told["negation"] / told.total() < 0.6


def test_twin_another_disguise_shows_other_rows():
    row = few(Match2)[0]
    number = int(row.question.split()[-1])
    other = f"{row.question.rsplit(' ', 1)[0]} {(number + 1) % 10}"
    assert seen_through(row.question, 4, 10) != seen_through(other, 4, 10)


def test_all_rows_match_in_a_tenth_and_most_instances_miss_one_pair():
    counts = Counter(row.answer for row in few(Match2, train_rows=4000))
    # One digit in one row is fresh, and another one, in 0.9 × 0.75 × 0.9; two rows that are a pair add two hundredths.
    assert abs(counts["L8"] / 4000 - 0.63) < 0.03 and abs(counts["L10"] / 4000 - 0.167) < 0.03
    assert few(Match2, true_rate=1.0)[0].answer == "L10"


def test_disguises_never_change():
    assert SEQUENCES[0, :8].tolist() == [8, 6, 5, 2, 3, 0, 0, 0] and SEQUENCES.shape == (10, 100)


def test_the_answer_of_match2_is_its_last_word():
    task = Match2()
    row = few(Match2)[0]
    assert task.grade(row, f"a1 b2 {row.answer}").correct and not task.grade(row, f"{row.answer} a1").correct
    assert not task.grade(row, "").correct
