"""Chains modulo a prime: their truth, their splits, their words."""

from collections import Counter

import pytest

from tacit.tasks.base import home
from tacit.tasks.modular import EMPTY, Modular

FEW = {"train_rows": 600, "valid_rows": 100, "test_rows": 60}


def value(question: str, modulus: int) -> list[int]:
    """The value after every operation."""
    start, *operations = question.split()
    values = [int(start)]
    for word in operations:
        if word != EMPTY:
            number = int(word[1:])
            values.append((values[-1] + number if word[0] == "+" else values[-1] * number) % modulus)
    return values


@pytest.mark.parametrize("modulus", [7, 11])
def test_every_step_and_answer_is_right(modulus):
    narrow, wide = (Modular(modulus=modulus, steps=steps, **FEW) for steps in ("narrow", "wide"))
    for one, other in zip(narrow.examples("train"), wide.examples("train")):
        values = value(one.question, modulus)
        assert list(map(int, one.steps)) == values[1:] and int(one.answer) == values[-1]
        assert one.question == other.question and len(one.question.split()) == 6
        said = [f"{a} {word} {b}" for a, word, b in zip(values, one.question.split()[1:], values[1:])]
        assert list(other.steps) == said
        assert narrow.grade(one, f": {one.answer}").correct and not narrow.grade(one, f"{one.answer} 1").correct


def test_lengths_are_even_and_told_apart():
    task = Modular(**FEW)
    counts = Counter(task.kind(example) for example in task.examples("train"))
    assert set(counts) == set("12345") and min(counts.values()) > 80
    assert {len(example.steps) for example in Modular(longest=2, **FEW).examples("train")} == {1, 2}


def test_held_out_questions_do_not_occur_in_training_where_questions_recur():
    task = Modular(**FEW)
    splits = {split: list(task.examples(split)) for split in ("train", "valid", "test")}
    for split, rows in splits.items():
        assert all(home(row.question) == split for row in rows)
        assert len({row.id for row in rows}) == len(rows)
    assert len({row.question for row in splits["valid"]}) == len(splits["valid"])
    assert len({row.question for row in splits["train"]}) < 600
    assert splits["train"] == list(Modular(**FEW).examples("train"))
    assert splits["train"] != list(Modular(seed=1, **FEW).examples("train"))


def test_a_chain_that_lives_elsewhere_is_not_put_again(monkeypatch):
    """It has one wording only. Other tasks look for one that lives in the split."""
    posed, pose = [], Modular.pose
    monkeypatch.setattr(Modular, "pose", lambda self, *given: posed.append(given[0]) or pose(self, *given))
    task = Modular(train_rows=1, valid_rows=20, test_rows=1)
    assert len(list(task.examples("valid"))) == 20
    assert 20 < len(posed) < 20 * 40


def test_its_words_are_all_that_it_says():
    task = Modular(modulus=7, steps="wide", **FEW)
    said = {word for row in task.examples("valid") for text in (row.question, *row.steps) for word in text.split()}
    assert said <= set(task.words()) and len(task.words()) == len(set(task.words()))
