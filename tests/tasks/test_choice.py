"""Questions with answers on offer: every published shape, our own, and what is said about files that cannot be used."""

import csv
import json

import datasets
import pytest

from tacit.errors import DataError
from tacit.example import Example
from tacit.registry import resolve
from tacit.tasks import TASKS
from tacit.tasks.choice import Choice, CommonsenseQA, Mmlu, Piqa, Siqa, StrategyQA
from tacit.tasks.code import Code

OPTIONS = "Where is it dry?\n(A) sea\n(B) sand\n(C) rain"
TEXTS = ["sea", "sand", "rain"]
LABELLED = [{"label": label, "text": text} for label, text in zip("ABC", TEXTS)]
SHAPES = {
    "ours, a letter": {"question": "Where is it dry?", "choices": TEXTS, "answer": "B"},
    "ours, a number": {"question": "Where is it dry?", "choices": TEXTS, "answer": 1},
    "ours, words": {"question": "Where is it dry?", "choices": TEXTS, "answer": "sand"},
    "csqa on the hub": {
        "question": "Where is it dry?",
        "choices": {"label": ["A", "B", "C"], "text": TEXTS},
        "answerKey": "B",
    },
    "csqa as files": {"question": {"stem": "Where is it dry?", "choices": LABELLED}, "answerKey": "B", "id": "x"},
    "arc, with numbers as labels": {
        "question": "Where is it dry?",
        "choices": {"label": ["1", "2", "3"], "text": TEXTS},
        "answerKey": "2",
    },
    "siqa": {
        "context": "Where is it",
        "question": "dry?",
        **{f"answer{letter}": text for letter, text in zip("ABC", TEXTS)},
        "label": "2",
    },
}


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(path, task=Choice):
    return list(task(test=path).examples("test"))


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_the_same_question(tmp_path, shape):
    (row,) = read(write(tmp_path / "a.jsonl", [SHAPES[shape]]))
    task = Choice(path="x")
    assert (row.question, row.answer) == (OPTIONS, "B")
    assert list(task.choices(row)) == ["A", "B", "C"]
    assert [(one.question, one.answer) for one in task.in_words(row)] == [("Where is it dry?", text) for text in TEXTS]
    assert [task.grade(row, text).correct for text in (" B", "the answer is B.", " C", "")] == [
        True,
        True,
        False,
        False,
    ]


def test_two_solutions_and_their_labels_in_a_file_of_their_own(tmp_path):
    row = {"goal": "Dry a shoe.", "sol1": "Sink it.", "sol2": "Air it."}
    (one,) = read(write(tmp_path / "a.jsonl", [row | {"label": 1}]), Piqa)
    path = write(tmp_path / "b.jsonl", [row, row])
    (tmp_path / "b-labels.lst").write_text("1\n0\n")
    assert (one.question, one.answer) == ("Dry a shoe.\n(A) Sink it.\n(B) Air it.", "B")
    assert [example.answer for example in read(path, Piqa)] == ["B", "A"]
    (tmp_path / "b-labels.lst").write_text("1\n")
    with pytest.raises(DataError, match="has 1 labels for the 2 rows"):
        read(path, Piqa)


def test_yes_or_no_shows_nothing_and_has_facts_as_steps(tmp_path):
    row = {"qid": "q7", "question": "Is sand wet?", "answer": False, "facts": ["Sand is dry.", "Dry is not wet."]}
    (one,) = read(write(tmp_path / "a.jsonl", [row]), StrategyQA)
    assert (one.id, one.question, one.answer, one.steps) == ("q7", "Is sand wet?", "no", tuple(row["facts"]))
    task = StrategyQA()
    assert list(task.choices(one)) == ["yes", "no"] and task.in_words(one) is None
    assert task.grade(one, " No").correct and not task.grade(one, " Yes").correct


@pytest.mark.parametrize("header", [True, False])
def test_a_table_with_and_without_a_header(tmp_path, header):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        rows = [["question", "A", "B", "C", "answer"]] * header + [
            ["Where is it dry?", *TEXTS, "B"],
            ["1, or\n2?", *"xyz", "C"],
        ]
        csv.writer(file).writerows(rows)
    first, second = read(str(tmp_path / "a.csv"))
    assert (first.question, first.answer) == (OPTIONS, "B")
    assert (second.question, second.answer) == ("1, or\n2?\n(A) x\n(B) y\n(C) z", "C")


GOOD = SHAPES["ours, a letter"]
BROKEN = [
    (
        {"question": "x", "answer": "A"},
        ":2: choices: missing; the row has question, answer; write the answers on offer",
    ),
    (GOOD | {"choices": ["sea"]}, ":2: choices: 1 of them, and a question needs 2 to 8"),
    (GOOD | {"choices": "sea"}, ":2: choices: expected a list of answers, got str"),
    (GOOD | {"choices": ["sea", ""]}, r":2: choices\[1\]: empty"),
    (GOOD | {"choices": ["sea", "sea"]}, r":2: choices\[1\]: 'sea' is offered twice"),
    (GOOD | {"answer": "D"}, r":2: answer: 'D' is no choice; write a label \(A, B, C\)"),
    (GOOD | {"answer": 3}, ":2: answer: 3 is no choice"),
    (GOOD | {"answer": None}, ":2: answer: missing, so nothing can be graded"),
    (
        GOOD | {"choices": ["B", "A"], "answer": "A"},
        ":2: answer: 'A' is the label of one choice and the words of another",
    ),
    (SHAPES["csqa on the hub"] | {"answerKey": ""}, ":2: answerKey: missing"),
    (GOOD | {"choices": {"label": ["A", "A"], "text": ["x", "y"]}}, ":2: choices: label 'A' is there twice"),
    (GOOD | {"choices": {"label": ["A"], "text": ["x", "y"]}}, ":2: choices: 1 labels for 2 texts"),
    (GOOD | {"question": " "}, ":2: question: empty"),
    ({"goal": "x", "sol1": "y", "sol2": "z", "label": -1}, ":2: label: -1 is no choice; write one of 0, 1"),
    (["x"], ":2: row: "),
]


@pytest.mark.parametrize(("row", "reason"), BROKEN)
def test_a_row_that_cannot_be_used_is_refused_with_its_place(tmp_path, row, reason):
    with pytest.raises(DataError, match=f"a.jsonl{reason}"):
        read(write(tmp_path / "a.jsonl", [GOOD, row]))


def test_all_faults_of_a_file_come_together(tmp_path):
    bad = [GOOD | {"answer": "D"}] * 3 + [GOOD] + [GOOD | {"choices": []}] * 4
    with pytest.raises(DataError) as caught:
        read(write(tmp_path / "a.jsonl", bad))
    lines = str(caught.value).splitlines()
    assert len(lines) == 6 and lines[-1] == "and 2 more faults like these"
    assert [line.split(": ")[0].rsplit(":")[-1] for line in lines[:5]] == ["1", "2", "3", "5", "6"]


def test_a_choice_from_nowhere_is_refused():
    with pytest.raises(ValueError, match="published sets have names of their own"):
        Choice()


def test_published_sets_are_asked_for_by_their_names(monkeypatch):
    asked = []

    def load(path, config, split, streaming, revision=None):
        asked.append((path, config, split, revision))
        return [SHAPES["csqa on the hub"]]

    splits = {"cais/mmlu": ["auxiliary_train", "dev", "validation", "test"], "ChilleD/StrategyQA": ["train", "test"]}
    monkeypatch.setattr(
        datasets, "get_dataset_split_names", lambda path, config, **_: splits.get(path, ["train", "validation", "test"])
    )
    monkeypatch.setattr(datasets, "load_dataset", load)
    for task in (CommonsenseQA(), Mmlu(), Mmlu(subject="anatomy"), Piqa(), Siqa(), StrategyQA()):
        list(task.examples("test"))
    list(Mmlu().examples("valid"))
    assert asked == [
        ("tau/commonsense_qa", None, "validation", None),
        ("cais/mmlu", "all", "test", None),
        ("cais/mmlu", "anatomy", "test", None),
        ("ybisk/piqa", None, "validation", "refs/convert/parquet"),
        ("allenai/social_i_qa", None, "validation", "refs/convert/parquet"),
        ("ChilleD/StrategyQA", None, "test", None),
        ("cais/mmlu", "all", "validation", None),
    ]


def test_subjects_are_kinds():
    assert Mmlu().kind(Example(extra={"subject": "anatomy"})) == "anatomy" and Mmlu().kind(Example()) is None


@pytest.mark.parametrize("name", ["choice", "csqa", "mmlu", "riddlesense", "piqa", "siqa", "strategyqa", "code"])
def test_tasks_are_registered_and_say_what_they_are(name):
    assert resolve(TASKS, name, "task").__doc__


def test_programs_and_their_reference(tmp_path):
    human = {"task_id": "H/0", "prompt": "def one():\n", "canonical_solution": "    return 1\n"}
    mbpp = {"task_id": 2, "text": "Give one.", "code": "def one():\n  return 1", "test_list": ["assert one() == 1"]}
    first, second = Code(path=write(tmp_path / "a.jsonl", [human, mbpp])).examples("test")
    assert (first.question, first.answer) == ("def one():\n", "    return 1\n")
    assert (second.question, second.answer) == ('"""\nGive one.\nassert one() == 1\n"""\n', mbpp["code"])
    with pytest.raises(DataError, match=r"a\.jsonl:1: code: missing, and canonical_solution too; the row has text"):
        list(Code(path=write(tmp_path / "a.jsonl", [{"text": "x"}])).examples("test"))
    with pytest.raises(DataError, match="openai/openai_humaneval has no train split"):
        Code(variant="humaneval").examples("train")
