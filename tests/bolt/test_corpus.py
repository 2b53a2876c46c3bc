"""A corpus from any source: nothing lost, nothing twice, splits that share no document, and a killed run goes on."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tacit.bolt import corpus
from tacit.bolt.corpus import prepare
from tacit.bolt.preparation import Preparation, token_budget
from tacit.errors import DataError, TacitError

ROOT = Path(__file__).parents[2]


def documents(count):
    return [{"text": f"Document {n}. It says {n * n}.", "url": f"u{n}"} for n in range(count)]


def jsonl(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(file)


def lines(folder, name):
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text().splitlines()]


def settings_of(tmp_path, source, **more):
    return Preparation(**{"source": source, "folder": str(tmp_path / "out"), "valid_every": 10, "part": 7, **more})


def prepared(tmp_path, source, **more):
    return prepare(settings_of(tmp_path, source, **more), say=lambda _: None)


def test_every_row_is_a_document_or_is_told_why_not(tmp_path):
    rows = [
        *documents(40),
        documents(40)[3],
        {"text": "  \n"},
        {"text": None},
        {"text": "\x00\x01 not a text"},
        {"text": "half \ud800 a pair"},
        {"text": "tells <|END_OF_LATENT|> itself"},
    ]
    folder = prepared(tmp_path, jsonl(tmp_path / "a.jsonl", rows), keep=["url"])
    told = json.loads((folder / "dataset.json").read_text())
    assert told["read"] == len(rows)
    assert told["skipped"] == {"binary": 2, "delimiter": 1, "duplicate": 1, "empty": 2}
    assert Counter(line["reason"] for line in lines(folder, "skipped")) == told["skipped"]
    assert lines(folder, "skipped")[0] == {"place": f"{tmp_path}/a.jsonl:41", "reason": "duplicate"}
    kept = lines(folder, "train") + lines(folder, "valid")
    assert sorted(row["text"] for row in kept) == sorted(row["text"] for row in documents(40))
    assert {row["url"] for row in kept} == {f"u{n}" for n in range(40)}
    assert not (folder / ".preparing").exists()


@pytest.mark.parametrize("by", ["index", "hash"])
def test_splits_share_no_document(tmp_path, by):
    folder = prepared(tmp_path, jsonl(tmp_path / "a.jsonl", documents(400)), by=by)
    ids = {name: [row["id"] for row in lines(folder, name)] for name in corpus.SPLITS}
    assert len(ids["train"]) + len(ids["valid"]) == 400
    assert not {*ids["valid"]} & {*ids["train"]} and not {*ids["warm"]} & {*ids["corpus"]}
    assert {*ids["warm"], *ids["corpus"]} < {*ids["train"]}
    assert 5 < len(ids["warm"]) < 40 and 40 < len(ids["corpus"]) < 120


def test_slices_that_overlap_are_refused():
    with pytest.raises(ValueError, match=r"\[3\] are in warm and in corpus"):
        Preparation(source="a", folder="b", warm=[3], corpus=[3, 4])


def test_places_are_those_of_the_published_splits(tmp_path):
    folder = prepared(tmp_path, jsonl(tmp_path / "a.jsonl", documents(100)), shuffle=None)
    texts = [row["text"] for row in documents(100)]
    training = [text for n, text in enumerate(texts) if n % 10]
    assert [row["text"] for row in lines(folder, "valid")] == texts[::10]
    assert [row["text"] for row in lines(folder, "warm")] == training[::20]
    expected = [text for n, text in enumerate(training) if 13 <= n % 20 < 17]
    assert [row["text"] for row in lines(folder, "corpus")] == expected


def test_an_order_depends_on_its_seed_alone(tmp_path):
    rows = documents(60)
    one = prepared(tmp_path, jsonl(tmp_path / "a.jsonl", rows), folder=str(tmp_path / "1"))
    two = prepared(tmp_path, jsonl(tmp_path / "b.jsonl", rows[::-1]), folder=str(tmp_path / "2"), part=50)
    other = prepared(tmp_path, jsonl(tmp_path / "c.jsonl", rows), folder=str(tmp_path / "3"), shuffle=7)
    texts = [[row["text"] for row in lines(folder, "train")] for folder in (one, two, other)]
    assert texts[0] == texts[1] != texts[2]
    assert texts[0] != [row["text"] for row in rows if row["text"] in texts[0]]


def test_by_hash_a_corpus_that_grows_keeps_its_validation_documents(tmp_path):
    few, more = (jsonl(tmp_path / f"{n}.jsonl", documents(n)) for n in (100, 200))
    for by, kept in (("hash", True), ("index", False)):
        small = prepared(tmp_path, few, folder=str(tmp_path / f"{by}-few"), by=by)
        large = prepared(tmp_path, more, folder=str(tmp_path / f"{by}-more"), by=by)
        valid = [{row["text"] for row in lines(folder, "valid")} for folder in (small, large)]
        assert (valid[0] <= valid[1]) is kept


def test_an_id_that_is_taken_is_replaced_by_the_hash(tmp_path):
    rows = [{"id": "same", "text": f"text {n}"} for n in range(3)]
    folder = prepared(tmp_path, jsonl(tmp_path / "a.jsonl", rows))
    ids = [row["id"] for name in ("train", "valid") for row in lines(folder, name)]
    assert "same" in ids and len({*ids}) == 3


def test_files_of_every_kind(tmp_path):
    import pyarrow
    import pyarrow.parquet

    source = tmp_path / "source"
    source.mkdir()
    jsonl(source / "a.jsonl", [{"content": "from jsonl"}])
    pyarrow.parquet.write_table(pyarrow.table({"text": ["from parquet", ""]}), source / "b.parquet")
    (source / "c.txt").write_text("a text\n\nof two paragraphs")
    (source / "d.txt").write_bytes(b"\xff\xfe\x00 not a text")
    (source / "e.txt").write_bytes(b"")
    folder = prepared(tmp_path, str(source))
    kept = {row["text"] for name in ("train", "valid") for row in lines(folder, name)}
    assert kept == {"from jsonl", "from parquet", "a text\n\nof two paragraphs"}
    assert json.loads((folder / "dataset.json").read_text())["skipped"] == {"binary": 1, "empty": 2}


def test_tokens_are_counted_and_end_a_split(tmp_path):
    from tests.thinkers import thinker_of

    thinker_of().tokenizer.save_pretrained(tmp_path / "words")  # one token a character of "3+4=7 ### hello <<"
    rows = [{"text": "hello " * (n + 1)} for n in range(60)]
    source, words = jsonl(tmp_path / "a.jsonl", rows), str(tmp_path / "words")
    folder = prepared(tmp_path, source, tokenizer=words, corpus_tokens=300)
    told = json.loads((folder / "dataset.json").read_text())["splits"]
    sizes = [row["tokens"] for row in lines(folder, "corpus")]
    assert all(row["tokens"] == len(row["text"]) for row in lines(folder, "train"))
    assert told["corpus"]["tokens"] == sum(sizes) >= 300 > sum(sizes[:-1])
    whole = prepared(tmp_path, source, tokenizer=words, folder=str(tmp_path / "whole"))
    assert len(lines(whole, "corpus")) > len(sizes)


def test_long_documents_are_cut_into_pieces_of_the_same_split(tmp_path):
    from tests.thinkers import thinker_of

    thinker_of().tokenizer.save_pretrained(tmp_path / "words")
    rows = [{"text": "\n\n".join(f"{'hello ' * (n % 4 + 1)}{'7' * n}" for _ in range(n))} for n in range(1, 30)]
    source = jsonl(tmp_path / "a.jsonl", rows)
    folder = prepared(tmp_path, source, tokenizer=str(tmp_path / "words"), piece=60)
    whole = prepared(tmp_path, source, tokenizer=str(tmp_path / "words"), folder=str(tmp_path / "whole"))
    for name in corpus.SPLITS:
        joined: dict[str, str] = {}
        for row in lines(folder, name):
            joined[row["id"].partition("/")[0]] = joined.get(row["id"].partition("/")[0], "") + row["text"]
            assert row["tokens"] == len(row["text"]) <= 60
        assert joined == {row["id"]: row["text"] for row in lines(whole, name)}


def with_thoughts(text, *chunks):
    """As published: the text of a chunk is its suffix, and a thought is a latent."""
    return {"text": text, "chunks": [{"suffix": chunk, "latent": f"why {chunk}", "elbo_4": -1.0} for chunk in chunks]}


def test_documents_keep_the_thoughts_that_they_come_with(tmp_path):
    """Cut between chunks, each with its thought. What does not add up is left out and counted."""
    from tests.thinkers import thinker_of

    thinker_of().tokenizer.save_pretrained(tmp_path / "words")
    whole = [with_thoughts("hello 7" * n, *["hello 7"] * n) for n in range(1, 9)]
    wrong = [with_thoughts("hello 77", "hello 7"), with_thoughts("7", "7")]
    wrong[1]["chunks"][0]["latent"] = "a <|END_OF_LATENT|>"
    source = jsonl(tmp_path / "a.jsonl", [*wrong, *whole])
    folder = prepared(tmp_path, source, tokenizer=str(tmp_path / "words"), piece=20, keep=["chunks"], shuffle=None)
    assert json.loads((folder / "dataset.json").read_text())["skipped"] == {"chunks": 1, "delimiter": 1}
    found = lines(folder, "train") + lines(folder, "valid")
    assert sum(len(row["chunks"]) for row in found) == sum(range(1, 9)) and max(len(r["chunks"]) for r in found) == 2
    assert all(row["text"] == "".join(chunk["suffix"] for chunk in row["chunks"]) for row in found)
    assert all(chunk["latent"] == f"why {chunk['suffix']}" for row in found for chunk in row["chunks"])


def test_published_names_are_rounded():
    assert [token_budget(name) for name in ("2b", "500m", 7)] == [1_920_000_000, 480_000_000, 7]
    with pytest.raises(ValueError, match=r"2 billion.*no number of tokens"):
        token_budget("2 billion")


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(DataError, match=r"a.jsonl:1: no column 'text' or 'content'; the row has body"):
        prepared(tmp_path, jsonl(tmp_path / "a.jsonl", [{"body": "x"}]))
    with pytest.raises(DataError, match=r"nothing\.jsonl: cannot be read"):
        prepared(tmp_path, str(tmp_path / "nothing.jsonl"))
    with pytest.raises(DataError, match="no document is left of 1 rows"):
        prepared(tmp_path, jsonl(tmp_path / "b.jsonl", [{"text": ""}]), folder=str(tmp_path / "b"))


def test_another_preparation_in_the_same_folder_is_refused(tmp_path):
    source = jsonl(tmp_path / "a.jsonl", documents(20))
    folder = prepared(tmp_path, source)
    before = (folder / "train.jsonl").stat().st_mtime_ns
    assert prepared(tmp_path, source) == folder  # done already
    assert (folder / "train.jsonl").stat().st_mtime_ns == before
    with pytest.raises(TacitError, match="prepared from other sources or settings"):
        prepared(tmp_path, source, slices=30)


PREPARE = """
import sys, time
from tacit.bolt import corpus, ledger
from tacit.bolt.preparation import Preparation
commit = ledger.Ledger.commit
def slow(self, read):
    print(read, flush=True)
    time.sleep(0.05)
    commit(self, read)
ledger.Ledger.commit = slow
corpus.prepare(Preparation(**eval(sys.argv[1])))
"""


def test_a_killed_preparation_goes_on_and_two_at_once_are_refused(tmp_path):
    source = jsonl(tmp_path / "a.jsonl", documents(300))
    settings = settings_of(tmp_path, source)
    command = [sys.executable, "-c", PREPARE, repr(settings.model_dump())]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for _ in range(4):
        process.stdout.readline()
    with pytest.raises(TacitError, match="being prepared by another process"):
        prepare(settings)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    work = tmp_path / "out/.preparing/documents.jsonl"
    with work.open("ab") as torn:  # half a block, as a process leaves it that dies while it writes
        torn.write(b'{"id": "torn", "te')
    with pytest.raises(TacitError, match="other settings"):
        prepare(settings.model_copy(update={"keep": ["url"]}))
    folder = prepare(settings, say=lambda _: None)
    whole = prepared(tmp_path, source, folder=str(tmp_path / "whole"))
    for name in (*corpus.SPLITS, "skipped"):
        assert (folder / f"{name}.jsonl").read_bytes() == (whole / f"{name}.jsonl").read_bytes()


def test_without_a_tokenizer_no_tokens_can_be_counted():
    with pytest.raises(ValueError, match="set tokenizer"):
        Preparation(source="a", folder="b", corpus_tokens="2b")
