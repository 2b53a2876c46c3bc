"""Options with values that nobody published: refused in words, or taken as they are meant."""

import pytest

from tacit.compat.adaptive.plan import plan, translate
from tacit.compat.adaptive.run import main
from tacit.errors import TacitError
from tests.compat.published_blocks import BLOCKS
from tests.compat.test_adaptive_options import block


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("latent-6+rl", {"GRPO": "num_gen_16>num_gen_0"}, "num_gen_0: "),
        ("latent-6", {"TRAINING": "lr_8e-4>lr_9e999"}, "lr_9e999: "),
        ("latent-6", {"TRAINING": "latent_flat_6>latent_flat_0"}, "and there are none"),
        ("latent-6", {"LORA": "dropout_0p1>dropout_1"}, "dropout_1: 1.0 must be less than 1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_words(name, change, sentence):
    with pytest.raises(TacitError) as caught:
        plan({**block(name, **change), "MICRO_BATCH_SIZE": "64"})
    assert sentence in str(caught.value)


@pytest.mark.parametrize(
    ("option", "most", "cap"),
    [("latent_flat_20", 20, 20), ("latent_plus_5_by_1_max_30", 30, 30), ("latent_plus_5_by_1_max_10", 10, 16)],
)
def test_a_model_may_think_as_long_as_it_learns_to(option, most, cap):
    """The published code has no cap; ours is never below what is learned."""
    method = plan(block(TRAINING=f"latent_flat_6>{option}"))[1].recipe.method.settings
    assert (method.latents.of(1000), method.thoughts.max_latents) == (most, cap)


def test_what_reinforcement_does_where_no_option_says_otherwise():
    """The defaults of the trainer that the published script runs."""
    bare = {**BLOCKS["latent-6+rl"], "GRPO_CONFIG_OPTIONS": "lr_1e-5/steps_60k"}
    made, _ = translate(bare, "grpo")
    wanted = {
        "train.schedule": "linear", "train.warmup": 0, "train.weight_decay": 0.0, "train.clip": 1.0, "method.group": 8,
        "method.kl": 0.0, "method.temperature": 1.0, "method.max_tokens": 256,
    }  # fmt: skip
    assert {path: made.values[path] for path in wanted} == wanted
    assert translate({**bare, "GRPO_CONFIG_OPTIONS": "lr_1e-5/steps_60k/constant_lr"}, "grpo")[0].values[
        "train.schedule"
    ] == ("constant")


def test_a_run_that_goes_on_keeps_its_recipe(tmp_path, capsys):
    """Overrides are refused and not ignored; a block that is still set is told of."""
    (tmp_path / "recipe.yaml").write_text("method.name: cot\n")
    there = {"RESUME_PATH": str(tmp_path), "TIME_LIMIT": "1"}
    for word in ("train.lr=1", "--tiny"):
        assert main(["resume", "sft", "--dry-run", word], there) == 1
        assert f"{word}: a run that goes on keeps its recipe" in capsys.readouterr().err
    assert main(["resume", "sft", "--dry-run"], there) == 0
    assert capsys.readouterr() == ("method.name: cot\n", "")
    assert main(["resume", "sft", "--dry-run"], {**there, "DIR_NAME": "x", "LORA_CONFIG_OPTIONS": "r_8"}) == 0
    assert (
        capsys.readouterr().err
        == "DIR_NAME, LORA_CONFIG_OPTIONS: not read, since a run that goes on keeps its recipe\n"
    )
