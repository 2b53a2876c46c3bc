"""Roles that begin with what another run has learned, and parts that do not fit."""

import json

import pytest
import torch

from tacit.errors import TacitError
from tacit.models.making import thinker_from_recipe
from tacit.recipe import load
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


def made(file):
    loaded = load(file).recipe
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


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        ({"parts": {"base": "{}"}, "roles": {"reasoner": 5}}, "does not fit"),
        ({"parts": {"base": "{}"}, "head": "mlp"}, "does not fit"),
        ({"parts": {"reasoner": "{}"}, "roles": {"join": "add", "reasoner_head": "shared"}}, "reasoner_head: shared"),
        ({"parts": {"reasoner": "{}"}, "roles": {"thinks": False}}, "no thoughts"),
        ({"parts": {"base": "nowhere/at/all"}}, "does not exist"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, model, sentence):
    donor = train(recipe(tmp_path), out=tmp_path / "donor")
    model = dict(model)
    model["parts"] = {name: place.format(donor) for name, place in model["parts"].items()}
    head = model.pop("head", "linear")
    file = recipe(tmp_path, **model)
    written = json.loads(file.read_text())
    written["model"]["tiny"]["head"] = head
    file.write_text(json.dumps(written))
    with pytest.raises(TacitError, match=sentence):
        made(file)


def test_other_letters_are_refused(tmp_path):
    donor = train(recipe(tmp_path), out=tmp_path / "donor")
    file = recipe(tmp_path, parts={"base": str(donor)})
    (tmp_path / "text.txt").write_text(TEXT + "zebra " * 20)
    with pytest.raises(TacitError, match="other tokens"):
        made(file)
