"""Rows in the published text format, written and read."""

import hashlib

import pytest

from tacit.cli import main
from tacit.errors import DataError
from tacit.tasks.formats import Reading, icot_line, parse_icot, read_rows
from tacit.tasks.multiplication import Multiplication
from tacit.tasks.sources import Raw

HASHES = {
    4: "27c2ca51e9368367b43b4a99eb6148f8dc904531f7ead074d3a97056f788058c",
    5: "d3b95bdf0f74863a88bc777fee3fe23854e6ad458b8e7b847b65dac25e59182c",
    9: "3a589f77acf5093a42f03ad12952d02d2681642b33e372135c6519aa6e90e2b5",
}
"""SHA-256 of the published data/N_by_N_mult/valid.txt."""
LINE = "9 1 7 3 * 9 4 3 3||1 7 4 3 3 + 0 6 7 8 4 1 ( 1 3 2 2 8 1 ) + 0 0 7 5 1 1 1 ( 1 3 9 7 9 2 1 ) + 0 0 0 7 5 1 1 1 #### 1 3 9 4 5 4 2 1"  # fmt: skip # noqa: E501
SECOND = "6 9 1 5 * 6 4 4 7||6 7 1 1 3 + 0 4 8 7 0 2 ( 6 1 0 9 3 2 ) + 0 0 4 8 7 0 2 ( 6 1 4 7 1 3 2 ) + 0 0 0 2 7 3 6 3 #### 6 1 4 9 8 6 8 3"  # fmt: skip # noqa: E501


def make(file, *words):
    with pytest.raises(SystemExit) as caught:
        main(["data", "make", *words, "--out", str(file)])
    return caught.value.code


@pytest.mark.parametrize("size", HASHES)
def test_published_files_are_made_byte_for_byte(size, tmp_path):
    file = tmp_path / f"{size}_by_{size}_mult" / "valid.txt"
    words = ["multiplication", f"left={size}", f"right={size}", "--split", "valid", "--format", "icot"]
    assert make(file, *words, "published=true") == 0
    assert hashlib.sha256(file.read_bytes()).hexdigest() == HASHES[size]
    if size == 4:
        assert file.read_text().splitlines()[1] == SECOND
    assert make(file, *words) == 0
    assert hashlib.sha256(file.read_bytes()).hexdigest() != HASHES[size], "the twin: our own draw is another"


def test_fields_that_do_not_exist_are_refused(tmp_path, capsys):
    assert make(tmp_path / "x", "multiplication", "left=many", "rigth=3") == 1
    told = capsys.readouterr().err
    assert "left:" in told and "rigth:" in told


def test_lines_are_read_and_written():
    assert icot_line(parse_icot(LINE)) == LINE
    assert icot_line(Multiplication().row(3719, 3349)) == LINE


def rows(*given, **reading):
    return list(read_rows(iter([Raw(f"f:{n}", row) for n, row in enumerate(given, 1)]), Reading(**reading)))


def test_columns_of_the_hub():
    source, output = LINE.split("||")
    whole = {"text": LINE, "input": source, "output": output}
    parts = {"input": source, "output": output}
    assert rows(whole)[0] == rows(parts)[0] == rows(LINE)[0] == parse_icot(LINE, id="1")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ((LINE, "1 * 2 #### 2"), r"f:2: line: expected .* one \|\|, got 0 of them in '1 \* 2 #### 2'"),
        ((LINE, "1 * 2||2"), r"f:2: line: expected one #### before the answer, got 0 of them in '2'"),
        ((LINE, "1||2||3 #### 4"), "got 2 of them"),
    ],
)
def test_lines_without_their_marks(lines, reason):
    with pytest.raises(DataError, match=reason):
        rows(*lines, format="icot")


@pytest.mark.parametrize(
    ("change", "field"),
    [(("9 1 7 3", "9 1 7"), "question"), (("1 7 4 3 3 +", "1 7 4 3 +"), "steps"), (("5 4 2 1", "5 4 2"), "answer")],
)
def test_rows_that_are_to_be_alike(change, field):
    other = LINE.replace(*change)
    assert other != LINE
    with pytest.raises(DataError, match=rf"f:3: {field}: \d+ words where f:1 has \d+, and all rows are to be alike: '"):
        rows(LINE, SECOND, other, format="icot", even=True)
    assert len(rows(LINE, SECOND, other, format="icot")) == 3
