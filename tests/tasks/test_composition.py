"""Parity and permutations: steps and answers followed again from the words of the question."""

from dataclasses import replace

import numpy as np
import pytest

from tacit.example import Example
from tacit.tasks.parity import Parity
from tacit.tasks.permutation import Permutation

FEW = {"train_rows": 200, "valid_rows": 20, "test_rows": 20}


def parities(question: str, places: list[int]) -> list[str]:
    bits = list(map(int, question.split()))
    running = np.bitwise_xor.accumulate([bits[place] for place in places])
    return list(map(str, running[1:].tolist()))


@pytest.mark.parametrize(("bits", "counted"), [(12, None), (20, 3), (14, 2)])
def test_parities_hold(bits, counted):
    task = Parity(bits=bits, counted=counted, **FEW)
    places = task.counting()
    assert len(places) == (counted or bits) and places == sorted(set(places))
    for row in task.examples("train"):
        assert [*row.steps, row.answer] == parities(row.question, places)
        flipped = row.question.split()
        flipped[places[0]] = "10"[int(flipped[places[0]])]
        assert parities(" ".join(flipped), places)[-1] != row.answer  # the twin: every counted bit matters


def test_the_seed_chooses_the_bits_and_the_worked_example_holds():
    chosen = {tuple(Parity(bits=20, counted=4, seed=seed).counting()) for seed in range(5)}
    assert len(chosen) == 5
    drawn = (np.array([[0, 1, 1, 0, 1]]),)
    assert Parity(bits=5).solutions(drawn, np.random.default_rng(0)) == [(("1", "0", "0"), "1")]
    with pytest.raises(ValueError, match="9 of 8 bits cannot be counted; set counted to 8 or less"):
        Parity(bits=8, counted=9)


def followed(row: Example, hops: int) -> bool:
    *tables, start = row.question.split(" | ")
    mappings = [table.split() for table in tables]
    here, way = start, []
    for hop in range(hops):
        here = mappings[hop % len(mappings)][int(here)]
        way.append(here)
    return way == [*row.steps, row.answer]


@pytest.mark.parametrize("mappings", ["one", "many"])
@pytest.mark.parametrize("hops", [1, 4])
def test_permutations_are_followed(hops, mappings):
    task = Permutation(size=7, hops=hops, mappings=mappings, **FEW)
    rows = list(task.examples("train"))
    assert all(followed(row, hops) for row in rows)
    assert all(len(row.question.split(" | ")) == 1 + (hops if mappings == "many" else 1) for row in rows)
    other = replace(rows[0], answer=str((int(rows[0].answer) + 1) % 7))
    assert not followed(other, hops) and not followed(rows[0], hops + 1)  # the twins


def test_the_worked_example():
    task = Permutation(size=3, hops=2)
    drawn = (np.array([[[2, 0, 1]]]), np.array([0]))
    assert task.questions(drawn) == ["2 0 1 | 0"]
    assert task.solutions(drawn, np.random.default_rng(0)) == [(("2",), "1")]
