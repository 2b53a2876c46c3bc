"""What distillation cannot do is refused where the recipe is read, or before the first step, and not found out later."""

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.methods.distill import Distill
from tacit.recipe import load
from tacit.recipe.faults import FaultyRecipe
from tests.methods.test_distill_layouts import EXAMPLE, VOCAB

GIVEN, STOPS, STAGED = "adaptive/latent-6-tiny", "adaptive/latent-6-by-1-tiny", "arithmetic/coconut-tiny"
JACOBI = ("train.latents.schedule=jacobi", "train.latents.rounds=2")


def fault(recipe: str, *words: str):
    with pytest.raises(FaultyRecipe) as caught:
        load(recipe, words, disk=False)
    [found] = caught.value.faults
    return found


@pytest.mark.parametrize(
    ("recipe", "words", "path", "sentence"),
    [
        (GIVEN, ["train.latents.schedule=recompute"], "train.latents.schedule", "walked with a cache"),
        (GIVEN, ["method.thoughts.schedule=recompute"], "method", "set the schedule to cached"),
        (STOPS, JACOBI, "train.latents.schedule", "this model decides on each; set stop: 0"),
        (GIVEN, [*JACOBI, "method.thoughts.close=token+thought"], "train.latents.schedule", "set close: token"),
        (
            STAGED,
            ["method.stages=all", "train.latents.schedule=recompute"],
            "train.latents.schedule",
            "method.stages: one",
        ),
        ("adaptive/latent-6-by-1+rl-tiny", JACOBI, "train.latents.schedule", "this model decides on each"),
        (STOPS, ["method.latents.most=9", "method.thoughts.max_latents=8"], "method", "set thoughts.max_latents: 9"),
        (STOPS, ["method.student=0"], "method", "with student: 0 it does not learn to; set stop: 0"),
        (
            GIVEN,
            ["method.thoughts.rounds=2"],
            "method.thoughts.rounds",
            "so 2 rounds would change nothing; leave them out",
        ),
        (GIVEN, [*JACOBI, "method.thoughts.rounds=2"], "method.thoughts.rounds", "method.thoughts.schedule is cached"),
        (GIVEN, ["method.distance.blocks=[1,2]"], "method.distance.blocks", "makes layers 0 to 1; name some of these"),
        (GIVEN, ["method.thoughts.rounds=-1"], "method.thoughts.rounds", "-1 must be at least 0"),
        (GIVEN, ["method.latents.plus=0"], "method", "states behind silent steps are compared, and there are none"),
        (GIVEN, ["method.latents.per_step=1"], "method", "set stop: 1, or latents.per_step: 0"),
    ],
)
def test_what_cannot_work(recipe, words, path, sentence):
    found = fault(recipe, *words)
    assert found.path == path and sentence in found.sentence


def test_checkpointing_has_a_remedy_that_works():
    """A schedule that the method refuses is not proposed."""
    sentence = fault(GIVEN, "train.checkpointing=true").sentence
    assert sentence.endswith("cached silent steps need it; set train.checkpointing: false")


def test_what_can_be_done_in_another_order_still_can():
    assert load(GIVEN, JACOBI, disk=False).recipe.thinking().rounds == 2
    load(STOPS, ["method.latents.most=8", "method.thoughts.max_latents=8"], disk=False)
    load(GIVEN, ["method.student=0"], disk=False)
    load(GIVEN, ["method.thoughts.schedule=jacobi", "method.thoughts.rounds=2"], disk=False)
    load(GIVEN, ["method.distance.blocks=[1,2]", "model.tiny.layers=3"], disk=False)


@pytest.mark.parametrize(
    ("fields", "changed", "sentence"),
    [
        ({"target": -3}, {}, r"further back than the 2 tokens before the answer of x; set at least -2"),
        ({}, {"cue": ()}, r"set template\.cue"),
    ],
)
def test_what_is_compared_must_be_there_before_training_begins(fields, changed, sentence):
    wrong = EXAMPLE._replace(**changed)
    with pytest.raises(DataError, match=sentence):
        Distill(**fields).check([EXAMPLE, wrong])
    with pytest.raises(DataError, match=sentence):
        Distill(**fields).layouts(wrong, VOCAB, 0, np.random.default_rng(0))
    Distill(target=-2).check([EXAMPLE])
    Distill(target=-3, codi=0).check([EXAMPLE])
