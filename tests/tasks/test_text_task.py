"""Plain text: published sizes and order of splits, blocks and crops, rare characters, and what is said about bad sources."""

import random
from collections import Counter

import pytest
import torch

from tacit.errors import DataError, TacitError
from tacit.tasks import sources
from tacit.tasks.sources import Raw
from tacit.tasks.text import Text, _pieces

PUBLISHED = 1_115_393
"""Characters of the published text."""


@pytest.fixture
def long_text() -> str:
    """As long as the published one; every block of 128 begins with its own number."""
    return "".join(f"{number:06d}{'x' * 122}" for number in range(PUBLISHED // 128 + 1))[:PUBLISHED]


def written(tmp_path, *texts: str) -> list[str]:
    files = [tmp_path / f"{number}.txt" for number in range(len(texts))]
    for file, text in zip(files, texts):
        file.write_text(text, encoding="utf-8")
    return [str(file) for file in files]


def texts(task: Text, split: str = "train") -> list[str]:
    return [example.text for example in task.examples(split)]


def test_the_published_splits(tmp_path, long_text):
    """8,714 whole blocks in the order of torch's own split with seed 42, the middle one for validation. Twin: another seed is
    another order."""
    task = Text(path=written(tmp_path, long_text))
    generator = torch.Generator().manual_seed(42)
    parts = torch.utils.data.random_split(range(8714), [0.8, 0.1, 0.1], generator)
    found = {split: [int(text[:6]) for text in texts(task, split)] for split in ("train", "valid", "test")}
    assert [len(part) for part in found.values()] == [6972, 871, 871]
    assert list(found.values()) == [list(part) for part in parts]
    other = Text(path=task.path, seed=43)
    assert [int(text[:6]) for text in texts(other, "valid")] != found["valid"]


def test_the_published_web_split(tmp_path):
    """A tenth of a thousandth for validation: what rounding leaves over goes round from the first split on."""
    sizes = {split: len(part) for split, part in Text(path="x", shares=(0.8, 0.0001, 0.1999))._dealt(12_345).items()}
    parts = torch.utils.data.random_split(range(12_345), [0.8, 0.0001, 0.1999])
    assert list(sizes.values()) == [len(part) for part in parts] == [9877, 1, 2467]


def test_blocks_are_everything_end_to_end(tmp_path):
    """Files one behind the other; a piece may stand in two of them, and what is too short for a piece is left over."""
    task = Text(path=written(tmp_path, "abcde", "fghij", "kl"), length=4, shares=(0.2, 0.4, 0.4))
    assert task.pieces() == ["abcd", "efgh", "ijkl"]
    assert sorted(text for split in ("train", "valid", "test") for text in texts(task, split)) == task.pieces()
    assert task.letters() == "abcdefghijkl"


def test_crops_are_one_piece_of_each_document(tmp_path):
    documents = ["".join(random.Random(n).choices("abc", k=length)) for n, length in enumerate([30, 8, 7, 12])]
    task = Text(path=written(tmp_path, *documents), length=8, cut="crops")
    crops = task.pieces()
    long = [document for document in documents if len(document) >= 8]
    assert len(crops) == 3 and all(len(crop) == 8 and crop in document for crop, document in zip(crops, long))
    assert crops == task.pieces() and crops[1] == documents[1]
    assert any(Text(path=task.path, length=8, cut="crops", seed=seed).pieces() != crops for seed in range(3))


def test_crops_begin_anywhere(tmp_path):
    """Also at the first and at the last place that is left."""
    task = Text(path=written(tmp_path, *["abcd"] * 60), length=2, cut="crops")
    assert set(Counter(task.pieces())) == {"ab", "bc", "cd"}


def test_rare_characters_become_one(tmp_path):
    """Those that occur no more often than the limit, counted over all documents."""
    files = written(tmp_path, "aaab€", "aab🙂a")
    assert Text(path=files, length=10, rare=2).pieces() == ["aaa\ufffd\ufffdaa\ufffd\ufffda"]
    assert Text(path=files, length=10, rare=1, unknown="?").pieces() == ["aaab?aab?a"]
    assert Text(path=files, length=10).pieces() == ["aaab€aab🙂a"]


def test_a_folder_is_its_text_files_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    for name, text in (("b/1.md", "cc"), ("a.txt", "aa"), ("c.json", "no")):
        (tmp_path / name).write_text(text)
    assert Text(path=str(tmp_path), length=4).pieces() == ["aacc"]
    assert Text(path=str(tmp_path), length=2, most=1).pieces() == ["aa"]


def test_a_changed_file_is_read_again(tmp_path):
    import os

    [file] = written(tmp_path, "abababababab")
    task = Text(path=file, length=1)
    first = texts(task)
    written(tmp_path, "cdcdcdcdcdcd")
    os.utime(file, ns=(1, 1))
    assert set(first) == {"a", "b"} and set(texts(task)) == {"c", "d"}


def hub(monkeypatch, rows: list) -> None:
    """Rows in place of those of the hub."""
    found = [Raw(f"some/set:train:{number}", row) for number, row in enumerate(rows, 1)]
    monkeypatch.setattr(sources, "hub_rows", lambda *_, **__: iter(found))


def test_documents_of_the_hub(monkeypatch):
    hub(monkeypatch, [{"text": "abcd"}, {"text": "efgh"}, {"text": 3}])
    assert Text(hub="some/set", length=4, most=2, cut="crops").pieces() == ["abcd", "efgh"]
    with pytest.raises(DataError, match=r"some/set:train:3: no text in column 'text'"):
        Text(hub="some/set", length=4, most=3).pieces()


def test_pieces_of_the_hub_are_kept_on_disk(monkeypatch, tmp_path):
    """Another process cuts nothing. Twins: other settings cut anew, other shares of the same pieces do not; and what lies there
    damaged is made again."""
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path))
    rows = [{"text": f"{number:04d}\N{SNOWMAN}\ud800" * 3} for number in range(30)]
    fields = {"hub": "some/set", "length": 7, "cut": "crops", "shares": (0.6, 0.2, 0.2)}

    def read(again: bool, **more) -> list[str]:
        _pieces.cache_clear()  # as in another process
        hub(monkeypatch, rows if again else [])
        return Text(**fields | more).examples("train")

    first = read(True)
    assert len(first) == 18 and all(len(example.text) == 7 for example in first)
    assert read(False) == first
    assert len(read(False, shares=(0.8, 0.1, 0.1))) == 24
    [file] = tmp_path.iterdir()
    with pytest.raises(DataError, match="no piece of 6"):
        read(False, length=6)
    assert read(True, seed=1) != first
    for other in set(tmp_path.iterdir()) - {file}:
        other.unlink()
    file.write_bytes(file.read_bytes()[:-30])
    with pytest.raises(DataError, match="no piece of 7"):
        read(False)
    assert read(True) == first == read(False)
    monkeypatch.setenv("TACIT_CACHE", str(file))  # where nothing can be written
    assert read(True) == first
    _pieces.cache_clear()


def test_a_column_that_is_not_there(monkeypatch):
    hub(monkeypatch, [{"content": "abcd", "url": "u"}])
    with pytest.raises(DataError, match=r"no text in column 'text'; set task\.column to one of content, url"):
        Text(hub="some/set").pieces()
    hub(monkeypatch, [{"content": "abcd", "url": "u"}])
    assert Text(hub="some/set", column="url", length=1).pieces() == ["u"]


BAD = {
    "no file": (lambda place: {"path": str(place / "none.txt")}, "cannot be read: No such file"),
    "no text": (lambda place: {"path": str(place / "bytes.txt")}, "not UTF-8"),
    "an empty folder": (lambda place: {"path": str(place / "empty")}, "no .txt, .text, .md file in this folder"),
    "too short": (lambda place: {"path": str(place / "short.txt")}, "has no piece of 128 characters"),
    "an empty split": (lambda place: {"path": str(place / "short.txt"), "length": 5}, "none of them falls to valid"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_source_is_named(case, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bytes.txt").write_bytes(b"ab\xff")
    (tmp_path / "short.txt").write_text("hello")
    fields, sentence = BAD[case]
    with pytest.raises(DataError, match=sentence):
        Text(**fields(tmp_path)).examples("valid")


@pytest.mark.parametrize("fields", [{}, {"path": "a", "hub": "b"}, {"path": "a", "shares": (0.8, 0.1, 0.2)}])
def test_settings_that_do_not_go_together(fields):
    with pytest.raises((ValueError, TacitError), match=r"exactly one of them|add up to 1\.1"):
        Text(**fields)
