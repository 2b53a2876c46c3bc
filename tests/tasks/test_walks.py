"""Walks: one map for all splits, thoughts for few documents, and those that were inferred for the others."""

import json
from collections import Counter

import numpy as np

from tacit.tasks.walks import Walks

SMALL = {"warm_rows": 40, "train_rows": 60, "valid_rows": 50, "test_rows": 400}


def follow(task, example):
    start, *labels = example.question.split()
    here, steps = int(start[1:]), []
    for label in labels:
        here = int(task.map[int(label[1:]), here])
        steps.append(f"{label} s{here}")
    return tuple(steps), f"s{here}"


def test_every_label_is_a_permutation_and_every_walk_follows_the_map():
    task = Walks(part="gold", **SMALL)
    assert (np.sort(task.map, axis=1) == np.arange(10)).all()
    for split in ("train", "valid", "test"):
        for example in task.examples(split):
            assert (example.steps, example.answer) == follow(task, example)
            assert set(example.question.split()) | set(" ".join(example.steps).split()) <= set(task.words())
    assert (Walks(world=1).map != task.map).any()


def test_parts_of_training():
    parts = {part: Walks(part=part, **SMALL).examples("train") for part in ("warm", "corpus", "both", "gold")}
    assert [len(parts[part]) for part in ("warm", "corpus", "both", "gold")] == [40, 60, 100, 60]
    assert all(row.steps for row in parts["warm"]) and not any(row.steps for row in parts["corpus"])
    assert parts["both"] == [*parts["warm"], *parts["corpus"]]
    assert [row.question for row in parts["gold"]] == [row.question for row in parts["corpus"]]
    warm, held = ({row.question for row in rows} for rows in (parts["both"], Walks(**SMALL).examples("valid")))
    assert not warm & held


def test_labels_are_frequent_and_rare_but_in_the_test_split():
    task = Walks(**SMALL)
    counts = {
        split: Counter(label for row in task.examples(split) for label in row.question.split()[1:])
        for split in ("train", "test")
    }
    assert counts["train"]["l0"] > 4 * counts["train"]["l19"]
    assert counts["test"]["l0"] < 1.6 * counts["test"]["l19"]


def test_inferred_thoughts_belong_to_their_documents(tmp_path):
    file = tmp_path / "thoughts.jsonl"
    corpus = Walks(part="corpus", **SMALL).examples("train")
    file.write_text(json.dumps({"id": corpus[3].id, "steps": ["l0 s1"]}) + "\n")
    rows = Walks(part="corpus", inferred=str(file), **SMALL).examples("train")
    assert [row.steps for row in rows] == [("l0 s1",) if n == 3 else () for n in range(60)]


def test_the_last_state_is_the_answer():
    task = Walks(**SMALL)
    example = task.examples("valid")[0]
    assert task.grade(example, f"l1 s0 {example.answer}").correct
    assert not task.grade(example, f"{example.answer} l1").correct and not task.grade(example, "").correct
