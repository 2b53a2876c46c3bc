"""A run that begins with another one: one command from written steps to the last table, whatever stops it on the way."""

import json

import pytest

from tacit.errors import TacitError
from tacit.recipe import load
from tacit.study.runs import Run
from tacit.train import train
from tacit.train.chain import earlier

BASE = """\
model: {tiny: {family: gpt2, layers: 1, hidden: 16, heads: 2, positions: 128}, tokenizer: bpe, vocabulary: 400}
task: {name: arithmetic, step_shares: [1, 1], largest: 20, train_rows: 16, valid_rows: 4, test_rows: 4}
train: {epochs: 2, batch: 8, save_every: 1, log_every: 1}
eval: {every: 2, max_tokens: 4}
"""
WRITTEN = "extends: base.yaml\nmethod: {name: cot}\nrun: {folder: runs/written}\n"
SILENT = """\
extends: base.yaml
model: {path: runs/written}
method: {name: coconut, first_stage: 1, max_stage: 1, epochs_per_stage: 1}
run: {folder: runs/silent, after: written.yaml}
"""


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, text in {"base": BASE, "written": WRITTEN, "silent": SILENT}.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


def status(folder):
    return json.loads((folder / "manifest.json").read_text())["status"]


def test_one_command_from_written_steps_to_the_table(shelf):
    assert train("silent.yaml") == (shelf / "runs/silent").relative_to(shelf)
    written, silent = Run(shelf / "runs/written"), Run(shelf / "runs/silent")
    assert status(written.folder) == status(silent.folder) == "finished"
    assert [line["stage"] for line in silent.evaluations] == [1, 2]
    tested = [json.loads((run.folder / "test.json").read_text()) for run in (written, silent)]
    assert [report["n"] for report in tested] == [4, 4] and tested[1]["latents_mean"] == 1
    table = (silent.folder / "table.md").read_text()
    assert "| written | cot | 4 |" in table and "at the end of each stage" in table and "| test |" in table
    assert (silent.folder / "plots/stages.png").exists() and (written.folder / "plots/loss.png").exists()


def test_what_was_stopped_goes_on_and_what_is_finished_stays(shelf):
    """The first run is stopped, then the second; the same command goes on each time."""
    assert train("silent.yaml", resume=True, time_limit=0) == (shelf / "runs/written").relative_to(shelf)
    assert status(shelf / "runs/written") == "stopped" and not (shelf / "runs/silent").exists()
    train("written.yaml", resume=True)
    before = (shelf / "runs/written/metrics.jsonl").stat().st_mtime_ns
    train("silent.yaml", resume=True, time_limit=0)
    assert status(shelf / "runs/silent") == "stopped" and not (shelf / "runs/silent/table.md").exists()
    train("silent.yaml", resume=True)
    assert status(shelf / "runs/silent") == "finished" and (shelf / "runs/silent/table.md").exists()
    assert (shelf / "runs/written/metrics.jsonl").stat().st_mtime_ns == before


def test_weights_that_are_given_need_no_earlier_run(shelf):
    train("written.yaml", {"run.folder": "runs/other", "train.epochs": 1})
    train("silent.yaml", from_run="runs/other")
    assert not (shelf / "runs/written").exists() and not (shelf / "runs/silent/table.md").exists()


def test_a_circle_and_a_start_that_comes_from_elsewhere_are_refused(shelf):
    circle = WRITTEN.replace("runs/written}", "runs/written, after: silent.yaml}") + "model: {path: runs/silent}\n"
    (shelf / "written.yaml").write_text(circle)
    with pytest.raises(TacitError, match="in a circle: written"):
        earlier(load("silent.yaml").recipe)
    (shelf / "written.yaml").write_text(WRITTEN)
    with pytest.raises(TacitError, match="makes runs/written, and this recipe begins with gpt2"):
        earlier(load("silent.yaml", {"model.path": "gpt2"}).recipe)
