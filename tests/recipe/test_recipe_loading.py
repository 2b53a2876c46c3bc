"""Layers on layers: who wins, where a value came from, what a change of method leaves behind."""

import pytest
import yaml

from tacit.errors import RecipeError
from tacit.models.scratch import Scratch
from tacit.recipe import FaultyRecipe, layers, load, sources
from tacit.recipe.schema import Lora

# What overrides are written as → the value that arrives.
SCALARS = [
    ("train.steps=7", 7),
    ("train.steps=1e4", 10_000),
    ("train.steps=10_000", 10_000),
    ("train.seed=007", 7),
    ("train.lr=1e-4", 1e-4),
    ("train.lr=3", 3.0),
    ("train.lr=.5", 0.5),
    ("train.checkpointing=false", False),
    ("train.warmup_per_stage=False", False),
    ("train.clip=null", None),
    ("train.clip=~", None),
    ("train.clip=", None),
    ("run.name=a word", "a word"),
    ("run.name='2024'", "2024"),
    ('run.name="two\\nlines"', "two\nlines"),
    ("run.name=no", "no"),
    ("run.name=12:30", "12:30"),
    ("run.name=a=b", "a=b"),
    ("template.cue=The answer is:", "The answer is:"),
    ("template.cue=### ", "### "),
    ("train.betas=[0.9, 0.95]", (0.9, 0.95)),
    ("train.micro_batch=auto", "auto"),
    ("train.micro_batch=16", 16),
    ("model.lora={r: 8, targets: [c_attn]}", Lora(r=8, targets=["c_attn"])),
    ("model.tiny={}", Scratch()),
]


def reached(recipe, path):
    for word in path.split("."):
        recipe = getattr(recipe, word)
    return recipe


@pytest.mark.parametrize(("override", "value"), SCALARS)
def test_overrides_of_every_type(base, override, value):
    found = reached(load(base, [override]).recipe, override.split("=")[0])
    assert found == value and type(found) is type(value)


def test_overrides_of_task_and_method(base):
    recipe = load(base, ["method.feedback=mlp", "method.window=[1, 2]", "task.weights={a: 1}"]).recipe
    assert recipe.method.name == "latent" and recipe.method.settings.window == (1, 2)
    assert recipe.method.settings.latents_per_step == 2
    assert recipe.task.settings.weights == {"a": 1.0} and recipe.task.settings.length == 4


def test_overrides_from_python(base, tmp_path):
    given = {"train.steps": 5, "train": {"lr": 0.5}, "model.tiny": Scratch(layers=1), "task.file": tmp_path, "seed": 3}
    loaded = load(base, given)
    assert (loaded.recipe.train.steps, loaded.recipe.train.lr, loaded.recipe.train.seed) == (5, 0.5, 3)
    assert loaded.recipe.model.tiny == Scratch(layers=1) and loaded.recipe.task.settings.file == tmp_path
    assert loaded.origins["train.lr"] == "overrides"


def test_the_last_of_two_overrides_wins(base):
    assert load(base, ["train.lr=1", "train.lr=2"]).recipe.train.lr == 2


def check_order(shelf):
    shelf(a="train: {lr: 0.1, batch: 1, clip: 7}", b="train: {lr: 0.2, batch: 2}")
    train = load(shelf(child="extends: [base.yaml, a.yaml, b.yaml]\ntrain: {lr: 0.3}")).recipe.train
    assert (train.lr, train.batch, train.clip, train.steps) == (0.3, 2, 7.0, 100)


def test_later_parents_win_and_the_recipe_itself_last(shelf):
    check_order(shelf)


def test_another_order_of_parents_would_be_noticed(shelf, monkeypatch):
    def reverse(base, top):
        return layers.overlay(top, base)

    monkeypatch.setattr(sources, "overlay", reverse)
    with pytest.raises(AssertionError):
        check_order(shelf)


def test_a_parent_may_be_reached_twice(shelf):
    shelf(left="extends: base.yaml\ntrain.lr: 0.1", right="extends: base.yaml\ntrain.batch: 8")
    train = load(shelf(child="extends: [left.yaml, right.yaml]")).recipe.train
    assert (train.lr, train.batch) == (0.1, 8)


def test_cycles_name_their_chain(shelf, tmp_path):
    shelf(a="extends: b.yaml", b="extends: [base.yaml, c.yaml]", c="extends: a.yaml")
    with pytest.raises(FaultyRecipe) as caught:
        load(str(tmp_path / "a.yaml"))
    names = [str(tmp_path / f"{name}.yaml") for name in "abca"]
    assert f"recipes extend each other in a circle: {' → '.join(names)}" in caught.value.faults[0].reason


def test_a_recipe_that_extends_itself(shelf):
    with pytest.raises(FaultyRecipe, match="in a circle"):
        load(shelf(a="extends: a.yaml"))


def test_what_describes_one_recipe_is_not_inherited(shelf):
    shelf(parent="extends: base.yaml\nabout: mine\nrun: {folder: runs/mine}")
    recipe = load(shelf(child="extends: parent.yaml")).recipe
    assert (recipe.about, recipe.run.folder, recipe.run.name) == ("", "runs/child", "child")


def test_parents_are_found_beside_the_file_that_names_them(shelf, tmp_path, monkeypatch):
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/child.yaml").write_text("extends: ../base.yaml")
    monkeypatch.chdir(tmp_path / "deep")
    assert load("child.yaml").recipe.train.steps == 100


def test_fragments_of_the_package_can_be_extended(shelf):
    recipe = load(shelf(child="extends: [base.yaml, fragments/tiny]")).recipe
    assert recipe.model.tokenizer == "character" and recipe.train.steps == 100
    assert not set(sources.names()) & set(sources.names(fragments=True))


def test_unknown_recipes(base):
    with pytest.raises(RecipeError, match="did you mean fragments/tiny"):
        load("fragments/tinny")
    with pytest.raises(RecipeError, match="did you mean fragments/tiny"):
        load("fragments/tiny.yaml")
    with pytest.raises(RecipeError, match="there is no file"):
        load("/no/such.yaml")


def test_origins(base):
    loaded = load(base, ["train.lr=0.5", "train.betas=[0.9, 0.9]"])
    assert loaded.origins["about"] == f"{base}:1"
    assert loaded.origins["model.tiny.layers"] == f"{base}:3"
    assert loaded.origins["method.latents_per_step"] == f"{base}:7"
    assert loaded.origins["train.steps"] == f"{base}:9"
    assert loaded.origins["train.lr"] == loaded.origins["train.betas"] == "command line"
    assert loaded.origins["model.tiny.hidden"] == loaded.origins["run.folder"] == "default"
    assert loaded.values()["train.lr"] == (0.5, "command line")
    assert list(loaded.origins) == list(loaded.values())


def test_origins_follow_the_file_that_won(shelf, base):
    child = shelf(child="extends: base.yaml\n\n\ntrain: {batch: 8}\n")
    loaded = load(child)
    assert loaded.origins["train.batch"] == f"{child}:4"
    assert loaded.origins["train.steps"] == f"{base}:9"


RICH = [
    [],
    ["method.name=written", "method.label=no", "task.name=graph"],
    ["run.name='1e-4'", "template.cue='null'", "template.step='{step}: #\n'", "method.window=[1, 2]"],
    [
        "model.path=gpt2",
        "model.lora={r: 8}",
        "train.epochs=2.5",
        "train.clip=null",
        "train.lr=1e-4",
        "task.weights={a: 1}",
    ],
    ["train.latents={schedule: jacobi, rounds: 3}", "eval.temperature=0.7", "eval.samples=3"],
]


def check_round_trip(shelf, base, overrides):
    first = load(base, overrides)
    again = load(shelf(again=first.dump()))
    assert again.recipe == first.recipe
    assert again.dump() == first.dump()


@pytest.mark.parametrize("overrides", RICH)
def test_a_dumped_recipe_loads_to_the_equal_recipe(shelf, base, overrides):
    check_round_trip(shelf, base, overrides)


def test_a_dump_that_loses_its_quotes_would_be_noticed(shelf, base, monkeypatch):
    """YAML 1.1 takes 1e-4 for a word and writes it without quotes; for us it would come back as a number."""
    monkeypatch.setattr("tacit.recipe.loader.write", lambda tree: yaml.safe_dump(tree, sort_keys=False))
    with pytest.raises((AssertionError, RecipeError)):
        check_round_trip(shelf, base, RICH[2])


def test_a_new_method_leaves_the_inherited_fields_of_the_old_one_behind(base):
    recipe = load(base, ["method.name=written"]).recipe
    assert recipe.method.model_dump() == {"name": "written", "max_stage": 0, "label": "plain"}


def test_fields_that_both_methods_know_stay(shelf):
    child = shelf(child="extends: base.yaml\nmethod: {max_stage: 5}")
    assert load(child, ["method.name=written"]).recipe.method.settings.max_stage == 5


def test_a_new_method_in_a_child_recipe(shelf):
    assert load(shelf(child="extends: base.yaml\nmethod: {name: written}")).recipe.method.name == "written"


def test_fields_set_together_with_the_new_method_are_judged(shelf, base):
    with pytest.raises(FaultyRecipe, match="written has no such field"):
        load(base, ["method.name=written", "method.latents_per_step=2"])
    with pytest.raises(FaultyRecipe, match="written has no such field"):
        load(shelf(child="extends: base.yaml\nmethod: {name: written, latents_per_step: 2}"))


def test_the_same_method_named_again_changes_nothing(base):
    assert load(base, ["method.name=latent"]).recipe == load(base).recipe


def test_a_path_replaces_an_inherited_tiny_model_and_the_reverse(shelf, base):
    recipe = load(base, ["model.path=gpt2"]).recipe
    assert (recipe.model.path, recipe.model.tiny) == ("gpt2", None)
    published = shelf(published="extends: base.yaml\nmodel: {path: gpt2, revision: main}")
    assert load(published).recipe.model.tiny is None
    recipe = load(published, ["model.tiny.layers=1"]).recipe
    assert (recipe.model.path, recipe.model.revision, recipe.model.tiny) == (None, None, Scratch(layers=1))


def test_steps_replace_inherited_epochs_and_the_reverse(shelf, base):
    long = shelf(long="extends: base.yaml\ntrain: {epochs: 3}")
    assert (load(long).recipe.train.steps, load(long).recipe.train.epochs) == (None, 3.0)
    train = load(long, {"train.steps": 200}).recipe.train
    assert (train.steps, train.epochs) == (200, None)


def test_null_takes_nothings_place(base):
    assert load(base, ["train.epochs=null", "model.path=null"]).recipe == load(base).recipe


@pytest.mark.parametrize(
    "text",
    [
        "model: {path: gpt2, revision: main, lora: {targets: [c_attn]}, attention: flash_attention_2, dtype: bf16}\n"
        "train: {precision: bf16, optimizer: adamw_8bit, track: wandb}",
        "model.tiny: {family: gru, layers: 1, hidden: 9, tied: false}",
        "model.tiny: {family: llama, hidden: 36, heads: 6, kv_heads: 3, mlp: 50}",
        "train: {epochs: 9, warmup: 500, warmup_per_stage: true, batch: 512, micro_batch: 128, tokens_per_batch: 4096}",
    ],
)
def test_tiny(shelf, text):
    big = shelf(big=f"extends: base.yaml\n{text}")
    assert load(big, disk=False).recipe.train.steps != 2
    recipe = load(big, tiny=True).recipe
    assert recipe.model.path is None and recipe.model.tiny.layers == 2
    assert (recipe.train.limit, recipe.eval.limit, recipe.train.steps, recipe.train.epochs) == (32, 32, 2, None)
    assert recipe.model.tiny.family == ("gru" if "gru" in text else "llama" if "llama" in text else "gpt2")
    assert (recipe.model.lora is None) == ("lora" not in text)


def test_overrides_stand_above_tiny(base):
    loaded = load(base, ["train.steps=5", "model.tiny.layers=1"], tiny=True)
    assert (loaded.recipe.train.steps, loaded.recipe.model.tiny.layers) == (5, 1)
    assert loaded.origins["train.limit"] == "--tiny" and loaded.origins["train.steps"] == "command line"
