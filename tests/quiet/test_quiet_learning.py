"""What must not change what is learned, and what must."""

import copy
import json

import pytest
import torch

from tacit.methods.base import Lesson
from tacit.methods.quiet import Quiet
from tacit.quiet.texts import texts
from tacit.train.session import train
from tests.quiet.minds import QUIET, lesson, loss_of, small

THINKING = ("reasoner_head.", "reasoner_level.", "networks.B.", "networks.C.")
"""Base reasoner and reasoner of ABCD, by the names of their parameters."""


def gradients(thinker, method, *lessons: Lesson, count: float | None = None) -> dict[str, torch.Tensor | None]:
    """Of lessons that make up one step."""
    thinker.model.zero_grad()
    whole = count or sum(one.counts()["main"] for one in lessons)
    for one in lessons:
        method.loss(thinker, one, {"main": whole}).total.backward()
    return {name: p.grad for name, p in thinker.model.named_parameters()}


@pytest.mark.parametrize("policy", [0.0, 1.0])
def test_without_a_policy_loss_the_reasoner_is_left_alone(policy):
    """Not a gradient of zero but none, so that no weight decay moves it either. Twin: with one, it is taught."""
    thinker = small()
    method = Quiet(length=2, samples=2, objective={"policy": policy})
    found = gradients(thinker, method, lesson(thinker))
    taught = {name for name, g in found.items() if g is not None and name.startswith(THINKING)}
    assert taught == (set() if not policy else {name for name in found if name.startswith(THINKING)})
    assert all(g is not None for name, g in found.items() if not name.startswith(THINKING))


SHARED = {"groups": "AAAA"}


@pytest.mark.parametrize("groups", ["AAAA", "AABA", "BAAA", "ABAC"])
def test_sharing_is_tying(groups):
    """A shared network is separate ones with the same weights, and its gradient is the sum of theirs."""
    shared, apart = small(groups=groups), small(groups="ABCD")
    weights = shared.model.state_dict()
    tied = {name: weights[_owner(name, groups)] for name in apart.model.state_dict()}
    apart.model.load_state_dict(tied)
    method, given = Quiet(length=2, samples=2), lesson(shared)
    one, other = gradients(shared, method, given), gradients(apart, method, given)
    assert float(loss_of(shared, method, given).total.detach()) == pytest.approx(
        float(loss_of(apart, method, given).total.detach()), abs=1e-13
    )
    for name, g in one.items():
        parts = [other[twin] for twin in other if _owner(twin, groups) == name]
        assert torch.allclose(g, sum(parts), rtol=0, atol=1e-12)
        assert len(parts) == 1 or not torch.allclose(g, parts[0], rtol=0, atol=1e-6)


def _owner(name: str, groups: str) -> str:
    if not name.startswith("networks."):
        return name
    letter = name.split(".")[1]
    return name.replace(f"networks.{letter}.", f"networks.{groups['ABCD'.index(letter)]}.", 1)


VARIABLE = {"variable": True, "objective": {"punish_unfinished": 0.2, "length_penalty": 0.01, "entropy": 0.1}}


@pytest.mark.parametrize(
    "fields", [{}, VARIABLE, {"objective": {"entropy": 0.1}}], ids=["fixed", "variable", "entropy"]
)
def test_rows_do_not_know_each_other(fields):
    """One step of four texts is four of one, each padded or not. Twin: another number of an example is another thought."""
    thinker = small(join="add")
    method = Quiet(length=3, samples=2, words_only=False, **fields)
    whole = lesson(thinker, rows=4, length=5)
    rows = whole.views["main"].ids.tolist()
    rows = [rows[0][:3], *rows[1:]]

    def part(picks: list[int], longest: int = 0) -> Lesson:
        view = texts([rows[n] for n in picks] + [[0] * longest] * bool(longest), thinker.vocab.pad)
        if longest:
            view.keep[-1] = False
            view.learned = float(view.keep[:, 1:].sum())
        numbers = [(0, n) for n in picks] + [(0, 99)] * bool(longest)
        return Lesson({"main": view}, len(numbers), picks=numbers, steps=10)

    count = sum(len(row) - 1 for row in rows)
    together = gradients(thinker, method, part([0, 1, 2, 3]), count=count)
    for name, g in gradients(thinker, method, part([0]), part([1], 9), part([2, 3]), count=count).items():
        assert torch.allclose(g, together[name], rtol=0, atol=1e-12), name
    other = part([0, 1, 2, 3])
    other.picks = [(1, n) for _, n in other.picks]
    moved = gradients(thinker, method, other, count=count)
    assert any(not torch.allclose(moved[name], g, rtol=0, atol=1e-6) for name, g in together.items())


@pytest.mark.parametrize("join", ["add", "concat", "gate", "warm_gate"])
def test_numbers_stay_finite(join):
    """Behind weights so large that every choice is certain and most log-probabilities are far below zero."""
    thinker = small(join=join, double=False)
    with torch.no_grad():
        for p in thinker.model.parameters():
            p.mul_(300)
    method = Quiet(length=3, samples=3, variable=True, objective={"entropy": 0.1, "goal": "log_mean"})
    found = gradients(thinker, method, lesson(thinker, rows=4, length=8))
    assert all(g is None or g.isfinite().all() for g in found.values())


def test_what_is_usual_is_learned_by_shares():
    """A running mean and a pressure move as far in two parts of a step as in one; a step later they are not what they were."""
    goal = {"baseline": "ema", "entropy_target": 9.0}
    method, whole, halves = Quiet(length=2, samples=2, objective=goal), small(), small()
    for thinker in (whole, halves):
        thinker.model.train()
    given = lesson(whole, rows=4, step=3)
    loss_of(whole, method, given)
    for n in (0, 2):
        view = given.views["main"]
        part = texts(view.ids[n : n + 2].tolist(), whole.vocab.pad)
        half = Lesson({"main": part}, 2, picks=given.picks[n : n + 2], step=3, steps=10)
        method.loss(halves, half, given.counts())
    assert float(whole.model.pressure) == pytest.approx(float(halves.model.pressure), abs=1e-9)
    assert float(whole.model.usual) == pytest.approx(float(halves.model.usual), rel=0.01)
    assert float(whole.model.usual) < 0 < float(whole.model.pressure)


TEXT = "the cat sat on the mat and the dog sat on the log; " * 40
RECIPE = {
    "model": {"tiny": {"family": "roles", "hidden": 8, "roles": {"join": "warm_gate"}}},
    "task": {"name": "text", "length": 16},
    "method": {"name": "quiet", "length": 2, "samples": 2, "objective": {"baseline": "ema", "entropy_target": 9.0}},
    "train": {"steps": 6, "batch": 4, "lr": 1e-2, "log_every": 1, "save_every": 3, "keep": 9},
    "eval": {"every": 3, "best_metric": "-nll"},
}


def recipe(tmp_path, **more):
    (tmp_path / "text.txt").write_text(TEXT)
    written = copy.deepcopy(RECIPE)
    written["task"]["path"] = str(tmp_path / "text.txt")
    for path, value in more.items():
        section, _, name = path.partition("__")
        written[section][name] = value
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(written))
    return file


def told(folder) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


def test_a_run_goes_on_as_if_nothing_had_happened(tmp_path):
    """Running means and the bonus on entropy are part of a checkpoint. Twin: without them, the rest is another."""
    file = recipe(tmp_path)
    one, other = (train(file, out=tmp_path / name) for name in "ab")
    assert told(one) == told(other)
    train(file, out=tmp_path / "b", resume=3)
    assert told(one) == told(other)
    from tacit.thinker import Thinker

    last = Thinker.from_pretrained(one).model
    assert last.usual < 0 < last.pressure and float(last.steps) == 5


def test_a_loaded_model_measures_what_it_measured(tmp_path):
    from tacit.evaluate.texts import evaluate_texts
    from tacit.recipe import load
    from tacit.thinker import Thinker

    file = recipe(tmp_path)
    folder = train(file, out=tmp_path / "run")
    loaded = load(file).recipe
    task = loaded.resolved_task()
    found = evaluate_texts(
        Thinker.from_pretrained(folder), loaded.method.settings, task.template, task.examples("valid"), loaded.eval
    )
    last = told(folder)[-1]
    assert {name: last[f"eval/{name}"] for name in found} == found
    assert found["nll"] != found["null_nll"] != found["swapped_nll"]


def test_one_thought_is_enough_where_nothing_is_learned_of_thinking():
    thinker = small()
    assert loss_of(thinker, Quiet(length=2, samples=1, objective=QUIET), lesson(thinker)).total.isfinite()
