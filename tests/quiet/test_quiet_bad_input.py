"""What cannot be trained is refused before anything runs, with a sentence and a remedy."""

import pytest

from tacit.errors import TacitError
from tacit.quiet.roles import SHARINGS
from tacit.recipe import FaultyRecipe, load

BASE = {"task.name": "text", "task.path": "text.txt", "method.name": "quiet", "model.tiny.family": "roles"}
BASE |= {"train.steps": 1, "model.tiny.hidden": 8}

REFUSED = {
    "letters that are not canonical": ({"model.tiny.roles.groups": "BBAA"}, "the same sharing is written AABB"),
    "letters in the order of their first use": (
        {"model.tiny.roles.groups": "ABBC"},
        "the same sharing is written BAAC",
    ),
    "halving what is narrow": ({"model.tiny.roles.halving": True, "model.tiny.roles.join": "add"}, "nothing to halve"),
    "letters that are none": ({"model.tiny.roles.groups": "AAX"}, "groups are four letters"),
    "one network of two widths": (
        {"model.tiny.roles.groups": "AABA", "model.tiny.roles.reasoner": 4},
        "set reasoner: 8",
    ),
    "a head of another width": (
        {"model.tiny.roles.reasoner_head": "shared", "model.tiny.roles.join": "concat"},
        "set join: add",
    ),
    "nothing that could end itself": ({"method.length": 0, "method.variable": True}, "have nothing to end"),
    "going on from thoughts of many lengths": (
        {"method.variable": True, "model.tiny.roles.interpreter": "onward", "model.tiny.roles.groups": "AAAA"},
        "all thoughts to end in the same column",
    ),
    "an end that is not left out": ({"method.drops_last": True}, "reads all of a thought"),
    "a judge that is not there": ({"method.objective.judge": True}, "model.tiny.roles.judge: true"),
    "nothing to compare with": ({"method.samples": 1}, "no other of its place"),
    "more to learn from than is drawn": ({"method.samples": 2, "method.objective.learned": 3}, "set it no higher"),
    "a penalty on what is fixed": ({"method.objective.length_penalty": 0.1}, "set variable: true"),
    "pads of what is fixed": ({"method.counts_pads": True}, "have no pads"),
    "two ways to set a bonus": ({"method.objective.entropy": 0.1, "method.objective.entropy_target": 1}, "leave one"),
    "another model": ({"model.tiny.family": "gru"}, "model.tiny.family: roles"),
    "another method": ({"method.name": "cot"}, "method.name: quiet"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case):
    fields, sentence = REFUSED[case]
    with pytest.raises(FaultyRecipe) as caught:
        load("fragments/gpt2", BASE | fields, disk=False)
    [fault] = caught.value.faults
    assert sentence in fault.sentence


def test_there_are_fifteen_sharings():
    published = "AAAA AAAB AABA ABAA BAAA AABB ABAB ABBA AABC ABAC ABCA BAAC BACA BCAA ABCD"
    assert set(SHARINGS) == set(published.split())


def test_what_is_left_is_taken():
    assert load("fragments/gpt2", BASE, disk=False).recipe.method.name == "quiet"


def test_an_unknown_character_is_named(tmp_path):
    """A model that was trained on one text and is asked about another."""
    from tacit.evaluate.texts import evaluate_texts
    from tacit.example import Example, Template
    from tacit.methods.quiet import Quiet
    from tacit.models.making import make_thinker
    from tacit.models.scratch import Scratch
    from tacit.recipe.schema import Model
    from tacit.recipe.training import Eval
    from tacit.thinking import Thinking

    thinker = make_thinker(Model(tiny=Scratch(family="roles", hidden=4)), Thinking(), texts=["abc"])
    words = Template(bos=True, cue="")
    with pytest.raises(TacitError, match="'z'"):
        evaluate_texts(thinker, Quiet(), words, [Example("one", text="abz")], Eval())


@pytest.mark.parametrize("tiny", [{"family": "roles"}, {"family": "gaussian"}])
def test_a_model_that_only_predicts_is_not_asked_to_write(tiny):
    from tacit.models.making import make_thinker
    from tacit.models.scratch import Scratch
    from tacit.recipe.schema import Model
    from tacit.thinking import Thinking

    thinker = make_thinker(Model(tiny=Scratch(hidden=4, **tiny)), Thinking(), texts=["abc"])
    with pytest.raises(TacitError, match=r"predicts texts that are given.* and writes none\. tacit eval"):
        thinker.generate("ab")
