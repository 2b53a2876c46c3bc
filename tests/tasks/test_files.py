"""Published formats, splits found and taken, and what is said about files that cannot be read."""

import json

import datasets
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import DataError, TacitError
from tacit.example import Example
from tacit.tasks import sources
from tacit.tasks.formats import Reading, cot_steps, read_file
from tacit.tasks.gsm8k import Gsm8k
from tacit.tasks.rows import Rows
from tacit.tasks.sources import json_list

ROW = {"question": "How many?", "steps": ["<<1+1=2>>"], "answer": "2"}
GSM8K = {
    "question": "How many eggs?",
    "answer": "He has 2*3=<<2*3=6>>6 eggs.\nHe eats 1, so 6-1=<<6-1=5>>5.\n#### 1,005",
}
PROSQA = {
    "question": "Is Tom a x or y?",
    "steps": ["Tom is a x."],
    "answer": "Tom is a x.",
    "edges": [[0, 1]],
    "root": 0,
}


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, **reading):
    return list(read_file(path, Reading(**reading), "r-"))


def test_rows_of_our_schema(tmp_path):
    path = write(
        tmp_path / "a.jsonl", "\n".join(map(json.dumps, [ROW | {"id": "own"}, ROW, {"text": "a text"}])) + "\n"
    )
    assert read(path) == [
        Example("own", "How many?", ("<<1+1=2>>",), "2"),
        Example("r-2", "How many?", ("<<1+1=2>>",), "2"),
        Example("r-3", text="a text"),
    ]


def test_a_list_of_rows_keeps_what_only_its_task_knows(tmp_path):
    (row,) = read(write(tmp_path / "a.json", json.dumps([PROSQA])))
    assert row.extra == {"edges": [[0, 1]], "root": 0} and row.steps == ("Tom is a x.",)


def test_json_lines_may_be_called_json(tmp_path):
    assert len(read(write(tmp_path / "a.json", json.dumps(ROW) + "\n" + json.dumps(ROW)))) == 2


ICOT = [
    ("Q?||<<1+1=2>> <<2*3=6>> #### 6", ("<<1+1=2>>", "<<2*3=6>>")),
    ("Q?|| #### 6", ()),
    ("Q?||First add. Then stop! #### 6", ("First add.", "Then stop!")),
    ("2 1 * 4 3||8 4 0 + 0 6 3 ( 8 0 4 0 ) + 1 #### 6", ("8 4 0", "+ 0 6 3 ( 8 0 4 0 )", "+ 1")),
]


@pytest.mark.parametrize(("line", "steps"), ICOT)
def test_icot_lines(tmp_path, line, steps):
    (row,) = read(write(tmp_path / "a.txt", line + "\r\n"))
    assert (row.steps, row.answer) == (steps, "6")
    assert " ".join(row.steps) == line.split("||")[1].split(" #### ")[0].strip()


@given(st.lists(st.from_regex(r"<<[0-9+*/.= ]{1,9}>>", fullmatch=True), max_size=5))
def test_equations_come_back_from_a_line(equations):
    assert list(cot_steps(" ".join(equations))) == equations


def test_twin_splitting_at_blanks_loses_equations_with_blanks():
    assert ["<<1", "+", "1=2>>"] != ["<<1 + 1=2>>"]


def test_gsm8k_as_equations_or_sentences(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps(GSM8K))
    (equations,), (sentences,) = read(path), read(path, steps="sentences")
    assert equations.steps == ("<<2*3=6>>", "<<6-1=5>>") and equations.answer == "1,005"
    assert sentences.steps == ("He has 2*3=6 eggs.", "He eats 1, so 6-1=5.")


def test_plain_text_as_documents(tmp_path):
    content = "\none\ntwo\n\n\nthree || four\n"
    path = write(tmp_path / "a.txt", content)
    assert [row.text for row in read(path)] == [content]
    assert [row.text for row in read(path, documents="paragraph")] == ["one\ntwo", "three || four"]
    assert [row.text for row in read(path, documents="line")] == ["one", "two", "three || four"]


def test_tables_and_columns(tmp_path):
    rows = [{"problem": "1+1?", "target": 2, "cot": "one\ntwo", "n": 7}]
    datasets.Dataset.from_list(rows).to_parquet(tmp_path / "a.parquet")
    columns = {"question": "problem", "answer": "target", "steps": "cot", "id": "n"}
    assert read(tmp_path / "a.parquet", columns=columns) == [Example("7", "1+1?", ("one", "two"), "2")]


def test_the_format_can_be_given(tmp_path):
    path = write(tmp_path / "a.txt", "Q?||<<1+1=2>> #### 2\n")
    assert read(path, format="text")[0].text == "Q?||<<1+1=2>> #### 2\n"
    line = write(tmp_path / "a.jsonl", json.dumps({"text": "Q?||<<1+1=2>> #### 2"}))
    assert read(line)[0].steps == ("<<1+1=2>>",)
    assert read(line, format="rows")[0].text


GOOD = json.dumps(ROW).encode()
BROKEN = [
    ("a.jsonl", b"", "a.jsonl: the file is empty"),
    ("a.txt", b"", "a.txt: the file is empty"),
    ("a.json", b"[]", "a.json: the list is empty"),
    ("a.jsonl", GOOD + b"\n\n" + GOOD, "a.jsonl:2: empty line"),
    ("a.jsonl", GOOD + b"\n{'a': 1}\n", "a.jsonl:2: not JSON: Expecting property name"),
    ("a.jsonl", GOOD + b"\n[1]\n", "a.jsonl:2: row: expected a JSON object, got list"),
    ("a.jsonl", GOOD + b"\n\xff\xfe\n", "a.jsonl:2: not UTF-8"),
    ("a.jsonl", GOOD + b'\n{"question": "x"}', "a.jsonl:2: answer: missing; the row has question"),
    ("a.json", b"[" + GOOD + b', {"question": "\xff"}]', "a.json:1: not UTF-8"),
    ("a.json", b"[" * 100_000, "a.json: row 1: nested too deeply"),
    ("a.jsonl", b"[" * 100_000, "a.jsonl:1: not JSON"),
    ("a.json", b"[" + GOOD + b" " + GOOD + b"]", "a.json: row 2: not JSON: expected a comma"),
    ("a.json", b"[" + GOOD + b", " + GOOD[:20], "a.json: row 2: not JSON: Unterminated string"),
    ("a.json", b"[" + GOOD + b", 12", "a.json: row 2: not JSON: expected an object"),
    ("a.json", b"[" + GOOD, "a.json: row 2: not JSON: expected a comma or the end"),
    ("a.json", b"[" + GOOD + b"] " + GOOD, "a.json: after row 1: text behind the end of the list"),
    ("a.json", b"[12, " + GOOD + b"]", "a.json: row 1: row: expected a JSON object, got int"),
    ("a.json", b'{"data": []}', "a.json:1: question: missing; the row has data"),
    ("a.txt", b"Q?||1 #### 2\nQ? #### 2\n", r"a.txt:2: line: expected question\|\|steps #### answer .* got 0 of them"),
    ("a.txt", b"Q?||1 #### 2\nQ?||a||b #### 2\n", "a.txt:2: line: .* got 2 of them"),
    ("a.txt", b"Q?||1 #### 2\nQ?||a\n", "a.txt:2: line: expected one #### before the answer, got 0"),
    ("a.txt", b"Q?||1 #### 2\nQ?||a #### \n", "a.txt:2: answer: empty"),
    ("a.txt", b"Q?||1 #### 2\n ||a #### 2\n", "a.txt:2: question: empty"),
    ("a.txt", b"Q?||1 #### 2\n\n", "a.txt:2: line: empty"),
    ("a.jsonl", b'{"question": "x", "answer": "#### "}', "a.jsonl:1: answer after ####: empty"),
    ("a.jsonl", b'{"question": "x", "answer": "1 #### 2 #### 3"}', "a.jsonl:1: answer: expected one ####.* got 2"),
    ("a.parquet", b"PAR1", "a.parquet: not a readable parquet file"),
]


@pytest.mark.parametrize(("name", "content", "reason"), BROKEN)
def test_broken_files_are_refused_with_their_place(tmp_path, name, content, reason):
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=reason):
        read(path)


def test_missing_files_and_columns(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Rows(path=str(tmp_path / "no.jsonl")).examples("train")
    for name in ("no.jsonl", "no.txt", "no.parquet"):
        with pytest.raises(DataError, match=f"{name}: cannot be read: [Nn]o such file"):
            Rows(train=str(tmp_path / name)).examples("train")
    path = write(tmp_path / "a.jsonl", json.dumps(ROW))
    with pytest.raises(
        DataError, match=r"a\.jsonl:1: answer: columns says 'target', but the row has question, steps, answer"
    ):
        read(path, columns={"question": "question", "answer": "target"})


def test_lists_are_read_piece_by_piece(tmp_path, monkeypatch):
    rows = [ROW | {"question": "é" * n + "?"} for n in range(60)]
    path = write(tmp_path / "a.json", json.dumps(rows, ensure_ascii=False, indent=1))
    for size in (1, 7, 64):
        monkeypatch.setattr(sources, "CHUNK", size)
        assert [raw.row for raw in json_list(path)] == rows


def test_reading_streams(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps(ROW) + "\n{broken")
    assert next(iter(Rows(test=str(path), stream=True).examples("test"))).answer == "2"


def questions(count, start=0):
    return "".join(json.dumps(ROW | {"question": f"How many are {n}?"}) + "\n" for n in range(start, start + count))


def test_missing_splits_are_taken_out_of_train(tmp_path):
    path = str(write(tmp_path / "a.jsonl", questions(400)))
    parts = {split: {row.question for row in Rows(path=path).examples(split)} for split in ("train", "valid", "test")}
    assert sum(map(len, parts.values())) == len(set().union(*parts.values())) == 400
    assert 5 < len(parts["valid"]) < 40 and 5 < len(parts["test"]) < 40
    given = Rows(train=path, valid=path, test=path)
    assert len(list(given.examples("train"))) == len(list(given.examples("valid"))) == 400


def test_a_folder_with_a_file_for_each_split(tmp_path):
    for name, start in (("prosqa_train", 0), ("prosqa_valid", 100), ("test_bigbench", 200)):
        write(tmp_path / f"{name}.jsonl", questions(3, start))
    task = Rows(path=str(tmp_path), limit=2)
    assert [next(row.question for row in task.examples(split)) for split in ("train", "valid", "test")] == [
        "How many are 0?",
        "How many are 100?",
        "How many are 200?",
    ]
    assert len(list(task.examples("train"))) == 2


def test_no_split_to_take_from(tmp_path):
    path = str(write(tmp_path / "a.jsonl", questions(3)))
    with pytest.raises(DataError, match="no valid split and no train split to take it from"):
        Rows(test=path).examples("valid")
    with pytest.raises(TacitError, match="did you mean valid"):
        Rows(test=path).examples("valdi")
    with pytest.raises(ValueError, match="set path"):
        Rows()


def hub(monkeypatch, error=None, rows=()):
    def splits(path, config):
        return ["train", "validation"]

    def load(path, config, split, streaming):
        if error:
            raise error
        return [{"question": f"{split}?", "steps": [], "answer": "1"}, *rows]

    monkeypatch.setattr(datasets, "get_dataset_split_names", splits)
    monkeypatch.setattr(datasets, "load_dataset", load)


def test_hub_splits_by_their_usual_names(monkeypatch):
    hub(monkeypatch)
    assert [row.question for row in Rows(path="some/set").examples("valid")] == ["validation?"]
    with pytest.raises(DataError, match="has no split 'dev' for valid; it has train, validation"):
        Rows(path="some/set", valid="dev").examples("valid")


def test_a_malformed_hub_row_is_named(monkeypatch):
    hub(monkeypatch, rows=[{"question": "x"}])
    with pytest.raises(DataError, match=r"some/set\[main\] validation: row 2: answer: missing"):
        Rows(path="some/set", config="main").examples("valid")


REFUSALS = [
    (datasets.exceptions.DatasetNotFoundError("Dataset 'some/set' is a gated dataset on the Hub."), "HF_TOKEN"),
    (ValueError("BuilderConfig 'x' not found. Available: ['main']\nmore"), r"Available: \['main'\] — set config"),
]


@pytest.mark.parametrize(("error", "remedy"), REFUSALS)
def test_what_the_hub_refuses_is_explained(monkeypatch, error, remedy):
    hub(monkeypatch, error)
    with pytest.raises(DataError, match=remedy):
        Rows(path="some/set").examples("valid")


def test_without_network_the_reason_is_named(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    hub(monkeypatch, ConnectionError("Couldn't reach 'some/set' on the Hub"))
    with pytest.raises(
        DataError, match="no network is used while HF_HUB_OFFLINE is set: unset it, or give a local file"
    ):
        Rows(path="some/set").examples("valid")
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(DataError, match="check the id and the network"):
        Rows(path="some/set").examples("valid")


def test_gsm8k_parts_and_filters(tmp_path):
    answers = ["1", "-2", "inf", "2,000", "words", "3"]
    rows = [{"question": f"q{n}", "steps": [], "answer": answers[n % 6]} for n in range(60)]
    for split in ("train", "valid", "test"):
        write(tmp_path / f"{split}.jsonl", "\n".join(map(json.dumps, rows)))
    whole = Gsm8k(path=str(tmp_path)).examples("train")
    assert [row.question for row in whole] == [row["question"] for row in rows]
    first = Gsm8k(path=str(tmp_path), part=(0, 0.85)).examples("train")
    last = Gsm8k(path=str(tmp_path), part=(0.85, 1)).examples("train")
    assert (len(first), len(last)) == (51, 9)
    assert {row.id for row in first} | {row.id for row in last} == {row.id for row in whole}
    assert [row.id for row in first] != [row.id for row in whole[:51]]
    kept = Gsm8k(path=str(tmp_path), numeric_only=True, drop_negative=True).examples("train")
    assert {row.answer for row in kept} == {"1", "2,000", "3"}
    assert len(list(Gsm8k(path=str(tmp_path), numeric_only=True, drop_negative=True).examples("test"))) == 60
    with pytest.raises(ValueError, match="two rising numbers"):
        Gsm8k(part=(0.5, 0.5))


def test_gsm8k_parts_are_those_of_the_datasets_library(tmp_path):
    rows = [{"question": f"q{n}", "steps": [], "answer": "1"} for n in range(40)]
    for split in ("train", "valid", "test"):
        write(tmp_path / f"{split}.jsonl", "\n".join(map(json.dumps, rows)))
    mine = Gsm8k(path=str(tmp_path), part=(0, 0.5)).examples("train")
    theirs = datasets.Dataset.from_list(rows).shuffle(seed=42).select(range(20))["question"]
    assert [row.question for row in mine] == list(theirs)


@pytest.mark.parametrize(
    ("text", "correct"), [("### 1005", True), ("so it is $1,005.00", True), ("### 1006", False), ("", False)]
)
def test_gsm8k_grades_numbers(text, correct):
    grade = Gsm8k().grade(Example(answer="1,005"), text)
    assert (grade.correct, grade.extractor) == (correct, "number@1")
