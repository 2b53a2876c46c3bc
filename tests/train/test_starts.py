"""What a run may begin with: rows that fit in every stage, and weights that mean something to its method."""

import pytest

from tacit.errors import DataError, ModelError
from tacit.example import encode
from tacit.models.making import thinker_from_recipe
from tacit.recipe import load
from tacit.train.begin import check_positions
from tacit.train.feed import Feed
from tests.train.small_runs import TEMPLATE, make_recipe, make_thinker, run, sums

TINY = {
    "model.tiny": {"family": "gpt2", "layers": 1, "hidden": 16, "heads": 2, "positions": 200},
    "task.train_rows": 8,
    "model.vocabulary": 300,
}


def feed(method: dict, **train) -> Feed:
    thinker = make_thinker()
    recipe = make_recipe(method, **train)
    return Feed(recipe.train, recipe.method.settings, encode(sums(40), thinker.tokenizer, TEMPLATE), thinker.vocab)


LATE = {"name": "coconut", "latents_per_step": 20, "max_stage": 3, "epochs_per_stage": 0.1}


def test_silent_steps_that_will_not_fit_are_refused_before_the_first_step(tmp_path):
    """Stage 0 fits into 64 positions, the last stage does not."""
    with pytest.raises(DataError, match=r"needs position \d+ in stage \d, and this model has 64 positions.*model.tiny"):
        run(tmp_path / "run", make_recipe(LATE, steps=6))
    assert not (tmp_path / "run/metrics.jsonl").exists()


def test_a_stage_that_is_never_reached_is_still_asked_for():
    """Questions are asked as in the last stage when training is over, and that must not fail then. Rows that are left out in
    every stage do not matter. Twin: few silent steps."""
    for short in ({"steps": 1}, {"steps": 6, "max_length": 40}):
        with pytest.raises(DataError, match=r"asked in \d+ positions when training is over, 60 of them silent steps"):
            check_positions(feed(LATE, **short), 64)
    check_positions(feed(LATE, steps=1, max_length=3), 64)
    check_positions(feed(LATE | {"latents_per_step": 2}, steps=1), 64)
    check_positions(feed(LATE, steps=6), None)


def test_examples_are_judged_by_their_method(tmp_path):
    with pytest.raises(DataError, match="lies beyond these examples"):
        run(tmp_path / "run", make_recipe({"name": "coconut", "first_stage": 3, "max_stage": 5}))


# --- weights ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A thinker of each method, as runs leave them."""
    folder = tmp_path_factory.mktemp("saved")
    for name in ("coconut", "cot", "pause"):
        loaded = load(f"arithmetic/{name}-tiny", TINY).recipe
        examples = list(loaded.resolved_task().examples("train"))
        made = thinker_from_recipe(loaded, examples)
        made.save_pretrained(folder / name, {"method": loaded.method.model_dump(mode="json")})
        made.model.save_pretrained(folder / f"{name}-plain")
        made.tokenizer.save_pretrained(folder / f"{name}-plain")
    return folder, examples


def begin(saved, start: str, method: str, **more):
    folder, examples = saved
    return thinker_from_recipe(
        load(f"arithmetic/{method}-tiny", {"model.path": str(folder / start), **more}).recipe, examples
    )


@pytest.mark.parametrize("start", ["cot", "cot-plain", "coconut", "coconut-plain"])
def test_plain_weights_and_its_own_may_begin_coconut(saved, start):
    assert begin(saved, start, "coconut").thinking.feedback == "identity"


@pytest.mark.parametrize("method", ["cot", "no_cot", "no_thoughts"])
def test_silent_weights_may_not_begin_a_method_without_thoughts(saved, method):
    with pytest.raises(ModelError, match=r"behind silent steps \(method coconut\).*Set method.name: coconut"):
        begin(saved, "coconut", method)
    begin(saved, "coconut-plain", method)  # a folder that says nothing is any language model


def test_learned_pauses_are_no_thoughts(saved):
    with pytest.raises(ModelError, match="learned its thoughts in another way"):
        begin(saved, "pause", "coconut")


def test_a_checkpoint_with_another_tokenizer_is_refused(saved, tmp_path):
    """Every token must have the id that the weights know it by."""
    _, examples = saved
    other = load("arithmetic/cot-tiny", {**TINY, "model.vocabulary": 280}).recipe
    thinker_from_recipe(other, examples).tokenizer.save_pretrained(tmp_path / "words")
    with pytest.raises(ModelError, match=r"is another one than that of .*Set model.tokenizer: auto"):
        begin(saved, "cot", "coconut", **{"model.tokenizer": str(tmp_path / "words")})
