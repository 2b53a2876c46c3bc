"""A step means the same however it is cut: micro-batches, processes, and a second attempt when memory runs out."""

import os

import pytest
import torch

from tacit.errors import TacitError
from tacit.example import encode
from tacit.train.data import Pick
from tacit.train.ranks import Ranks
from tacit.train.step import Learner, Stepper
from tests.pairs import become_one_of_two, fork_two
from tests.train.small_runs import (
    DISTILLED,
    TEMPLATE,
    make_recipe,
    make_thinker,
    run,
    same,
    sums,
    weights,
)

EXACT = 1e-12
MIXED = {"name": "coconut", "epochs_per_stage": 0.25, "max_stage": 2, "mix": 0.5}
"""Stages, and rows of one step laid out for different stages: ragged in every way."""
METHODS = pytest.mark.parametrize("method", [MIXED, DISTILLED], ids=["coconut", "distill"])


ROWS = 7
"""A step's rows, which two processes cannot share evenly."""


def trained(folder, method=MIXED, batch=8, steps=3, **train):
    recipe = make_recipe(method, batch=batch, steps=steps, **train)
    return weights(run(folder, recipe, make_thinker(dtype=torch.float64, thinking=recipe.method.settings.thinking())))


def apart(one, other):
    """The largest difference of any weight."""
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@METHODS
@pytest.mark.parametrize("micro", [1, 2, 4])
def test_micro_batches_do_not_matter(tmp_path, method, micro):
    assert apart(trained(tmp_path / "1", method), trained(tmp_path / "2", method, micro_batch=micro)) < EXACT


@METHODS
def test_counting_each_micro_batch_alone_matters(tmp_path, monkeypatch, method):
    whole = trained(tmp_path / "1", method)
    forget_the_others(monkeypatch)
    assert apart(whole, trained(tmp_path / "2", method, micro_batch=2)) > 1e-6


def forget_the_others(monkeypatch):
    """Divide each loss by its own micro-batch's counts, scaled by its share of the rows: the usual mistake."""
    forward = Learner.forward

    def own_counts(self, lesson, counts):
        share = lesson.rows / counts["rows"]
        return forward(self, lesson, {name: count / share for name, count in lesson.counts().items()})

    monkeypatch.setattr(Learner, "forward", own_counts)


def nothing_wrong(monkeypatch):
    """Both processes as they are."""


def no_memory_in_one(monkeypatch):
    """The second process has no memory for more than two rows."""
    if os.environ["RANK"] == "1":
        fail_above(monkeypatch, 2, torch.OutOfMemoryError("CUDA out of memory"))


def process(rank, port, folder, circumstances, method):
    """One of two processes; each keeps its weights, so the caller can see that they agree."""
    become_one_of_two(rank, port)
    with pytest.MonkeyPatch.context() as patch:
        circumstances(patch)
        done = trained(folder / "run", method, batch=ROWS)
    torch.save(done, folder / f"weights-{rank}")
    torch.distributed.destroy_process_group()


def two_processes(folder, circumstances=nothing_wrong, method=MIXED):
    folder.mkdir()
    fork_two(process, folder, circumstances, method)
    return [torch.load(folder / f"weights-{rank}") for rank in range(2)]


@METHODS
@pytest.mark.parametrize("circumstances", [nothing_wrong, no_memory_in_one])
def test_two_processes_are_one(tmp_path, circumstances, method):
    first, second = two_processes(tmp_path / "two", circumstances, method)
    assert same(first, second)
    assert apart(first, trained(tmp_path / "one", method, batch=ROWS)) < EXACT


def test_two_processes_that_forget_each_other_are_not_one(tmp_path):
    first, _ = two_processes(tmp_path / "two", forget_the_others)
    assert apart(first, trained(tmp_path / "one", batch=ROWS)) > 1e-6


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes"),
]


def fail_above(monkeypatch, rows, error):
    """No memory for more than so many rows; the first row of a step is read before, and its dropout drawn."""
    forward, seen = Learner.forward, []

    def limited(self, lesson, counts):
        seen.append(lesson.rows)
        loss = forward(self, lesson, counts)
        if lesson.rows > rows:
            raise error
        return loss

    monkeypatch.setattr(Learner, "forward", limited)
    return seen


@pytest.mark.parametrize("error", ERRORS)
def test_micro_batches_shrink_until_they_fit(tmp_path, monkeypatch, error, capsys):
    recipe = make_recipe(MIXED, steps=3, micro_batch=2)
    halved = weights(run(tmp_path / "2", recipe, make_thinker(0.2)))
    seen = fail_above(monkeypatch, 2, error)
    found = weights(run(tmp_path / "auto", make_recipe(MIXED, steps=3), make_thinker(0.2)))
    assert same(found, halved), "the failed attempts left a trace in the random numbers or in the gradients"
    assert seen[:2] == [8, 4] and set(seen[2:]) == {2}
    assert "memory ran out with micro-batches of 8; going on with 4" in capsys.readouterr().err


def test_an_attempt_that_keeps_its_random_numbers_leaves_a_trace(tmp_path, monkeypatch):
    halved = weights(run(tmp_path / "2", make_recipe(MIXED, steps=3, micro_batch=2), make_thinker(0.2)))
    fail_above(monkeypatch, 2, ERRORS[0])
    monkeypatch.setattr("tacit.train.step.restore_random", lambda state: None)
    assert not same(halved, weights(run(tmp_path / "auto", make_recipe(MIXED, steps=3), make_thinker(0.2))))


def test_a_fixed_size_that_does_not_fit_is_refused(tmp_path, monkeypatch):
    fail_above(monkeypatch, 2, ERRORS[0])
    with pytest.raises(TacitError, match=r"train.micro_batch: 8; set 4, or auto"):
        run(tmp_path / "run", make_recipe(micro_batch=8))


@pytest.mark.parametrize(("method", "able"), [(None, True), (DISTILLED, False)])
def test_one_row_that_does_not_fit_is_refused(tmp_path, monkeypatch, method, able):
    """With remedies that this method takes."""
    fail_above(monkeypatch, 0, ERRORS[0])
    with pytest.raises(TacitError, match=r"on a single example; set .*train\.max_length") as caught:
        run(tmp_path / "run", make_recipe(method))
    assert ("recompute" in str(caught.value)) is able


def test_other_errors_are_not_taken_for_missing_memory(tmp_path, monkeypatch):
    fail_above(monkeypatch, 2, RuntimeError("shapes do not match"))
    with pytest.raises(RuntimeError, match="shapes do not match"):
        run(tmp_path / "run", make_recipe())


@pytest.mark.parametrize("poison", ["loss", "gradient"])
def test_not_a_number_never_reaches_the_weights(tmp_path, monkeypatch, poison):
    thinker, forward, calls = make_thinker(), Learner.forward, []

    def poisoned(self, lesson, counts):
        loss = forward(self, lesson, counts)
        calls.append(weights(thinker))
        if len(calls) < 3:
            return loss
        # A gradient may be infinite where the loss is not.
        bad = (
            loss.total * float("nan")
            if poison == "loss"
            else loss.total + 0 * (loss.total.detach() - loss.total).sqrt()
        )
        return loss._replace(total=bad)

    monkeypatch.setattr(Learner, "forward", poisoned)
    with pytest.raises(TacitError, match="step 3: the loss is"):
        run(tmp_path / "run", make_recipe(), thinker)
    assert same(calls[2], weights(thinker))
    assert all(bool(p.isfinite().all()) for p in thinker.parameters())
    assert not (tmp_path / "run" / "final").exists()


def test_gradients_are_clipped_and_their_norm_is_not(tmp_path):
    thinker = make_thinker()
    recipe = make_recipe(clip=1e-3)
    optimizer = torch.optim.SGD(thinker.parameters(), lr=0.0)
    encoded = encode(sums(8), thinker.tokenizer, TEMPLATE)
    stepper = Stepper(Learner(recipe.method.settings, thinker, False), optimizer, encoded, recipe.train, Ranks())
    outcome = stepper.take(1, [Pick(0, i) for i in range(8)], 1)
    left = torch.stack([p.grad.norm() for p in thinker.parameters() if p.grad is not None]).norm()
    assert outcome.grad_norm > 0.1 and float(left) == pytest.approx(1e-3, rel=1e-3)


def test_activations_that_are_computed_again_are_the_same(tmp_path):
    kept, again = (make_thinker(dtype=torch.float64, schedule="recompute") for _ in range(2))
    run(tmp_path / "a", make_recipe(steps=3), kept)
    run(tmp_path / "b", make_recipe(steps=3, checkpointing=True), again)
    assert [any(getattr(m, "gradient_checkpointing", False) for m in t.modules()) for t in (kept, again)] == [
        False,
        True,
    ]
    assert apart(weights(kept), weights(again)) < EXACT


def test_activations_cannot_be_computed_again_beside_a_cache(tmp_path):
    with pytest.raises(TacitError, match=r"cache off.*\s.*train.latents.schedule: recompute"):
        run(tmp_path / "run", make_recipe(checkpointing=True))


def test_bf16_is_arithmetic_over_fp32_weights(tmp_path):
    full = weights(run(tmp_path / "a", make_recipe()))
    half = weights(run(tmp_path / "b", make_recipe(precision="bf16")))
    assert all(p.dtype == torch.float32 for p in half.values())
    assert 0 < apart(full, half) < 0.2
