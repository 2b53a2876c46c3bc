"""Roles that begin with what another run has learned, and parts that do not fit."""

import json
import re

import pytest
import torch

from tacit.errors import ModelError
from tacit.models.making import thinker_from_recipe
from tacit.recipe import FaultyRecipe, load
from tacit.train.session import train

TEXT = "a bad cab; " * 60


def recipe(tmp_path, **model):
    (tmp_path / "text.txt").write_text(TEXT)
    written = {
        "model": {"tiny": {"family": "roles", "hidden": 4, "roles": model.pop("roles", {"reasoner": 6})}, **model},
        "task": {"name": "text", "path": str(tmp_path / "text.txt"), "length": 8},
        "method": {"name": "quiet", "length": 2, "samples": 2},
        "train": {"steps": 1, "batch": 2},
        "eval": {"best_metric": "-nll"},
    }
    file = tmp_path / "recipe.yaml"
    file.write_text(json.dumps(written))
    return file


def made(file, disk: bool = True):
    loaded = load(file, disk=disk).recipe
    return thinker_from_recipe(loaded, list(loaded.resolved_task().examples("train"))).model


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in one.state_dict().items())


def test_a_base_model_comes_with_its_head(tmp_path):
    """And only that: the other roles are drawn."""
    donor = train(recipe(tmp_path), {"train.seed": 7}, out=tmp_path / "donor")
    from tacit.thinker import Thinker

    theirs = Thinker.from_pretrained(donor).model
    model = made(recipe(tmp_path, parts={"base": str(donor)}))
    assert same(model.networks["A"], theirs.networks["A"]) and same(model.head, theirs.head)
    assert same(model.head_level, theirs.head_level) and not same(model.networks["C"], theirs.networks["C"])


def test_reasoners_come_from_plain_models(tmp_path):
    plain = {"thinks": False, "levels": 0}
    donor = train(recipe(tmp_path, roles=plain), {"model.tiny.hidden": 6}, out=tmp_path / "donor")
    from tacit.thinker import Thinker

    theirs = Thinker.from_pretrained(donor).model
    model = made(recipe(tmp_path, parts={"reasoner": str(donor), "base_reasoner": str(donor)}))
    assert same(model.networks["B"], theirs.networks["A"]) and same(model.networks["C"], theirs.networks["A"])
    assert same(model.reasoner_head, theirs.head) and not same(model.networks["D"], theirs.networks["A"])


REFUSED = {
    "another width of the reasoner": ({"parts": {"base": "{}"}, "roles": {"reasoner": 5}}, "does not fit"),
    "another width": ({"parts": {"base": "{}"}, "hidden": 7}, "does not fit"),
    "another head": ({"parts": {"base": "{}"}, "head": "mlp"}, "does not fit"),
    "a shared head": (
        {"parts": {"reasoner": "{}"}, "roles": {"join": "add", "reasoner_head": "shared"}},
        "reasoner_head: shared",
    ),
    "no thoughts": ({"parts": {"reasoner": "{}"}, "roles": {"thinks": False}}, "no thoughts"),
    "no folder": ({"parts": {"base": "nowhere/at/all"}}, "does not exist|no folder"),
    "another kind of model": ({"parts": {"base": "{}/../gru"}}, "models of family roles"),
    "no model": ({"parts": {"base": "{}/.."}}, "holds no model"),
}


@pytest.fixture(scope="module")
def donor(tmp_path_factory):
    folder = tmp_path_factory.mktemp("donors")
    file = recipe(folder)
    written = json.loads(file.read_text()) | {
        "method": {"name": "plain"},
        "model": {"tiny": {"family": "gru", "hidden": 4}},
    }
    (folder / "gru.yaml").write_text(json.dumps(written))
    train(folder / "gru.yaml", out=folder / "gru")
    return train(file, out=folder / "donor")


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused(tmp_path, donor, case):
    """By the recipe, before anything is trained; and where parts are taken, should the recipe not have been asked. Twin: what
    fits is taken."""
    model, sentence = REFUSED[case]
    model = dict(model)
    model["parts"] = {name: place.format(donor) for name, place in model["parts"].items()}
    tiny = {name: model.pop(name) for name in ("head", "hidden") if name in model}
    file = recipe(tmp_path, **model)
    written = json.loads(file.read_text())
    written["model"]["tiny"] |= tiny
    file.write_text(json.dumps(written))
    with pytest.raises(FaultyRecipe) as caught:
        load(file)
    [fault] = caught.value.faults
    assert [fault.path] == [f"model.parts.{name}" for name in model["parts"]] and re.search(sentence, fault.sentence)
    with pytest.raises(ModelError, match=sentence):
        made(file, disk=False)
    assert made(recipe(tmp_path, parts={"base": str(donor)}))


def test_other_letters_are_refused(tmp_path, donor):
    file = recipe(tmp_path, parts={"base": str(donor)})
    (tmp_path / "text.txt").write_text(TEXT + "zebra " * 20)
    with pytest.raises(FaultyRecipe, match="other tokens"):
        load(file)
    with pytest.raises(ModelError, match="other tokens"):
        made(file, disk=False)


def test_a_sweep_is_refused_before_its_first_run(tmp_path, donor):
    from tacit.launch.sweep import sweep

    with pytest.raises(FaultyRecipe) as error:
        sweep(str(recipe(tmp_path)), [f"model.parts.base=null,{donor}", "model.tiny.hidden=7"], out=tmp_path / "runs")
    assert "does not fit" in " ".join(str(error.value).split()), "however its lines are broken"
    assert not (tmp_path / "runs").exists()
