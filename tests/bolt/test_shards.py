"""Shards: each exactly once in what is merged, whoever dies and whatever is damaged."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Barrier, Thread

import pytest

from tacit.bolt.lines import Lines
from tacit.bolt.shards import Shard, Shards
from tacit.errors import DataError, TacitError
from tacit.lock import alone
from tacit.study.runs import read_lines

WORKER = """
import sys, time
from tacit.bolt.shards import Shards

def make(shard):
    time.sleep(0.05)
    return [{"document": n, "square": n * n} for n in range(shard.start, shard.stop)]

Shards(sys.argv[1], patience=1.0).work(make)
"""


def rows(shard: Shard):
    return [{"document": n, "square": n * n} for n in range(shard.start, shard.stop)]


def planned(folder: Path, documents: int = 47, size: int = 5) -> Shards:
    shards = Shards(folder, patience=1.0)
    shards.plan(documents, size, {"seed": 1})
    return shards


def whole(documents: int = 47):
    return [{"document": n, "square": n * n} for n in range(documents)]


def start(folder: Path) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder)], env={**os.environ, "PYTHONPATH": os.getcwd()})


def test_one_process_makes_everything_once(tmp_path):
    shards = planned(tmp_path)
    assert shards.work(rows) == 10 and shards.work(rows) == 0
    assert list(shards.rows()) == whole()
    assert shards.merge(tmp_path / "all.jsonl") == 47
    assert [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()] == whole()
    assert not list(tmp_path.glob("*.claim")) and not list(tmp_path.glob("*.part"))


def test_workers_that_are_killed_are_missed_by_nobody(tmp_path):
    """A third of them, at random moments, with a signal that cannot be caught; and a shard is damaged meanwhile."""
    shards = planned(tmp_path, 120, 4)
    chance = random.Random(0)
    workers = [start(tmp_path) for _ in range(3)]
    deadline = time.time() + 60
    while not any(tmp_path.glob("shard-*.jsonl")) and time.time() < deadline:
        time.sleep(0.02)
    time.sleep(chance.random() * 0.2)
    victim = workers.pop(chance.randrange(3))
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    damaged = next(iter(sorted(tmp_path.glob("shard-*.jsonl"))))
    damaged.write_bytes(damaged.read_bytes()[:-7])
    for worker in workers:
        assert worker.wait(timeout=60) == 0
    shards.work(rows)  # what was damaged after it had been looked at
    assert list(shards.rows()) == whole(120)


def test_a_claim_is_kept_young_while_its_holder_works(tmp_path):
    """Twin: a claim that nobody keeps is taken over when it is old."""
    shards = planned(tmp_path, 5, 5)
    shards.patience = 0.4
    (shard,) = shards.shards()
    assert shards._claim(shard) and not shards._claim(shard)
    with shards._kept(shard):
        time.sleep(0.8)
        assert not shards._claim(shard)
    assert shards._claim(shard)
    time.sleep(0.6)
    assert shards._claim(shard)


@pytest.mark.parametrize("damage", ["cut", "changed", "doubled", "empty", "binary"])
def test_a_damaged_shard_is_refused_and_made_again(tmp_path, damage):
    shards = planned(tmp_path)
    shards.work(rows)
    file = tmp_path / "shard-00003.jsonl"
    text = file.read_bytes()
    first = text.split(b"\n", 1)[0]
    file.write_bytes(
        {
            "cut": text[: len(text) // 2],
            "changed": text.replace(b'"square": 225', b'"square": 226'),
            "doubled": first + b"\n" + text,
            "empty": b"",
            "binary": b"\xff\x00" + text,
        }[damage]
    )
    with pytest.raises(DataError, match=r"shard-00003.*missing or damaged"):
        list(shards.rows())
    assert shards.work(rows) == 1 and list(shards.rows()) == whole()
    assert len(list(tmp_path.glob("shard-00003.damaged-*"))) == 1


def test_workers_that_begin_with_a_damaged_shard_all_live(tmp_path):
    """It is large, so that all of them find the damage before one has made it again."""
    shards = planned(tmp_path, 4, 2)

    def make(shard: Shard):
        return [{"document": n, "long": "x" * 2_000_000} for n in range(shard.start, shard.stop)]

    shards.work(make)
    file, start, found = tmp_path / "shard-00000.jsonl", Barrier(4), []
    file.write_bytes(file.read_bytes()[:-5])

    def one():
        start.wait()
        found.append(Shards(tmp_path, patience=1.0).work(make))

    workers = [Thread(target=one) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == [0, 0, 0, 1] and len(list(tmp_path.glob("*.damaged-*"))) == 1
    assert [row["document"] for row in shards.rows()] == [0, 1, 2, 3]


def test_a_finished_shard_is_read_once_however_many_there_are(tmp_path, monkeypatch):
    shards, read = planned(tmp_path, 60, 2), []
    shards.work(rows)
    for number in range(0, 30, 3):
        (tmp_path / f"shard-{number:05d}.jsonl").unlink()
    content = Path.read_bytes

    def counted(file: Path) -> bytes:
        found = content(file)
        read.append(file.name)
        return found

    monkeypatch.setattr(Path, "read_bytes", counted)
    assert shards.work(rows) == 10
    assert len(read) == len(set(read)) == 20


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_what_ends_a_line_elsewhere_ends_no_row(tmp_path, end):
    """Twin: a line feed is written as an escape, and as itself it does end a row."""
    shards, made = planned(tmp_path, 3, 2), []

    def make(shard: Shard):
        made.append(shard.number)
        assert len(made) <= 2, "made again and again"
        return [{"text": f"one{end}two\n{n}"} for n in range(shard.start, shard.stop)]

    wanted = [{"text": f"one{end}two\n{n}"} for n in range(3)]
    assert shards.work(make) == 2 and list(shards.rows()) == wanted
    assert shards.merge(tmp_path / "all.jsonl") == 3
    assert Lines(tmp_path / "all.jsonl").rows(1, 3) == wanted[1:] and read_lines(tmp_path / "all.jsonl") == wanted
    (tmp_path / "all.jsonl").write_text('{"text": "one\ntwo"}\n')
    with pytest.raises(json.JSONDecodeError):
        Lines(tmp_path / "all.jsonl").rows(0, 1)


def test_merging_while_another_merges_leaves_both_whole(tmp_path, monkeypatch):
    shards, target = planned(tmp_path), tmp_path / "all.jsonl"
    shards.work(rows)
    found: list[int] = []

    def interrupted():
        for row in Shards(tmp_path).rows():
            if row["document"] == 20:
                found.append(Shards(tmp_path).merge(target))
                assert read_lines(target) == whole()
            yield row

    monkeypatch.setattr(shards, "rows", interrupted)
    assert (shards.merge(target), found) == (47, [47])
    assert read_lines(target) == whole() and not list(tmp_path.glob("*.part"))


def test_two_plans_do_not_share_a_folder(tmp_path):
    with alone(tmp_path), pytest.raises(TacitError, match="is being written by another run"):
        planned(tmp_path)
    planned(tmp_path)
    planned(tmp_path)
    with pytest.raises(TacitError, match=r"planned otherwise \(seed differ\)"):
        Shards(tmp_path).plan(47, 5, {"seed": 2})
    one, two = ({"settings": {"model": name, "url": "u"}} for name in "ab")
    Shards(tmp_path / "deep").plan(47, 5, one)
    with pytest.raises(TacitError, match=r"planned otherwise \(settings\.model differ\)"):
        Shards(tmp_path / "deep").plan(47, 5, two)
    with pytest.raises(TacitError, match="holds no plan"):
        Shards(tmp_path / "elsewhere").shards()
