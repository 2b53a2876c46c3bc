"""What a recipe means once its sections are put together: the template that counts, and how silent steps are made."""

import pytest

from tacit import example
from tacit.models.scratch import FAMILIES, Scratch
from tacit.recipe import FaultyRecipe, load
from tacit.recipe.schema import Template
from tacit.thinking import Thinking


def check_one_template(recipe, **expected):
    """What is set wins, what is not is the task's own."""
    template = recipe.resolved_task().template
    own = recipe.task.settings.template.model_dump()
    assert template.model_dump() == own | expected


def test_the_tasks_template_stays_where_the_recipe_is_silent(base):
    check_one_template(load(base).recipe)


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (["template.cue==> "], {"cue": "=> "}),
        (["template.bos=false", "template.kind=plain"], {"bos": False, "kind": "plain"}),
        (["template.chat_options={enable_thinking: false}"], {"chat_options": {"enable_thinking": False}}),
    ],
)
def test_a_template_is_laid_over_the_tasks_own(base, overrides, expected):
    check_one_template(load(base, overrides).recipe, **expected)


def test_a_template_that_forgets_the_tasks_own_would_be_noticed(base, monkeypatch):
    monkeypatch.setattr(Template, "over", lambda self, own: example.Template(**self.model_dump(exclude_none=True)))
    with pytest.raises(AssertionError):
        check_one_template(load(base, ["template.cue=x"]).recipe, cue="x")


def test_encoding_and_grading_use_the_same_template(tmp_path):
    file = tmp_path / "arithmetic.yaml"
    file.write_text("model: {tiny: {}}\ntask: {name: arithmetic}\nmethod: {name: cot}\ntrain: {steps: 1}\n")
    recipe = load(file, ["template.cue=Answer: ", "task.extractor=exact@1"]).recipe
    row = example.Example("1", "2 + 1", answer="3")
    assert recipe.resolved_task().grade(row, "2 + 1 Answer: 3").correct
    assert not recipe.task.settings.grade(row, "2 + 1 Answer: 3").correct


def test_every_field_of_a_template_can_be_set():
    assert list(Template.model_fields) == list(example.Template.model_fields)
    for name, field in example.Template.model_fields.items():
        assert Template.model_fields[name].description == field.description and field.description


def test_the_overlay_is_dumped_with_what_is_set_only(base, shelf):
    first = load(base, ["template.chat_options={a: [1, {b: null}]}", "template.cue=x"])
    again = load(shelf(again=first.dump()))
    assert again.recipe == first.recipe and again.recipe.template.question is None


def test_silent_steps_are_the_methods_unless_the_recipe_says_so(base):
    assert load(base, ["method.feedback=mlp"]).recipe.thinking() == Thinking(feedback="mlp")
    recipe = load(base, ["method.schedule=jacobi", "train.latents.rounds=5"]).recipe
    assert recipe.thinking() == Thinking(schedule="jacobi", rounds=5)
    recipe = load(base, ["method.schedule=jacobi", "train.latents.schedule=recompute"]).recipe
    assert recipe.thinking() == Thinking(schedule="recompute")


def test_checkpointing_goes_with_a_method_that_recomputes(base):
    assert load(base, ["train.checkpointing=true", "method.schedule=recompute"]).recipe.train.checkpointing
    with pytest.raises(FaultyRecipe, match="cached silent steps need it"):
        load(base, ["train.checkpointing=true", "method.schedule=recompute", "train.latents.schedule=cached"])


def test_a_new_family_leaves_behind_the_sizes_it_does_not_have(shelf):
    text = "extends: base.yaml\nmodel.tiny: {family: llama, heads: 8, kv_heads: 2, positions: 99, hidden: 16}"
    child = shelf(child=text)
    assert load(child, ["model.tiny.family=gru"]).recipe.model.tiny == Scratch(family="gru", hidden=16)
    gpt2 = load(child, ["model.tiny.family=gpt2"]).recipe.model.tiny
    assert gpt2 == Scratch(family="gpt2", heads=8, positions=99, hidden=16)
    with pytest.raises(FaultyRecipe, match="gru has no such setting"):
        load(child, ["model.tiny.family=gru", "model.tiny.heads=2"])


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in ("roles", "gaussian")])
def test_every_family_shrinks(shelf, family):
    child = shelf(child=f"extends: base.yaml\nmodel.tiny: {{family: {family}, hidden: 1024, layers: 12}}\n")
    assert load(child, tiny=True).recipe.model.tiny.faults() == {}


def test_tiny_leaves_the_tokens_of_published_weights_behind(shelf):
    child = shelf(child="extends: base.yaml\nmodel: {path: gpt2, init_tokens: <<}")
    assert load(child).recipe.model.init_tokens == "<<"
    assert load(child, tiny=True).recipe.model.init_tokens == "mean"
