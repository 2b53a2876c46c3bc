"""Going on is as if nothing had happened: weights, metrics and the order of examples, to the last bit."""

import json
import os
import random
import shutil
import signal
import time

import pytest

import tacit.train.begin
from tests.train.small_runs import DISTILLED, make_recipe, make_thinker, run, same, weights

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


def test_adapters_resume_bit_equal(tmp_path):
    recipe = make_recipe(**HARD)
    straight = weights(run(tmp_path / "a", recipe, make_thinker(0.1, lora=True)))
    run(tmp_path / "b", recipe, make_thinker(0.1, lora=True))
    assert same(straight, weights(run(tmp_path / "b", recipe, make_thinker(0.1, lora=True), resume=4)))


def test_distilled_thoughts_resume_bit_equal(tmp_path):
    recipe = make_recipe(DISTILLED, **HARD | {"micro_batch": 3})
    made = lambda: make_thinker(0.1, thinking=recipe.method.settings.thinking())  # noqa: E731
    straight = weights(run(tmp_path / "a", recipe, made()))
    run(tmp_path / "b", recipe, made())
    assert same(straight, weights(run(tmp_path / "b", recipe, made(), resume=4)))


def test_resuming_without_the_random_numbers_differs(tmp_path, monkeypatch):
    recipe = make_recipe(**HARD)
    straight = weights(run(tmp_path / "a", recipe, make_thinker(0.1)))
    run(tmp_path / "b", recipe, make_thinker(0.1))
    monkeypatch.setattr(tacit.train.begin, "restore_random", lambda state: None)
    assert not same(straight, weights(run(tmp_path / "b", recipe, make_thinker(0.1), resume=4)))


@pytest.mark.parametrize("kills", [3, pytest.param(10, marks=pytest.mark.slow)])
def test_killed_at_any_moment_and_resumed(tmp_path, kills):
    """A process that is killed has no last words: whatever it was doing, the next one goes on to the same bits."""
    recipe = make_recipe(eval={"every": 3}, **HARD | {"steps": 6 * kills if kills > 5 else 30, "keep": 2})
    straight = weights(run(tmp_path / "a", recipe, make_thinker(0.1), evaluate=evaluation))
    killed = 0
    while killed < kills:
        child = os.fork()
        if child == 0:
            try:
                run(tmp_path / "b", recipe, make_thinker(0.1), evaluate=evaluation, resume=True)
                os._exit(0)
            finally:
                os._exit(1)
        time.sleep(random.SystemRandom().uniform(0.0, 0.5))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        assert os.WIFSIGNALED(status) or status == 0
        killed += os.WIFSIGNALED(status)
        if (tmp_path / "b" / "final").exists():  # too late: begin again
            shutil.rmtree(tmp_path / "b")
    thinker = run(tmp_path / "b", recipe, make_thinker(0.1), evaluate=evaluation, resume=True)
    assert same(straight, weights(thinker))
    assert lines(tmp_path / "a") == lines(tmp_path / "b")
