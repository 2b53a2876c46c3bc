"""Freezing all but some parameters: the others keep every bit and take no room in the optimizer."""

import pytest
import torch
from safetensors.torch import load_file

from tacit.errors import TacitError
from tacit.models.scratch import Scratch, build
from tacit.recipe import FaultyRecipe, load
from tacit.recipe.choice import decode
from tacit.recipe.schema import Recipe
from tacit.thinker import Thinker
from tacit.train.optim import learn_only, make_optimizer, trainable
from tacit.train.session import train
from tests.train.small_runs import make_recipe, make_thinker, run, same, weights


def recipe(*patterns: str, **train) -> Recipe:
    settings = make_recipe(weight_decay=0.1, **train)
    only = settings.model.model_copy(update={"train_only": list(patterns)}) if patterns else settings.model
    return settings.model_copy(update={"model": only})


def untied(family: str = "llama", layers: int = 3) -> Thinker:
    base = make_thinker()
    scratch = Scratch(family=family, layers=layers, hidden=16, tied=False, **({} if family == "gru" else {"heads": 2}))
    model = build(scratch, len(base.tokenizer), eos=base.vocab.eos, pad=base.vocab.pad, seed=0)
    return Thinker(model, base.tokenizer, base.vocab, base.thinking)


def moved(before: dict, after: dict) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def test_only_the_last_block_and_the_head_move(tmp_path):
    thinker = untied()
    before = weights(thinker)
    run(tmp_path / "run", recipe("last_block", "head"), thinker)
    assert moved(before, weights(thinker)) == {
        name for name in before if ".layers.2." in name or name == "model.lm_head.weight"
    }
    everything = untied()
    run(tmp_path / "all", recipe(), everything)
    assert moved(before, weights(everything)) == set(before)  # the twin: without the option all of them move


def test_frozen_parameters_have_no_gradient_and_no_state(tmp_path):
    thinker = untied()
    learn_only(thinker, ["*.mlp.*"])
    named = {id(p): name for name, p in thinker.named_parameters()}
    optimizer = make_optimizer(thinker, make_recipe().train)
    held = {named[id(p)] for group in optimizer.param_groups for p in group["params"]}
    assert held == set(trainable(thinker)) == {name for name in named.values() if ".mlp." in name}
    run(tmp_path / "run", recipe("*.mlp.*"), thinker)
    assert all((p.grad is None) == (".mlp." not in name) for name, p in thinker.named_parameters())


@pytest.mark.parametrize("family", ["gpt2", "llama", "gru"])
def test_the_last_block_is_found_in_every_family(family):
    thinker = untied(family)
    learn_only(thinker, ["last_block"])
    names = set(trainable(thinker))
    assert names and all(".2." in name for name in names)


def test_a_frozen_run_goes_on_as_if_it_had_not_stopped(tmp_path):
    whole = run(tmp_path / "whole", recipe("last_block"), untied())
    run(tmp_path / "cut", recipe("last_block", save_every=3), untied())
    again = run(tmp_path / "cut", recipe("last_block", save_every=3), untied(), resume=3)
    assert same(weights(whole), weights(again))


def test_patterns_that_match_nothing_are_refused_with_names():
    thinker = make_thinker()
    with pytest.raises(
        TacitError, match=r"matches 'last_blok'; did you mean last_block\?.*names like model\.transformer"
    ):
        learn_only(thinker, ["last_blok"])
    with pytest.raises(TacitError, match=r"both are one table.*name the table itself: model\.transformer\.wte\.weight"):
        learn_only(thinker, ["head"])
    assert all(p.requires_grad for p in thinker.parameters())  # a refusal changes nothing
    learn_only(thinker, ["*.wte.*"])
    assert set(trainable(thinker)) == {"model.transformer.wte.weight"}


def test_fewer_fillers_are_decoded_by_a_frozen_body(tmp_path):
    """The experiment from end to end: a trained mixture, then its last block and head on fewer fillers."""
    small = {"task.train_rows": 64, "task.valid_rows": 4, "train.steps": 2, "train.warmup": 0, "model.tiny.hidden": 16}
    mixed = train("sum3/mixed-tiny", small, out=tmp_path / "mixed")
    fewer = {name: value for name, value in small.items() if not name.startswith("model")}
    folder = train("sum3/fewer-tiny", fewer, from_run=mixed, out=tmp_path / "fewer")
    before, after = (load_file(path / "final" / "model.safetensors") for path in (mixed, folder))
    assert moved(before, after) == {name for name in before if ".h.1." in name or name == "lm_head.weight"}
    shown = (folder / "lesson.txt").read_text().split("view main")[1]
    assert shown.count("'<pause>'") == 2 * 9  # each of them once as a token and once as a label


def test_recipes_refuse_what_cannot_be():
    with pytest.raises(FaultyRecipe, match="lora freezes all weights"):
        load("sum3/cot-tiny", {"model.train_only": ["head"], "model.lora.r": 4})
    with pytest.raises(FaultyRecipe, match=r"train_only"):
        load("sum3/cot-tiny", {"model.train_only": []})
    assert decode(Recipe, load("sum3/fewer", disk=False).recipe.model_dump(mode="json")).model.train_only == [
        "last_block",
        "head",
    ]
