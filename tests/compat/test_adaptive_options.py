"""Blocks of option variables: each published one is the recipe of its name, every option lands in its field, and whatever does
not fit together is told at once."""

import pytest

from tacit.compat.adaptive.plan import REGISTRIES, plan, translate
from tacit.compat.adaptive.variables import from_environment, from_file
from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.sources import names
from tests.compat.published_blocks import BLOCKS, GRPO, SFT, text

OWN = ("about", "run.folder", "run.name")


def block(name: str = "latent-6", **changes: str) -> dict[str, str]:
    """A published block with some options replaced: `TRAINING="codi_loss_20>codi_loss"`."""
    found = dict(BLOCKS[name])
    for variable, change in changes.items():
        full = next(known for known in found if known.startswith(variable))
        old, _, new = change.partition(">")
        assert old in found[full]
        found[full] = found[full].replace(old, new).strip("/")
    return {variable: value for variable, value in found.items() if value}


def values(loaded) -> dict:
    return {path: setting.value for path, setting in loaded.values().items() if path not in OWN}


def differences(made: dict[str, str], recipe: str) -> set[str]:
    ours, theirs = values(plan(made)[1]), values(load(recipe, disk=False))
    return {path for path in ours | theirs if ours.get(path, "-") != theirs.get(path, "-")}


# --- what a block becomes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SFT)
def test_a_published_block_is_the_recipe_of_its_name(name, tmp_path):
    (tmp_path / "block").write_text(text(BLOCKS[name]))
    assert differences(from_file(tmp_path / "block"), f"adaptive/{name}") == set()


def test_another_option_would_be_noticed():
    assert differences(block(TRAINING="lr_8e-4>lr_9e-4"), "adaptive/latent-6") == {"train.lr"}
    assert "method.latents.plus" in differences(block(TRAINING="latent_flat_6>latent_flat_5"), "adaptive/latent-6")


@pytest.mark.parametrize("name", GRPO)
def test_blocks_of_reinforcement(name):
    """Completions are counted in questions, and the model that is named says how it thinks."""
    made, faults = translate({**BLOCKS[name]}, "grpo")
    assert faults == []
    wanted = {
        "train.batch": 8, "method.group": 16, "train.steps": 60_000, "train.lr": 1e-5, "train.weight_decay": 1e-3,
        "train.schedule": "cosine", "train.warmup": 1000, "train.keep": 300, "train.save_every": 200, "eval.every": 200,
        "method.kl": 1e-3, "method.max_tokens": 40, "method.temperature": 1.0, "method.reward.shorter": 1e-4,
        "method.reward.longer": 0.1, "method.reward.required": 1.0, "task.part": [0.85, 1.0], "model.lora.r": 32,
        "model.lora.alpha": 32.0, "model.path": f"checkpoints/{name.removesuffix('+rl')}/merged", "train.clip": 1.0,
        "template.cue": " The answer is: ", "method.name": "grpo",
    }  # fmt: skip
    assert {path: made.values[path] for path in wanted} == wanted
    trained = load(f"adaptive/{name.removesuffix('+rl')}", disk=False).recipe.method
    assert made.values["method.actor"] == trained.model_dump(mode="json")


@pytest.mark.parametrize("name", [name for name in GRPO if f"adaptive/{name}" in names()])
def test_a_published_block_of_reinforcement_is_the_recipe_of_its_name(name):
    """But where it begins, and how many of its 300 checkpoints are kept."""
    assert differences(BLOCKS[name], f"adaptive/{name}") == {"model.path", "run.after", "train.keep"}


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ({"LATENT": "MLP>none"}, "method.thoughts.feedback", "identity"),
        ({"LATENT": "MLP>linear"}, "method.thoughts.feedback", "linear_rms"),
        ({"LATENT": "MLP>linear_ECF"}, "method.thoughts.feedback", "linear_ecf"),
        ({"LATENT": "MLP>linear_ln"}, "method.thoughts.feedback", "linear_ln"),
        ({"LATENT": "MLP>SRE"}, "method.thoughts.feedback", "sre"),
        ({"LATENT": "MLP>MLP/add_latent_to_end"}, "method.thoughts.close", "token+thought"),
        ({"LATENT": "MLP>MLP/detach_binary_head_inputs"}, "method.thoughts.stop_detached", True),
        ({"TRAINING": "flat_6>plus_4_by_2_max_8"}, "method.latents.per_step", 2.0),
        ({"TRAINING": "flat_6>plus_4_by_2_max_8"}, "method.latents.most", 8),
        ({"TRAINING": "flat_6>flat_2"}, "method.latents.plus", 2),
        ({"TRAINING": "/remove_last_reasoning_step>"}, "method.drop_last", False),
        ({"TRAINING": "/remove_negative_answers>"}, "task.drop_negative", False),
        ({"TRAINING": "/shift_target_token_one>"}, "template.cue", " The answer is:"),
        ({"TRAINING": "/shift_target_token_one>"}, "template.answer", " {answer}"),
        ({"TRAINING": "/slice_proportion_85p>"}, "task.part", [0.0, 1.0]),
        ({"TRAINING": "proportion_85p>proportion_75p"}, "task.part", [0.0, 0.75]),
        ({"TRAINING": "/max_grad_norm_2>"}, "train.clip", 1.0),
        ({"TRAINING": "/weight_decay_0p1>"}, "train.weight_decay", 0.0),
        ({"TRAINING": "/cosine-warmup_900>"}, "train.schedule", "constant"),
        ({"TRAINING": "steps_30k>steps_2k"}, "train.steps", 2000),
        ({"TRAINING": "batch_size_128>batch_size_4"}, "train.micro_batch", 4),
        ({"TRAINING": "lr_8e-4>lr_3e-6"}, "train.lr", 3e-6),
        ({"TRAINING": "codi_loss_20>codi_loss"}, "method.codi", 1.0),
        ({"TRAINING": "codi_loss_20>codi_loss_20/mean_reasoning_loss_0p1"}, "method.meaned", 0.1),
        ({"TRAINING": "calc_smooth_l1>calc_mean_l2"}, "method.distance.measure", "l2"),
        ({"TRAINING": "norm_layerwise_std>norm_layerwise_avg_l2"}, "method.distance.norm", "layer_l2"),
        ({"TRAINING": "norm_layerwise_std>norm_std"}, "method.distance.norm", "std"),
        ({"TRAINING": "norm_layerwise_std>norm_avg_l2"}, "method.distance.norm", "l2"),
        ({"TRAINING": "norm_layerwise_std>no_latent_loss_norm"}, "method.distance.norm", "none"),
        ({"TRAINING": "codi_loss_20>codi_loss_20/intermediate_block_gpt2_2_9"}, "method.distance.blocks", [2, 9]),
        ({"TRAINING": "val_period_200>val_period_50"}, "eval.every", 50),
        ({"TRAINING": "period_4k>period_1k"}, "train.save_every", 1000),
        ({"VAL": "aug-val>aug-test"}, "eval.split", "test"),
        ({"VAL": "aug-val>aug-test"}, "eval.limit", None),
        ({"VAL": "thinking>thinking/latent_thought_count_override_3"}, "eval.latents", 3),
        ({"LORA": "/dropout_0p1>"}, "model.lora.dropout", 0.0),
        ({"LORA": "llama_target>gpt2_target"}, "model.lora.targets", "auto"),
    ],
    ids=lambda value: str(value) if not isinstance(value, dict) else next(iter(value.values())),
)
def test_where_an_option_lands(change, path, value):
    loaded = plan(block(**change))[1]
    assert loaded.values()[path].value == value


def test_sentences_as_steps_come_with_blanks():
    changed = block(TRAINING="gsm8k-aug>gsm8k-aug-nl", VAL="gsm8k-aug-val>gsm8k-aug-nl-val")
    found = values(plan(changed)[1])
    assert (found["task.variant"], found["template.step"]) == ("gsm8k-aug-nl", " {step}")


def test_no_adapters_train_the_whole_model():
    found = values(plan({**block(), "LORA_CONFIG_OPTIONS": ""})[1])
    assert (found["model.lora"], found["model.dtype"], found["train.precision"]) == (None, "auto", "bf16")


def test_the_plain_variables():
    more = {"SAVE_DIR_OVERRIDE": "/big/disk", "MICRO_BATCH_SIZE": "16", "TIME_LIMIT": "26"}
    found = plan({**block(), **more})[1].recipe
    assert (found.run.folder, found.train.micro_batch, found.train.time_limit) == ("/big/disk/latent-6", 16, 1560)
    assert plan({**block(), "MICRO_BATCH_SIZE": "auto"})[1].recipe.train.micro_batch == "auto"


def test_later_options_win_and_that_is_told():
    made, loaded = plan(block(TRAINING="lr_8e-4>lr_8e-4/lr_1e-3"))
    assert loaded.recipe.train.lr == 1e-3 and "TRAINING_CONFIG_OPTIONS: lr_8e-4 gives way to lr_1e-3" in made.notes


def test_overrides_stand_on_top_and_origins_are_options():
    loaded = plan(block(), ["train.seed=7"])[1]
    assert loaded.recipe.train.seed == 7 and loaded.origins["train.seed"] == "command line"
    assert loaded.origins["train.lr"] == "TRAINING_CONFIG_OPTIONS: lr_8e-4"
    assert loaded.origins["method.thoughts.feedback"] == "LATENT_SETTINGS_OPTIONS: recurrent_filter_MLP"


def test_an_override_may_choose_another_task_or_method():
    """What the options say about theirs then goes."""
    found = plan(block(), ["task.name=arithmetic", "train.epochs=2", "method.name=cot"])[1].recipe
    assert (found.task.name, found.method.name, found.train.steps, found.train.epochs) == ("arithmetic", "cot", None, 2)


@pytest.mark.parametrize(("kind", "blocks"), [("sft", SFT), ("grpo", GRPO)])
def test_every_option_of_the_published_blocks_is_read_once(kind, blocks):
    """No name is two options of a registry, so the order of a registry means nothing."""
    for name in blocks:
        for variable, registry in REGISTRIES[kind].items():
            for option in filter(None, BLOCKS[name].get(variable, "").split("/")):
                assert sum(one.read(option) is not None for one in registry) == 1, option


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("rel_len_reward_same", "method.reward.longer", 1e-4),
        ("rel_len_reward_1", "method.reward.longer", 1.0),
        ("rel_len_acc_req_0p5", "method.reward.required", 0.5),
        ("rel_len_acc_req_12", "method.reward.required", 12.0),
        ("binary_head_temp_4", "method.actor.thoughts.stop_temperature", 4.0),
        ("slice_proportion_25p", "task.part", [0.75, 1.0]),
        ("batch_size_64", "train.batch", 4),
    ],
)
def test_where_an_option_of_reinforcement_lands(option, path, value):
    changed = BLOCKS["latent-6+rl"]["TRAINING_CONFIG_OPTIONS"] + f"/{option}"
    made, faults = translate({**BLOCKS["latent-6+rl"], "TRAINING_CONFIG_OPTIONS": changed}, "grpo")
    assert faults == [] and made.values[path] == value


def test_a_micro_batch_of_reinforcement_is_counted_in_questions():
    made, _ = translate({**BLOCKS["latent-6+rl"], "MICRO_BATCH_SIZE": "64"}, "grpo")
    assert made.values["train.micro_batch"] == 4


def test_a_model_of_ones_own_needs_no_option(tmp_path, monkeypatch):
    """Its folder says how it thinks."""
    from tacit.models import folder

    method = {"name": "distill", "latents": {"plus": 3}}
    facts = {"method": method, "template": {"cue": " So: "}}
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(folder, "read_facts", lambda place, revision=None: facts)
    made, faults = translate({**BLOCKS["latent-6+rl"], "MODEL_PATH_OR_REPO": str(tmp_path)}, "grpo")
    assert faults == [] and made.values["model.path"] == str(tmp_path)
    assert made.values["method.actor"] == method and made.values["template.cue"] == " So: "


# --- what does not fit -------------------------------------------------------------------------------------------------

FAULTS = [
    (
        {"TRAINING": "codi_loss_20>codi_los_20"},
        "codi_los_20 is no option of this variable; did you mean codi_loss_20?",
    ),
    ({"TRAINING": "lr_8e-4>lr_8e-4/r_128"}, "r_128 is no option of this variable; it is one of LORA_CONFIG_OPTIONS"),
    ({"LATENT": "MLP>MPL"}, "recurrent_filter_MPL is no option of this variable; did you mean recurrent_filter_MLP?"),
    ({"TRAINING": "/codi_loss_20>"}, "silent steps need a state to be compared; add codi_loss_20"),
    ({"TRAINING": "latent_flat_6/>"}, "method.codi goes with silent steps, and none are set"),
    ({"TRAINING": "/calc_smooth_l1>"}, "nothing says how states are compared"),
    ({"TRAINING": "/norm_layerwise_std>"}, "nothing says how states are compared"),
    ({"TRAINING": "/lr_8e-4>"}, "nothing says train.lr"),
    ({"TRAINING": "/steps_30k>"}, "nothing says train.steps"),
    ({"TRAINING": "batch_size_128>batch_size_96"}, "batch_size_96: the published code takes powers of two only"),
    ({"TRAINING": "codi_loss_20>codi_loss_20/gc"}, "gc needs a pass without a cache"),
    ({"TRAINING": "codi_loss_20>codi_loss_20/mask_latent_reasoning_labels"}, "add latent_thought_count_override_6"),
    (
        {"TRAINING": "latent_flat_6>latent_plus_5_by_1_max_10/mask_latent_reasoning_labels"},
        "latent_plus_5_by_1_max_10 makes it depend on the written ones; take latent_flat_6",
    ),
    (
        {"TRAINING": "flat_6>plus_5_by_1_max_10/intermediate_block_llama_9_3"},
        "blocks [9, 3] must be the first and the last layer",
    ),
    ({"TRAINING": "slice_proportion_85p>slice_proportion_85"}, "did you mean slice_proportion_85p?"),
    (
        {"TRAINING": "slice_proportion_85p>slice_proportion_0p"},
        "task (gsm8k-aug, slice_proportion_0p, remove_negative_answers): part [0.0, 0.0] must be",
    ),
    ({"LORA": "/latent_modules_to_save>"}, "the tokens of thinking would not be learned; add it"),
    ({"LORA": "/r_128>"}, "nothing says model.lora.r; add r_128"),
    ({"LORA": "llama_target_modules/>"}, "nothing says model.lora.targets"),
    ({"VAL": "/latent_thinking>"}, "the model is trained to think silently; add latent_thinking"),
    ({"VAL": "gsm8k-aug-val>gsm8k-aug-nl-val"}, "of another data set"),
    ({"VAL": "gsm8k-aug-val/>"}, "nothing says what is answered every 200 steps; set gsm8k-aug-val"),
]


@pytest.mark.parametrize(("change", "sentence"), FAULTS, ids=[next(iter(change.values())) for change, _ in FAULTS])
def test_what_does_not_fit_is_refused(change, sentence):
    with pytest.raises(TacitError) as caught:
        plan(block(**change))
    assert sentence in str(caught.value), caught.value


def test_silent_options_without_silent_steps():
    made = {**block("cot_sft"), "LATENT_SETTINGS_OPTIONS": "recurrent_filter_MLP"}
    made["VAL_CONFIG_OPTIONS"] += "/latent_thinking/latent_thought_count_override_6"
    made["LORA_CONFIG_OPTIONS"] += "/latent_modules_to_save"
    with pytest.raises(TacitError) as caught:
        plan(made)
    told = str(caught.value)
    assert "4 faults" in told and told.count("goes with silent steps") == 4


def test_everything_that_is_wrong_is_told_at_once():
    made = {**block(TRAINING="lr_8e-4>lr_8x"), "MICRO_BATCH_SIZE": "many", "GRPO_CONFIG_OPTIONS": "num_gen_16"}
    del made["DIR_NAME"], made["MODEL_PATH_OR_REPO"]
    with pytest.raises(TacitError) as caught:
        plan(made, ["train.seeed=1"], "sft")
    told = str(caught.value)
    other = "scripts/sft.bash reads no such"
    for part in ("lr_8x", "many is no number", other, "DIR_NAME", "MODEL_PATH", "train.seeed: train has no such field"):
        assert part in told


REINFORCED = [
    ({"TRAINING": "batch_size_128>batch_size_120"}, "120 completions are no whole groups of 16"),
    ({"TRAINING": "model-latent-6/>"}, "nothing says which model; add model-latent-6, say"),
    (
        {"TRAINING": "model-latent-6>model-mine"},
        "there is no folder checkpoints/mine/merged; train the model and merge it",
    ),
    (
        {"TRAINING": "rel_len_acc_req_ALL>lr_1e-5"},
        "lr_1e-5 is no option of this variable; it is one of GRPO_CONFIG_OPTIONS",
    ),
    ({"GRPO": "lr_1e-5/>"}, "nothing says train.lr"),
    ({"VAL": "/latent_thinking>"}, "add latent_thinking"),
    ({"LORA": "/latent_modules_to_save>"}, "would not be learned"),
]


@pytest.mark.parametrize(("change", "sentence"), REINFORCED, ids=[next(iter(c.values())) for c, _ in REINFORCED])
def test_what_does_not_fit_in_reinforcement(change, sentence):
    _, faults = translate(block("latent-6+rl", **change), "grpo")
    assert any(sentence in fault for fault in faults), faults


# --- where variables stand ---------------------------------------------------------------------------------------------


def written(tmp_path, words: str):
    (tmp_path / "block").write_text(words)
    return from_file(tmp_path / "block")


def test_a_pasted_block(tmp_path):
    found = written(
        tmp_path, "```bash\n# six steps\nexport DIR_NAME='a b'  # here\nLATENT_SETTINGS_OPTIONS=\nTIME_LIMIT=3\n```\n"
    )
    assert found == {"DIR_NAME": "a b", "TIME_LIMIT": "3"}


def test_faults_of_a_file(tmp_path):
    words = (
        'DIR_NAMES=x\nDIR_NAME="x\nDIR_NAME=a b\nTIME_LIMIT=$HOURS\nbash scripts/sft.bash\nTIME_LIMIT=1\nTIME_LIMIT=2\n'
    )
    with pytest.raises(TacitError) as caught:
        written(tmp_path, words)
    told = str(caught.value).splitlines()[1:]
    parts = ["mean DIR_NAME", "not closed", "needs quotation", "worked out by a shell", "no assignment", "set twice"]
    assert len(told) == len(parts) and all(part in line for line, part in zip(told, parts)), told
    assert [line.split(":")[0].strip() for line in told] == [f"line {n}" for n in (1, 2, 3, 4, 5, 7)]
    with pytest.raises(TacitError, match="there is no assignment in it"):
        written(tmp_path, "# nothing\n")
    with pytest.raises(TacitError, match="cannot be read"):
        from_file(tmp_path / "nowhere")


def test_empty_variables_are_not_set():
    assert from_environment({"DIR_NAME": " ", "TIME_LIMIT": "2", "HOME": "/"}) == {"TIME_LIMIT": "2"}
