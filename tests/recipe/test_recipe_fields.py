"""Help for people and the schema for editors, both from the docstrings under the fields."""

import pytest

from tacit.errors import TacitError
from tacit.methods import METHODS
from tacit.recipe.fields import help_text, json_schema, shared_paths
from tacit.recipe.schema import Recipe
from tests.recipe.conftest import Complete

pytestmark = pytest.mark.usefixtures("registries")


def test_help_of_a_field():
    assert help_text("train.lr") == "train.lr: number > 0, default 0.0001\n    The highest learning rate."
    assert help_text("train.micro_batch").startswith('train.micro_batch: whole number ≥ 1 or auto, default "auto"\n')
    assert help_text("train.decay_to").startswith("train.decay_to: number ≥ 0, ≤ 1, default 0.0\n")
    assert help_text("method.latent.latents_per_step") == (
        "method.latent.latents_per_step: whole number ≥ 1, default 1\n    Silent steps per written step."
    )


def test_help_of_a_group():
    lines = help_text("model.tiny").splitlines()
    assert lines[0].startswith("model.tiny: An untrained causal language model")
    assert any(line.startswith("model.tiny.layers: whole number ≥ 1, default 2") for line in lines)
    assert "train.latents: a group of fields" in help_text("train")
    assert help_text("method.latent").startswith("method.latent: Thoughts as vectors.")
    assert help_text("task") == "task.name: one of chain, graph\ntask.NAME lists the fields of one."


def test_fields_of_a_recipe_are_called_as_it_calls_them():
    recipe = Recipe.model_validate({"task": {"name": "chain", "length": 4}, "method": {"name": "latent"}})
    asked = help_text("method.latents_per_step", recipe)
    assert asked == help_text("method.latent.latents_per_step") == help_text(asked.partition(":")[0], recipe)
    assert help_text("train.lr", recipe) == help_text("train.lr")
    assert help_text("method.written", recipe) == help_text("method.written"), "another method"
    with pytest.raises(TacitError, match=r"no field method\.latent\.stage; did you mean max_stage"):
        help_text("method.stage", recipe)


def test_a_recipes_own_field_comes_before_another_method_of_that_name(monkeypatch):
    class Latent(Complete):
        written: int = 5

    monkeypatch.setitem(METHODS, "latent", Latent)
    recipe = Recipe.model_validate({"task": {"name": "chain"}, "method": {"name": "latent"}})
    assert help_text("method.written", recipe) == "method.latent.written: whole number, default 5"
    assert help_text("method.written").startswith("method.written: Thoughts in words.")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("train.lrr", "there is no field train.lrr; did you mean lr?"),
        ("method.latnt", "there is no method called 'latnt'; did you mean latent?"),
        ("method.latent.stage", "there is no field method.latent.stage; did you mean max_stage?"),
        ("zzz.y", "there is no field zzz.y"),
    ],
)
def test_help_of_what_does_not_exist(path, message):
    with pytest.raises(TacitError) as caught:
        help_text(path)
    assert str(caught.value).startswith(message)


def undocumented(schema: dict) -> list[str]:
    """Fields without help; those of a task or method are its own author's business."""
    found = []
    for name, part in {"Recipe": schema, **schema["$defs"]}.items():
        for field, about in part["properties"].items():
            group = schema["$defs"].get(about.get("$ref", "").rpartition("/")[2], {})
            known = about.get("description") or group.get("description") or field == "extends"
            if not known and not name.startswith(("task_", "method_")):
                found.append(f"{name}.{field}")
    return found


def test_every_field_has_help():
    assert undocumented(json_schema()) == []
    assert all(help_text(path).count("\n") for path in shared_paths() if path not in ("task", "method"))


def test_a_field_without_help_would_be_noticed():
    schema = json_schema()
    del schema["$defs"]["Train"]["properties"]["lr"]["description"]
    assert undocumented(schema) == ["Train.lr"]


def test_the_schema_knows_every_method_and_task():
    schema = json_schema()
    for kind, names in {"method": {"latent", "written"}, "task": {"chain", "graph"}}.items():
        found = {option["$ref"].rpartition("/")[2] for option in schema["properties"][kind]["anyOf"]}
        assert found == {f"{kind}_{name}" for name in names}
    latent = schema["$defs"]["method_latent"]
    assert latent["properties"]["name"]["const"] == "latent"
    assert latent["properties"]["latents_per_step"]["minimum"] == 1
    assert latent["description"] == "Thoughts as vectors."


def test_the_schema_fits_fragments_and_children():
    schema = json_schema()
    assert "extends" in schema["properties"] and schema["additionalProperties"] is False
    assert not any("required" in part for part in [schema, *schema["$defs"].values()])


def test_the_sections_of_a_recipe():
    assert list(Recipe.model_fields) == ["about", "model", "task", "template", "method", "train", "eval", "bolt", "run"]
