"""Going on is as if nothing had happened: weights, metrics and the order of examples, to the last bit."""

import json

import pytest
from small_runs import make_recipe, make_thinker, run, same, weights

import tacit.train.resume

HARD = {"steps": 8, "save_every": 2, "keep": 10, "tokens_per_batch": 160, "reset_optimizer": "stage", "warmup": 2}
"""Dropout, length buckets, stages that change, the optimizer's reset with them."""


def lines(folder):
    """metrics.jsonl without the clock."""
    read = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in read]


def evaluation(thinker, stage, step):
    return {"accuracy": (step * 7 % 5) / 5}


@pytest.mark.parametrize("step", [2, 4, 6])
def test_resuming_is_bit_equal(tmp_path, step):
    recipe = make_recipe(eval={"every": 3}, **HARD)
    straight = weights(run(tmp_path / "a", recipe, make_thinker(0.1), evaluate=evaluation))
    run(tmp_path / "b", recipe, make_thinker(0.1), evaluate=evaluation)
    resumed = weights(run(tmp_path / "b", recipe, make_thinker(0.1), evaluate=evaluation, resume=step))
    assert same(straight, resumed)
    assert lines(tmp_path / "a") == lines(tmp_path / "b")


def test_resuming_without_the_random_numbers_differs(tmp_path, monkeypatch):
    recipe = make_recipe(**HARD)
    straight = weights(run(tmp_path / "a", recipe, make_thinker(0.1)))
    run(tmp_path / "b", recipe, make_thinker(0.1))
    monkeypatch.setattr(tacit.train.resume, "restore_random", lambda state: None)
    assert not same(straight, weights(run(tmp_path / "b", recipe, make_thinker(0.1), resume=4)))
