"""Steps that keep their tokens while rows become shorter, rows that are too long, and rates that fall late."""

import json

import pytest

from tacit.example import encode
from tacit.train.checkpoint import Position
from tacit.train.feed import Feed
from tacit.train.optim import learning_rate
from tests.train.small_runs import TEMPLATE, make_recipe, make_thinker, run, same, sums, weights

VANISHING = {"name": "icot", "removal": {"every": 1}}
"""One token fewer at every step."""


def logged(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())


def tokens_by_step(lines):
    totals = [0, *(line["tokens"] for line in lines if "loss" in line)]
    return [after - before for before, after in zip(totals, totals[1:])]


def make_feed(**train):
    thinker = make_thinker()
    recipe = make_recipe(VANISHING, steps=12, **train)
    return Feed(recipe.train, recipe.method.settings, encode(sums(200), thinker.tokenizer, TEMPLATE), thinker.vocab)


def test_a_step_keeps_its_tokens_as_rows_become_shorter(tmp_path):
    """Twin: without `grow` a step has fewer and fewer."""
    spread = {}
    for grow in (True, False):
        recipe = make_recipe(VANISHING, steps=12, batch=32, grow=grow, save_every=5)
        run(tmp_path / str(grow), recipe, count=200)
        told = tokens_by_step(logged(tmp_path / str(grow)))
        spread[grow] = told[-1] / told[0]
    assert 0.9 < spread[True] < 1.1
    assert spread[False] < 0.7


def test_rows_are_met_in_the_same_order_however_many_a_step_takes():
    feed, constant = make_feed(grow=True), make_feed()
    at, met = Position(), []
    for stage in range(6):
        picks = feed.picks(at, stage)
        assert len(picks) >= 8
        met += picks
        at.seen += len(picks)
    assert met == [pick for step in range(12) for pick in constant.order.picks(step)][: len(met)]
    assert feed.epoch(at) == pytest.approx(len(met) / 200)


def test_a_run_that_grew_goes_on_bit_equal(tmp_path, monkeypatch):
    """Twin: one that forgets how many examples it has taken meets others."""
    recipe = make_recipe(VANISHING, steps=10, grow=True, save_every=4, keep=9)
    whole = weights(run(tmp_path / "run", recipe, count=100))
    assert same(whole, weights(run(tmp_path / "run", recipe, count=100, resume=4)))
    picks = Feed.picks
    monkeypatch.setattr(Feed, "picks", lambda self, at, stage: picks(self, Position(step=at.step), stage))
    assert not same(whole, weights(run(tmp_path / "run", recipe, count=100, resume=4)))


def test_rows_that_are_too_long_are_left_out_until_they_fit(tmp_path):
    """Of sums of two and of three numbers, only the short ones fit at first."""
    all_rows = make_recipe(VANISHING, steps=25, batch=32)
    short = make_recipe(VANISHING, steps=25, batch=32, max_length=18)
    run(tmp_path / "all", all_rows, count=200)
    run(tmp_path / "short", short, count=200)
    everything, fitting = (tokens_by_step(logged(tmp_path / name)) for name in ("all", "short"))
    assert fitting[0] < 0.8 * everything[0]
    assert fitting[-1] == everything[-1]
    left_out = [line["left_out"] for line in logged(tmp_path / "short") if "loss" in line]
    assert 0 < left_out[0] < 32 and left_out[0] < left_out[-1], "some of a step, and those of every step add up"
    assert left_out[-1] == left_out[-2] == manifest(tmp_path / "short")["left_out"], "in the end all fit"
    assert not any("left_out" in line for line in logged(tmp_path / "all"))


def test_what_is_left_out_is_told_and_counted_across_a_pause(tmp_path, capsys):
    """Every row has its length: so many of those that were taken are longer."""
    recipe = make_recipe({"name": "cot"}, steps=6, batch=8, max_length=18, save_every=3, keep=9)
    run(tmp_path / "run", recipe, count=48)
    assert "rows are longer than train.max_length: 18" in capsys.readouterr().err
    thinker, method = make_thinker(), recipe.method.settings
    encoded = encode(sums(48), thinker.tokenizer, TEMPLATE)
    lengths = [len(method.layouts(ex, thinker.vocab, None, None)["main"]) for ex in encoded]
    told = [line["left_out"] for line in logged(tmp_path / "run") if "loss" in line]
    assert told[-1] == sum(length > 18 for length in lengths) > 0, "six steps of eight take each of 48 once"
    run(tmp_path / "run", recipe, count=48, resume=3)
    assert [line["left_out"] for line in logged(tmp_path / "run") if "loss" in line] == told


def test_a_step_in_which_nothing_fits_changes_nothing_and_counts(tmp_path):
    recipe = make_recipe(VANISHING, steps=4, batch=8, max_length=1)
    thinker = make_thinker()
    before = weights(thinker)
    run(tmp_path / "run", recipe, thinker)
    assert same(before, weights(thinker))
    assert [line for line in logged(tmp_path / "run") if "loss" in line] == []
    assert manifest(tmp_path / "run")["left_out"] == 4 * 8


def test_a_rate_that_falls_late():
    train = make_recipe(schedule="linear", decay_from=0.5, warmup=2, steps=10, lr=1.0).train
    rates = [learning_rate(train, step, 10, 0) for step in range(10)]
    assert rates == pytest.approx([0.5, 1, 1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2])
