"""Runs side by side are the runs alone: weights, metrics, checkpoints; they may stop, go on, and part."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tacit.errors import TacitError
from tacit.train.session import train, train_together
from tests.pairs import become_one_of_two, fork_two

TEXT = "the cat sat on the mat and the dog sat on the log; " * 60
RECIPE = {
    "model": {"tiny": {"family": "roles", "hidden": 8, "roles": {"join": "add", "reasoner": 6}}},
    "task": {"name": "text", "length": 16},
    "method": {
        "name": "quiet",
        "length": 3,
        "samples": 2,
        "variable": True,
        "objective": {"baseline": "ema", "entropy_target": 2.0},
    },
    "train": {"steps": 6, "batch": 4, "micro_batch": 2, "lr": 1e-2, "log_every": 1, "save_every": 2, "keep": 9},
    "eval": {"every": 3, "best_metric": "-nll"},
}
SEEDS = (0, 1, 5)


@pytest.fixture
def recipe(tmp_path) -> Path:
    (tmp_path / "text.txt").write_text(TEXT)
    RECIPE["task"]["path"] = str(tmp_path / "text.txt")
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(RECIPE))
    return file


def told(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def same(one: Path, other: Path, exact: bool = False) -> bool:
    """Weights, and every number that was logged. A product of many small matrices may round
    otherwise than each of them alone, so the last digits may differ unless `exact`."""
    a, b = (load_file(folder / "final" / "model.safetensors") for folder in (one, other))
    close = torch.equal if exact else lambda x, y: torch.allclose(x, y, rtol=1e-4, atol=1e-6)
    return all(close(a[name], b[name]) for name in a) and all(
        line == pytest.approx(twin, rel=1e-3, abs=1e-6) for line, twin in zip(told(one), told(other), strict=True)
    )


def test_a_run_in_a_team_is_the_run_alone(recipe, tmp_path):
    """Twin: another seed is another run."""
    team = train_together(recipe, {}, SEEDS, [tmp_path / f"team-{seed}" for seed in SEEDS])
    alone = [train(recipe, {"train.seed": seed}, out=tmp_path / f"alone-{seed}") for seed in SEEDS]
    assert all(same(one, other) for one, other in zip(team, alone))
    there = [sorted(path.name for path in (folder / "checkpoints").iterdir()) for folder in team + alone]
    assert there[: len(SEEDS)] == there[len(SEEDS) :] and "step-6" in there[0]
    assert not same(team[0], alone[1])


def test_a_team_goes_on_where_its_members_stand(recipe, tmp_path):
    """One was trained alone for a while, one not at all; both are in the end what they would have been."""
    folders = [tmp_path / f"run-{seed}" for seed in SEEDS]
    train(recipe, {"train.seed": 0}, out=folders[0])
    (folders[0] / "final").rename(tmp_path / "gone")
    for step in (4, 6):
        shutil.rmtree(folders[0] / f"checkpoints/step-{step}")
    train_together(recipe, {}, SEEDS, folders, resume=True)
    assert told(folders[0])[-1]["step"] == 6
    whole = train_together(recipe, {}, SEEDS, [tmp_path / f"whole-{seed}" for seed in SEEDS])
    assert all(same(one, other) for one, other in zip(folders, whole))


def test_a_team_that_is_late_saves_and_goes_on(recipe, tmp_path):
    folders = [tmp_path / f"run-{seed}" for seed in SEEDS]
    train_together(recipe, {}, SEEDS, folders, time_limit=1e-9)
    assert all(json.loads((folder / "manifest.json").read_text())["status"] == "stopped" for folder in folders)
    train_together(recipe, {}, SEEDS, folders, resume=True)
    whole = train_together(recipe, {}, SEEDS, [tmp_path / f"whole-{seed}" for seed in SEEDS])
    assert all(same(one, other, exact=True) for one, other in zip(folders, whole))


def test_dropout_belongs_to_examples_too(recipe, tmp_path):
    """Twin: without it, the run is another."""
    dropout = {"model.tiny.roles.base_dropout": 0.5, "model.tiny.roles.dropout_cycle": True}
    team = train_together(recipe, dropout, (0, 1), [tmp_path / "a", tmp_path / "b"])
    assert same(team[1], train(recipe, dropout | {"train.seed": 1}, out=tmp_path / "alone"))
    assert not same(team[1], train(recipe, {"train.seed": 1}, out=tmp_path / "without"))


def test_a_method_that_cannot_says_so(tmp_path):
    with pytest.raises(TacitError, match="method cot trains one model at a time"):
        train_together("arithmetic/cot-tiny", {}, (0, 1), [tmp_path / "a", tmp_path / "b"], tiny=True)


def ask_as_one_of_two(rank: int, port: int, recipe: Path, folder: Path) -> None:
    become_one_of_two(rank, port)
    with pytest.raises(TacitError, match="trained by one process"):
        train_together(recipe, {}, (0, 1), [folder / "a", folder / "b"])
    (folder / f"refused-{rank}").touch()
    torch.distributed.destroy_process_group()


def test_a_team_has_one_process(recipe, tmp_path):
    """Two are told so, both of them, before anything is written."""
    fork_two(ask_as_one_of_two, recipe, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name not in ("recipe.yaml", "text.txt")) == [
        "refused-0",
        "refused-1",
    ]


def test_a_sweep_trains_seeds_together(recipe, tmp_path, monkeypatch):
    from tacit.launch.sweep import sweep

    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    rows = sweep(
        str(recipe), ["train.seed=0,1", "train.steps=2"], out=tmp_path / "sweep", together=True, say=lambda _: None
    )
    assert sorted(row["run"] for row in rows) == ["seed=0", "seed=1"]
    assert [log.name for log in (tmp_path / "sweep" / "logs").iterdir()] == ["seed=0,1.log"]
    with pytest.raises(TacitError, match="several seeds"):
        sweep(str(recipe), ["train.lr=1,2"], out=tmp_path / "other", together=True, say=lambda _: None)


@pytest.mark.parametrize(
    "words",
    [
        ["seed=0,10", "train.lr=1e-2,1e-3", "task.seed=0,1"],
        ["train.lr=1e-2,1e-3", "seed=0,10", "task.seed=0,1"],
        ["task.seed=0,10", "train.lr=1e-2,1e-3", "seed=0,10"],
        ["train.lr=1e-2,1e-3", "train.steps=1,2", "seed=0,10"],
        ["train.base_seed=0,10", "train.lr=1e-2,1e-3", "seed=0,10"],
    ],
)
def test_seeds_anywhere_in_a_grid_are_trained_together(words):
    from tacit.launch.grid import grid
    from tacit.launch.sweep import _teams

    points = grid(words)
    jobs = _teams("recipe", points, Path("sweep"))
    assert len(jobs) == 4 and all("0,10" in job.words for job in jobs)
    assert {job.name.replace("{seed}", seed) for job in jobs for seed in ("0", "10")} == {
        point.name for point in points
    }


def test_seeds_whose_names_are_cut_are_trained_one_by_one():
    from tacit.launch.grid import grid
    from tacit.launch.sweep import _teams

    points = grid([f"run.name={'a' * 150},b", "seed=0,1"])
    jobs = _teams("recipe", points, Path("sweep"))
    assert [job.name for job in jobs] == [points[0].name, points[1].name, "name=b_seed={seed}"]
