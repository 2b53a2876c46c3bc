"""What a run tells while it trains: the progress line, and trackers."""

import sys
from types import SimpleNamespace

import pytest

from tacit.errors import TacitError
from tacit.train import console
from tacit.train.console import Console, duration
from tests.train.small_runs import make_recipe, run


def test_the_line_tells_loss_speed_and_time_left():
    told = Console(steps=100)
    told.begin, told.tokens = 20, 5000
    assert told.line(40, 1.23456, seconds=10.0) == "step 40/100  loss 1.2346  500 tokens/s  0:30 left"


def test_durations():
    assert [duration(s) for s in (5, 65, 3600, 3 * 3600 + 25 * 60)] == ["0:05", "1:05", "1 h 00 min", "3 h 25 min"]


def test_short_runs_are_quiet_and_long_ones_are_not(tmp_path, monkeypatch, capsys):
    run(tmp_path / "a", make_recipe())
    assert "tokens/s" not in capsys.readouterr().err
    monkeypatch.setattr(console, "QUIET", 0.0)
    run(tmp_path / "b", make_recipe())
    assert capsys.readouterr().err.count("tokens/s") == 1, "one line at once, the next after half a minute"


def test_only_one_process_speaks(capsys, monkeypatch):
    monkeypatch.setattr(console, "QUIET", 0.0)
    silent = Console(steps=10, speaks=False)
    silent.say("no")
    silent.step(1, 0.0, 10)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("kind", ["wandb", "trackio"])
def test_a_tracker_gets_the_lines_of_the_run(tmp_path, monkeypatch, kind):
    sent, began, ended = [], [], []
    service = SimpleNamespace(
        init=lambda **words: began.append(words),
        log=lambda line, step: sent.append((step, line)),
        finish=lambda: ended.append(True),
    )
    monkeypatch.setitem(sys.modules, kind, service)
    run(tmp_path / "run", make_recipe(track=kind, steps=2), evaluate=lambda *_: {"accuracy": 0.5})
    assert [step for step, _ in sent] == [1, 2, 2] and sent[-1][1]["eval/accuracy"] == 0.5
    assert "step" not in sent[0][1] and sent[0][1]["lr"] == 0.01
    assert began[0]["name"] == "run" and began[0]["config"]["train"]["steps"] == 2 and ended == [True]


def test_a_tracker_that_is_not_installed_is_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(TacitError, match=r"pip install trackio, or set train.track: none"):
        run(tmp_path / "run", make_recipe(track="trackio"))
