"""Documents by their numbers and their statistics, with little of them in memory."""

import json
import tracemalloc

import pytest

from tacit.bolt.numbered import Listed, Streamed, numbered
from tacit.bolt.shards import Shards
from tacit.bolt.workers import SHARDS, merge, plan
from tacit.errors import DataError, TacitError
from tacit.recipe import load
from tacit.tasks.base import home

COUNT, LONG = 4_000, 2_000


@pytest.fixture
def corpus(tmp_path):
    for name, count in (("corpus", COUNT), ("valid", 2)):
        rows = ({"text": f"Text {n} " + "x" * LONG, "id": f"d{n}"} for n in range(count))
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "corpus.jsonl"


def recipe(corpus, **more):
    fields = {"task.train": str(corpus)} | {
        f"task.{split}": str(corpus.with_name("valid.jsonl")) for split in ("valid", "test")
    }
    return load("bolt/finemath", {**fields, **more}).recipe


def peak(action) -> int:
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_parts_are_those_of_the_whole_in_any_order(corpus):
    found = numbered(recipe(corpus, **{"train.limit": 50}))
    whole = list(recipe(corpus).resolved_task().examples("train"))
    assert isinstance(found, Streamed) and len(found) == 50
    for start, stop in ((0, 5), (5, 20), (31, 40), (10, 12), (40, 50), (0, 50)):
        assert found.part(start, stop) == whole[start:stop]
    with pytest.raises(DataError, match="documents 45 to 55 are planned, and there are fewer now"):
        found.part(45, 55)


def test_a_corpus_in_a_file_is_not_held(corpus):
    """Twin: as a list it is."""
    size = corpus.stat().st_size
    assert peak(lambda: numbered(recipe(corpus)).part(COUNT - 100, COUNT)) < size / 5
    assert peak(lambda: Listed(list(recipe(corpus).resolved_task().examples("train"))).part(0, 1)) > size / 2


def test_generated_documents_are_made_at_once():
    found = numbered(load("bolt/tiny", {"task.train_rows": 7}).recipe)
    assert isinstance(found, Listed) and len(found) == 7 and [one.id for one in found.part(2, 3)] == ["train-252"]


def test_merging_holds_one_shard(tmp_path):
    """And tells of all of them."""
    shards = Shards(tmp_path / SHARDS)
    shards.plan(1_000, 50, {})
    row = {"text": "x" * 5_000, "candidates": 2, "valid": 1, "flops": 3.0}
    shards.work(lambda shard: [row] * (shard.stop - shard.start))
    told = []
    assert peak(lambda: merge(tmp_path, told.append)) < 1_000 * 5_000 / 4
    assert json.loads((tmp_path / "statistics.json").read_text()) == {
        "chunks": 1_000, "too_long": 0, "without_thought": 1_000, "without_words": 0, "flops": 3_000, "valid": 0.5, "seconds": 0,
    }  # fmt: skip
    assert len(told) == 1


def test_a_corpus_without_documents_is_refused(corpus, tmp_path):
    """All of them are taken for a split that has no file."""
    held = [text for text in map(str, range(20)) if home(text, {"test": 0.4}) == "test"]
    corpus.write_text("".join(json.dumps({"text": text}) + "\n" for text in held))
    with pytest.raises(TacitError, match="no documents to infer thoughts for"):
        plan(tmp_path, recipe(corpus, **{"task.held_out": 0.4, "task.test": ""}), 10, {})
