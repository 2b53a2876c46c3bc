"""Grids from override words; runs of a grid, those that fail and those that are there already."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.errors import TacitError
from tacit.launch import sweep as sweeping
from tacit.launch.grid import grid
from tacit.launch.local import Job, run_local
from tacit.launch.sweep import sweep
from tacit.recipe import load
from tests.study.made_run import made_run

RECIPE = "mult/2x2-cot"


def values(word: str) -> list[tuple[str, ...]]:
    return [point.words for point in grid([word])]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("seed=1..3", ["train.seed=1", "train.seed=2", "train.seed=3"]),
        ("seed=1..2,7", ["train.seed=1", "train.seed=2", "train.seed=7"]),
        ("train.lr=1e-4,2e-4", ["train.lr=1e-4", "train.lr=2e-4"]),
        ("train.lr=1e-4", ["train.lr=1e-4"]),
        ("model.lora.targets=[q_proj,k_proj]", ["model.lora.targets=[q_proj,k_proj]"]),
        ("x={a: 1, b: 2},{a: 3}", ["x={a: 1, b: 2}", "x={a: 3}"]),
        ("template.cue='a,b',c", ["template.cue='a,b'", "template.cue=c"]),
        ("path=../data", ["path=../data"]),
        ("seed=-1..1", ["train.seed=-1", "train.seed=0", "train.seed=1"]),
        ("path=a=b,c", ["path=a=b", "path=c"]),
    ],
)
def test_values_of_a_word(word, expected):
    assert values(word) == [(one,) for one in expected]


def test_a_grid_is_every_combination():
    points = grid(["train.lr=1,2", "method.x=5", "seed=0..1"])
    assert [point.name for point in points] == [
        f"lr={lr}_seed={seed}" for lr in (1, 2) for seed in (0, 1)
    ]  # fmt: skip
    assert points[3].words == ("train.lr=2", "method.x=5", "train.seed=1")
    assert points[3].varied == {"train.lr": "2", "train.seed": "1"}


@given(st.lists(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), min_size=1, max_size=3))
def test_names_tell_points_apart(axes):
    words = [f"k{place}.value={','.join(map(str, axis))}" for place, axis in enumerate(axes)]
    points = grid(words)
    size = 1
    for axis in axes:
        size *= len(axis)
    assert len(points) == len({point.name for point in points}) == len({point.words for point in points}) == size


def test_names_that_look_alike_once_cleaned_stay_apart():
    assert [point.name for point in grid(["a=x/y,x-y,x y"])] == ["a=x-y", "a=x-y~2", "a=x-y~3"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["lr"], "no override"),
        (["=1"], "no override"),
        (["a=1,"], "empty or a repeated"),
        (["a=1,1"], "empty or a repeated"),
        (["seed=3..1"], "from the smaller"),
        (["seed=1..20000"], "20,000 values"),
        (["a=1..200", "b=1..200"], "40,000 runs"),
        (["seed=1", "train.seed=2"], "set twice"),
    ],
)
def test_words_that_make_no_grid(words, reason):
    with pytest.raises(TacitError, match=reason):
        grid(words)


@pytest.fixture
def launched(monkeypatch):
    """Stands in for the machine: writes a run for every job, except where it is told to fail."""
    jobs, failing = [], set()

    def write(job):
        folder = Path(job.words[job.words.index("--out") + 1])
        (made_run(folder) / "final").mkdir()
        words = [word for word in job.words if "=" in word and not word.startswith("/")]
        (folder / "recipe.yaml").write_text(json.dumps(load(RECIPE, words).recipe.model_dump(mode="json")))

    def launch(some, at_once, done):
        for job in some:
            jobs.append(job)
            job.log.parent.mkdir(parents=True, exist_ok=True)
            job.log.write_text("started\nout of luck\n")
            if job.name not in failing:
                write(job)
            done(job.name, int(job.name in failing))

    monkeypatch.setitem(sweeping.PLACES, "local", launch)
    return jobs, failing


def quiet(tmp_path, *words, **options):
    return sweep(RECIPE, words, out=tmp_path / "sweep", say=lambda _: None, **options)


def test_every_point_becomes_a_run_and_a_row(tmp_path, launched):
    rows = quiet(tmp_path, "train.lr=1e-3,2e-3", "seed=1..2")
    jobs, _ = launched
    assert jobs[0].words[:4] == ["train", RECIPE, "train.lr=1e-3", "train.seed=1"] and "--resume" in jobs[0].words
    assert [(row["run"], row["train.lr"], row["train.seed"]) for row in rows] == [
        (f"lr={lr}_seed={seed}", lr, seed) for lr in ("1e-3", "2e-3") for seed in ("1", "2")
    ]
    assert json.loads((tmp_path / "sweep" / "sweep.json").read_text()) == rows
    with (tmp_path / "sweep" / "sweep.csv").open() as file:
        assert [row["accuracy"] for row in csv.DictReader(file)] == ["0.75"] * 4


def test_runs_that_are_there_are_not_trained_again(tmp_path, launched):
    quiet(tmp_path, "seed=1..2")
    rows = quiet(tmp_path, "seed=1..3")
    assert [job.name for job in launched[0]] == ["seed=1", "seed=2", "seed=3"] and len(rows) == 3


def test_runs_left_by_another_sweep_are_not_taken_for_this_one(tmp_path, launched):
    quiet(tmp_path, "seed=1..2")
    recipe = load(RECIPE, ["train.seed=1", "train.steps=7"]).recipe.model_dump(mode="json")
    (tmp_path / "sweep" / "seed=1" / "recipe.yaml").write_text(json.dumps(recipe))
    with pytest.raises(TacitError, match=r"seed=1 holds a run with other settings: train.steps is 7 there and 1500"):
        quiet(tmp_path, "seed=1..2")
    assert len(quiet(tmp_path, "seed=1..1", "train.steps=7")) == 1


def test_a_failed_run_is_named_and_tried_again(tmp_path, launched):
    jobs, failing = launched
    failing.add("seed=2")
    with pytest.raises(TacitError, match=r"1 of 3 runs failed.*\n  seed=2: out of luck"):
        quiet(tmp_path, "seed=1..3")
    assert len(json.loads((tmp_path / "sweep" / "sweep.json").read_text())) == 2
    failing.clear()
    assert len(quiet(tmp_path, "seed=1..3")) == 3 and [job.name for job in jobs].count("seed=2") == 2


def test_faults_are_found_before_anything_starts(tmp_path, launched):
    with pytest.raises(TacitError, match="did you mean lr"):
        quiet(tmp_path, "train.lrr=1,2")
    with pytest.raises(TacitError, match="no place to run called 'slurm'"):
        quiet(tmp_path, "seed=1..2", on="slurm")
    assert not launched[0] and not (tmp_path / "sweep").exists()


def test_an_interrupt_ends_the_sweep(tmp_path, monkeypatch):
    monkeypatch.setitem(sweeping.PLACES, "local", lambda jobs, at_once, done: done(jobs[0].name, 130))
    with pytest.raises(KeyboardInterrupt):
        quiet(tmp_path, "seed=1..2")


@pytest.fixture
def commands(monkeypatch):
    """Commands that are recorded instead of run; the name is the exit code."""
    seen = []

    def run(command, **options):
        seen.append((command, options["env"]))
        options["stdout"].write("hello\n")
        return subprocess.CompletedProcess(command, int(command[-1]))

    monkeypatch.setattr("subprocess.run", run)
    return seen


@pytest.mark.parametrize("at_once", [1, 3])
def test_jobs_are_processes_with_logs(tmp_path, commands, at_once, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    jobs = [Job(f"job{code}", ["train", str(code)], tmp_path / "logs" / f"{code}.log") for code in (0, 1, 0)]
    codes = []
    run_local(jobs, at_once, lambda name, code: codes.append((name, code)))
    assert sorted(codes) == [("job0", 0), ("job0", 0), ("job1", 1)]
    assert all(command[:4] == [sys.executable, "-m", "tacit", "train"] for command, _ in commands)
    assert all(("OMP_NUM_THREADS" in environment) == (at_once > 1) for _, environment in commands)
    assert (tmp_path / "logs" / "1.log").read_text() == "hello\n"


def test_jobs_that_wait_are_not_started_after_an_interrupt(tmp_path, commands):
    jobs = [Job(f"job{n}", ["train", "0"], tmp_path / f"{n}.log") for n in range(50)]

    def done(name, code):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_local(jobs, 1, done)
    assert len(commands) < 50
