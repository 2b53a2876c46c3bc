"""The rounds, at a size of seconds: nothing is done twice, and it does not matter by whom."""

import json
import os
import re
import shutil
from pathlib import Path
from textwrap import dedent

import pytest

from tacit.bolt.corpus import prepare
from tacit.bolt.documents import infer_documents, rows_of
from tacit.bolt.pipeline import Pipeline
from tacit.bolt.plots import plot
from tacit.bolt.preparation import Preparation
from tacit.bolt.rounds import Inference
from tacit.bolt.statistics import Statistics
from tacit.bolt.workers import merge, work
from tacit.errors import TacitError
from tacit.example import Example, Template, encode, from_row
from tacit.lock import alone
from tacit.methods.bolt import chunks
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.thinker import Thinker
from tacit.thinking import Thinking

SMALL = {
    "model.tiny.layers": 1,
    "model.tiny.hidden": 16,
    "model.tiny.heads": 2,
    "task.train_rows": 24,
    "task.warm_rows": 24,
    "task.valid_rows": 12,
    "train.steps": 6,
    "train.warmup": 1,
    "train.batch": 16,
    "bolt.rounds": 2,
    "bolt.warm.train.steps": 20,
    "bolt.warm.train.batch": 16,
    "bolt.warm.train.warmup": 1,
    "bolt.infer.samples": 2,
    "bolt.shard": 5,
    "bolt.judged": [1, 2],
}


def pipeline(folder, workers: int = 1, **more) -> Pipeline:
    return Pipeline("bolt/tiny", SMALL | more, folder, workers, say=lambda _: None)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bolt") / "run"
    pipeline(folder).run()
    return folder


def thoughts(folder, number=1):
    return (folder / f"round-{number}" / "thoughts.jsonl").read_text()


def test_what_is_written(finished):
    lines = [json.loads(line) for line in (finished / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [0, 1, 2]
    assert {"eval/accuracy/0", "eval/accuracy/1", "eval/accuracy/2", "eval/bound_2", "infer/effective"} <= lines[
        2
    ].keys()
    assert lines[0]["seconds"] < lines[1]["seconds"] < lines[2]["seconds"]
    rows = [json.loads(line) for line in thoughts(finished).splitlines()]
    assert len({row["id"] for row in rows}) == len(rows) == 24 and all(row["candidates"] == 2 for row in rows)
    told = json.loads((finished / "round-1" / "statistics.json").read_text())
    assert told["chunks"] == 24 and told["valid"] == sum(row["valid"] for row in rows) / 48


def test_walks_are_learned_with_the_tokens_that_were_weighed(finished):
    rows = {row["id"]: row for row in map(json.loads, thoughts(finished).splitlines())}
    task = pipeline(finished, **{"task.inferred": str(finished / "round-1/thoughts.jsonl")}).recipe.resolved_task()
    tokenizer = Thinker.from_pretrained(str(finished / "warm")).tokenizer
    found = {one.id: chunks(one)[0][1] for one in encode(task.examples("train"), tokenizer, task.template)}
    assert {name: list(thought) for name, thought in found.items()} == {
        name: row["thought_ids"] or [] for name, row in rows.items()
    }
    assert sum(map(bool, found.values())) > 5


def test_what_is_there_is_not_made_again(finished, tmp_path):
    """Stopped after the first round's inference, with a shard missing: only what is missing is made."""
    folder = tmp_path / "again"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "round-2")
    (folder / "round-1" / "thoughts.jsonl").unlink()
    (folder / "round-1" / "statistics.json").unlink()
    kept = folder / "round-1" / "infer" / "shard-00001.jsonl"
    (folder / "round-1" / "infer" / "shard-00002.jsonl").unlink()
    before = kept.stat().st_mtime_ns, (folder / "round-1" / "learn" / "metrics.jsonl").stat().st_mtime_ns
    pipeline(folder).run()
    assert before == (kept.stat().st_mtime_ns, (folder / "round-1" / "learn" / "metrics.jsonl").stat().st_mtime_ns)
    assert [thoughts(folder, n) for n in (1, 2)] == [thoughts(finished, n) for n in (1, 2)]


def test_thoughts_that_were_put_there_are_learned_from(finished, tmp_path):
    said = []
    (tmp_path / "round-1").mkdir()
    shutil.copytree(finished / "warm", tmp_path / "warm")
    given = (tmp_path / "published.jsonl").resolve()
    given.write_text("".join(line + "\n" for line in thoughts(finished).splitlines()[:10]))
    (tmp_path / "round-1/thoughts.jsonl").symlink_to(given)
    Pipeline("bolt/tiny", SMALL, tmp_path, say=said.append).run()
    assert thoughts(tmp_path) == given.read_text() and (tmp_path / "round-1/thoughts.jsonl").is_symlink()
    assert not (tmp_path / "round-1/infer").exists() and (tmp_path / "round-2/statistics.json").exists()
    assert any("was put there" in line and "round-1" in line for line in said)
    first, second = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()][1:]
    assert "infer/flops" not in first and second["infer/chunks"] == 24


def test_workers_and_shards_change_nothing(finished, tmp_path):
    """Twin: another seed does."""
    for name, more in (("shards", {"bolt.shard": 24}), ("workers", {}), ("seed", {"bolt.infer.seed": 7})):
        folder = tmp_path / name
        shutil.copytree(finished / "warm", folder / "warm")
        one = pipeline(folder, workers=2 if name == "workers" else 1, **more)
        one.infer(1)
        found, wanted = ([json.loads(line) for line in thoughts(place).splitlines()] for place in (folder, finished))
        assert ([row["steps"] for row in found] == [row["steps"] for row in wanted]) == (name != "seed")
        if name != "seed":  # rows share a batch with others, so the last digits may differ
            assert [row.get("bound") for row in found] == pytest.approx([row.get("bound") for row in wanted], abs=1e-4)
        assert work(folder / "round-1") == 0


def test_models_that_were_evaluated_once_are_drawn_round_by_round(finished, tmp_path):
    """The warm start is a point of that curve, and every round is."""
    shutil.copytree(finished, tmp_path / "run")
    [file] = plot(tmp_path / "run")
    before = file.read_bytes()
    assert plot(tmp_path / "run")[0].read_bytes() == before
    for name in ("warm", "round-1/learn", "round-2/learn"):
        metrics = tmp_path / "run" / name / "metrics.jsonl"
        kept = metrics.read_text()
        lines = [json.loads(line) for line in kept.splitlines()]
        metrics.write_text(
            "".join(
                json.dumps(line | ({"eval/accuracy": 0.9} if "eval/accuracy" in line else {})) + "\n" for line in lines
            )
        )
        assert plot(tmp_path / "run")[0].read_bytes() != before, name
        metrics.write_text(kept)


def test_another_recipe_is_refused(finished):
    with pytest.raises(TacitError, match=r"holds a run with other settings: bolt.infer.samples is 2 there and 3 here"):
        pipeline(finished, **{"bolt.infer.samples": 3}).run()
    with pytest.raises(TacitError, match="no section bolt"):
        Pipeline("mult/2x2-filler", {}, finished)
    with pytest.raises(ValueError, match=r"learn must put \{thoughts\}"):
        pipeline(finished, **{"bolt.learn": {"task.inferred": "x"}})


def test_two_in_one_folder_are_refused(finished, tmp_path):
    """Twin: when the other one has ended, the same goes on."""
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    one, place = pipeline(folder), folder / "round-1"
    for held, action in ((folder, one.run), (place, lambda: merge(place, one.say))):
        before = thoughts(folder), sorted(folder.rglob("*"))
        with alone(held), pytest.raises(TacitError, match=rf"{held} is being written by another run.*{os.getpid()}"):
            action()
        assert (thoughts(folder), sorted(folder.rglob("*"))) == before
        action()
        assert thoughts(folder) == before[0]
    with pytest.raises(TacitError, match="holds no plan"):
        merge(folder / "round-9")
    assert not (folder / "round-9").exists()


TEXT = "Dogs bark. Cats purr. Birds sing.\n\nFish swim. Bees hum."


def reader(positions=256):
    tiny = Scratch(layers=1, hidden=16, heads=2, positions=positions)
    from tacit.methods.bolt import Bolt

    return make_thinker(Model(tiny=tiny), Thinking(), tokens=Bolt.tokens, texts=[TEXT])


def inferred(thinker, **settings):
    from tacit.bolt.chunks import Chunking

    documents = [Example("a", text=TEXT), Example("b", text=TEXT[:21])]
    settings = Inference(samples=2, max_tokens=24, **settings)
    return infer_documents(thinker, documents, Template(), settings, Chunking(mean=2, even=True))


def test_documents_are_cut_and_come_back_whole():
    thinker = reader()
    found = inferred(thinker)
    rows = rows_of(found, thinker)
    assert ["".join(chunk["text"] for chunk in row["chunks"]) for row in rows] == [TEXT, TEXT[:21]]
    assert [len(row["chunks"]) for row in rows] == [3, 1]
    assert from_row(rows[0]).text == TEXT
    told = Statistics(rows).numbers()
    assert told["chunks"] == 4 and told["too_long"] == 0


def test_what_stands_before_a_chunk():
    """thoughts: earlier chunks with marks; raw: their text alone. A window cuts, and the model's length too: never the chunk."""
    from tacit.bolt.documents import _asked
    from tacit.methods.bolt import Marks

    thinker = reader()
    marks = set(Marks.of(thinker.vocab))
    (found, _) = inferred(thinker)
    chunk_ids = [chunk for chunk, _ in found.pairs]
    for context, window, before in (("thoughts", None, 2), ("raw", None, 2), ("raw", 1, 1), ("raw", 0, 0)):
        one = _asked(thinker, found, 2, Inference(context=context, window=window, max_tokens=24))
        plain = [t for t in one.context.ids if t not in marks]
        assert bool(marks & set(one.context.ids)) == (context == "thoughts")
        if context == "raw":
            assert plain == [t for chunk in chunk_ids[2 - before : 2] for t in chunk]
        assert list(one.chunk) == list(chunk_ids[2]) and one.last
    first = _asked(thinker, found, 0, Inference(context="raw", max_tokens=24))
    assert not first.marked and _asked(thinker, found, 0, Inference(max_tokens=24)).marked
    short = reader(positions=64)
    tight = _asked(short, found, 2, Inference(max_tokens=24))
    assert 0 < len(tight.context) < len(_asked(thinker, found, 2, Inference(max_tokens=24)).context)
    assert list(tight.chunk) == list(chunk_ids[2])


def test_chunks_that_do_not_fit_are_counted():
    thinker = reader(positions=40)
    rows = rows_of(inferred(thinker), thinker)
    told = Statistics(rows).numbers()
    assert told["too_long"] > 0 and "".join(chunk["text"] for chunk in rows[0]["chunks"]) == TEXT
    assert all(chunk["thought"] == "" for row in rows for chunk in row["chunks"] if not chunk["candidates"])


def test_documents_that_the_task_does_not_read_are_refused_before_anybody_is_paid(tmp_path):
    corpus = {"source": str(tmp_path / "none.jsonl"), "folder": str(tmp_path / "data")}
    with pytest.raises(TacitError, match=r"task walks reads none of them\. Set task\.name: rows"):
        pipeline(tmp_path / "run", **{"bolt.corpus": corpus, "bolt.synthesis.backend": "dummy"}).run()
    with pytest.raises(TacitError, match=r"none\.jsonl: cannot be read.*; set bolt\.corpus\.source"):
        prepare(Preparation(**corpus))
    assert not (tmp_path / "data").exists()


def test_inference_without_a_model_says_what_makes_it(tmp_path):
    with pytest.raises(
        TacitError, match=r"run/warm, the model .* in round 1, is not there; make it with tacit bolt warm"
    ):
        pipeline(tmp_path / "run").plan(1)
    with pytest.raises(TacitError, match="make it with tacit bolt learn … --round 1"):
        pipeline(tmp_path / "run").plan(2)


def test_the_recipe_of_the_page_runs(tmp_path, monkeypatch):
    """With few steps, and a stand-in for the server."""
    page = (Path(__file__).parents[2] / "docs/bolt.md").read_text()
    [recipe] = re.findall(r"^    (about: Thoughts behind my own .*?)\n\n", page, re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(dedent(f"    {recipe}\n"))
    texts = [f"Tom has {n} apples. He eats one. Now he has {n - 1} of them." for n in range(30)]
    Path("mine.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    fewer = {"train.steps": 2, "bolt.synthesis.backend": "dummy", "bolt.infer.samples": 2, "bolt.infer.max_tokens": 4}
    Pipeline("mine.yaml", fewer, "runs/mine", say=lambda _: None).run()
    counts = [len(Path(f"data/mine/{name}.jsonl").read_text().splitlines()) for name in ("warm", "corpus", "valid")]
    assert counts == [7, 20, 3]
    assert len((tmp_path / "runs/mine/round-1/thoughts.jsonl").read_text().splitlines()) == 20
