"""Every way to get a recipe wrong gets its own message, and all of them at once."""

import pytest

from tacit.recipe import FaultyRecipe, load

NO_FP16 = (
    "fp16 is not offered: its narrow range overflows in chains of silent steps, and a loss scaler would hide that by "
    "skipping steps; set bf16, or fp32 where the device has no bf16"
)

# Override on top of a sound recipe → path of the fault, its sentence.
VALUES = [
    ("train.steps=ten", "train.steps", '"ten" is not a whole number'),
    ("train.steps=2.5", "train.steps", "2.5 is not a whole number"),
    ("train.steps=true", "train.steps", "true is not a whole number"),
    ("train.steps=0", "train.steps", "0 must be at least 1"),
    ("train.steps='5'", "train.steps", '"5" is not a whole number'),
    ("train.lr=fast", "train.lr", '"fast" is not a number'),
    ("train.lr=0", "train.lr", "0 must be more than 0"),
    ("train.lr=.inf", "train.lr", "Infinity must be a finite number"),
    ("train.lr=", "train.lr", "null is not a number"),
    ("train.decay_to=2", "train.decay_to", "2 must be at most 1"),
    ("train.checkpointing=maybe", "train.checkpointing", '"maybe" is neither true nor false'),
    (
        "train.schedule=cosin",
        "train.schedule",
        '"cosin" is not one of constant, linear or cosine; did you mean cosine?',
    ),
    ("train.micro_batch=lots", "train.micro_batch", '"lots" is not a whole number and is not one of auto'),
    ("train.micro_batch=0", "train.micro_batch", "0 must be at least 1 and is not one of auto"),
    ("train.betas=0.9", "train.betas", "0.9 is not a list"),
    ("train.betas=[0.9]", "train.betas.1", "is missing"),
    ("train.betas=[0.9, 1.5]", "train.betas.1", "1.5 must be less than 1"),
    ("train=3", "train", "3 is not a group of fields"),
    ("run.name=2024", "run.name", "2024 is not text; as text it is '\"2024\"'"),
    (
        "model.tiny.family=lama",
        "model.tiny.family",
        '"lama" is not one of gpt2, llama, qwen2, qwen3, mistral, gemma, '
        "olmo2, phi, gpt_neox, opt, gru, lstm, roles or gaussian; did you mean llama?",
    ),
    ("model.lora.targets=[1]", "model.lora.targets.0", "1 is not text; as text it is '\"1\"'"),
    ("template.question=hello", "template.question", "'hello' must contain {question} exactly once"),
    (
        "train.precision=fp16",
        "train.precision",
        NO_FP16,
    ),
    (
        "model.dtype=float16",
        "model.dtype",
        NO_FP16,
    ),
    ("method.latents_per_step=two", "method.latents_per_step", '"two" is not a whole number'),
    ("method.latents_per_step=0", "method.latents_per_step", "0 must be at least 1"),
    ("method.window=[3, 1]", "method", "window [3, 1] ends before it starts"),
    ("task.shuffled=1", "task.shuffled", "1 is neither true nor false"),
]

NAMES = [
    ("method.latents_per_stp=2", "method.latents_per_stp", "latent has no such field; did you mean latents_per_step?"),
    ("task.lenght=2", "task.lenght", "chain has no such field; did you mean length?"),
    ("task.zzz=2", "task.zzz", "chain has no such field"),
    ("train.bach=2", "train.bach", "train has no such field; did you mean batch?"),
    ("model.tiny.layer=2", "model.tiny.layer", "model.tiny has no such field; did you mean layers?"),
    ("train.latents.round=2", "train.latents.round", "train.latents has no such field; did you mean rounds?"),
    ("lr=1e-4", "lr", "a recipe has no such field; did you mean train.lr?"),
    ("method.lr=1e-4", "method.lr", "latent has no such field; did you mean train.lr?"),
    ("trian.lr=1e-4", "trian", "a recipe has no such field; did you mean train?"),
    ("train..lr=1e-4", "train.", "train has no such field"),
    (
        "method.name=latnet",
        "method.name",
        '"latnet" is no known method; known: latent, written; did you mean latent?',
    ),
    ("task.name=7", "task.name", "7 is no known task; known: chain, graph"),
    ("task.name=null", "task.name", "is missing; set task.name to one of: chain, graph"),
    ("method=latent", "method", '"latent" is not a group of fields; set method.name to choose one'),
    ("method=", "method", "null is not a group of fields; set method.name to choose one"),
    ("train.steps", "train.steps", "an override is written train.steps=VALUE"),
    ("=3", "=3", "an override is written train.steps=VALUE"),
    ("train.betas=[0.9, 0.99", "train.betas", "[0.9, 0.99 cannot be read; close the brackets, or quote the text"),
    (
        "method.name=written method.latents_per_step=3",
        "method.latents_per_step",
        "written has no such field, which belongs to latent",
    ),
]

PAIRS = [
    (
        "model.path=gpt2 model.tiny.layers=2",
        "model.path",
        "model.path and model.tiny exclude each other; set one to null",
    ),
    (
        "model.tiny=",
        "model.tiny",
        "there is no model; set model.path to a folder or hub id, or model.tiny: {layers: 2} for one from scratch",
    ),
    (
        "model.path=gpt2 model.tokenizer=word",
        "model.tokenizer",
        "existing weights know their own tokens, not those of a new word tokenizer; set model.tokenizer: auto",
    ),
    ("model.revision=main", "model.revision", "a revision belongs to model.path, which is not set"),
    ("model.tokenizer=bpe", "model.tokenizer", "a bpe tokenizer needs a size; set model.vocabulary: 2000, say"),
    (
        "model.vocabulary=500",
        "model.vocabulary",
        "only a bpe tokenizer has a size to set, and model.tokenizer is auto; set model.vocabulary: null, or "
        "model.tokenizer: bpe",
    ),
    (
        "model.tiny.heads=3",
        "model.tiny.heads",
        "3 heads do not divide a hidden width of 64: set heads to 2",
    ),
    (
        "model.tiny.hidden=30",
        "model.tiny.hidden",
        "4 heads do not divide a hidden width of 30: set heads to 3",
    ),
    (
        "model.tiny.family=llama model.tiny.kv_heads=3",
        "model.tiny.kv_heads",
        "3 do not divide 4 heads: set kv_heads to 2",
    ),
    (
        "model.tiny.family=gru model.tiny.heads=2",
        "model.tiny.heads",
        "gru has no such setting: leave it out, or take one of gpt2, llama, qwen2, qwen3, mistral, gemma, olmo2, phi, "
        "gpt_neox, opt",
    ),
    (
        "model.tiny.family=gru model.lora.r=8",
        "model.tiny.family",
        "a gru has no linear maps to adapt; set model.lora: null",
    ),
    (
        "model.init_tokens=<<",
        "model.init_tokens",
        "a model from scratch has no learned rows to start thought tokens from; set model.init_tokens: mean",
    ),
    (
        "model.dtype=fp32 train.precision=bf16_weights",
        "model.dtype",
        "fp32 weights cannot be trained as bf16 weights; set model.dtype: auto, or train.precision: bf16",
    ),
    (
        "model.dtype=bf16",
        "model.dtype",
        "without lora all weights are trained, and train.precision fp32 keeps them in fp32; set model.dtype: auto, or "
        "train.precision: bf16_weights",
    ),
    (
        "model.attention=flash_attention_2",
        "model.attention",
        "flash attention computes in 16 bits only; set train.precision: bf16, or model.attention: sdpa",
    ),
    ("train.steps=", "train.steps", "there is no end to training; set train.steps or train.epochs"),
    ("train.steps=9 train.epochs=1", "train.steps", "train.steps and train.epochs exclude each other; set one to null"),
    (
        "train.micro_batch=48",
        "train.micro_batch",
        "64 rows cannot be split into micro-batches of 48; set a divisor of it, or auto",
    ),
    (
        "train.checkpointing=true",
        "train.checkpointing",
        "gradient checkpointing switches the model's cache off, and cached silent steps need it; set "
        "train.latents.schedule: recompute (same numbers; slower, but only where there are silent steps), or "
        "train.checkpointing: false",
    ),
    (
        "train.latents.schedule=jacobi",
        "train.latents.schedule",
        "jacobi needs its number of rounds; set train.latents.rounds: 3, say",
    ),
    (
        "train.latents.rounds=3",
        "train.latents.rounds",
        "only jacobi goes in rounds, and the schedule is cached; set train.latents.rounds: null",
    ),
    (
        "train.checkpointing=true method.schedule=jacobi",
        "train.checkpointing",
        "gradient checkpointing switches the model's cache off, and jacobi silent steps need it; set "
        "train.latents.schedule: recompute (same numbers; slower, but only where there are silent steps), or "
        "train.checkpointing: false",
    ),
    ("train.warmup_per_stage=true", "train.warmup_per_stage", "there is no warm-up to repeat; set train.warmup"),
    (
        "train.decay_to=0.1",
        "train.decay_to",
        "a constant learning rate does not decay; set train.schedule: cosine, or train.decay_to: 0",
    ),
    (
        "eval.samples=4",
        "eval.samples",
        "4 samples at temperature 0 are all the same; set eval.temperature, or eval.samples: 1",
    ),
    ("model.path=./no/such/folder", "model.path", "./no/such/folder does not exist"),
    ("model.path=runs/nobody/final", "model.path", "runs/nobody/final does not exist"),
]


def faults_of(recipe: str, overrides=(), **options):
    with pytest.raises(FaultyRecipe) as caught:
        load(recipe, overrides, **options)
    return caught.value


@pytest.mark.parametrize(("overrides", "path", "sentence"), [*VALUES, *NAMES, *PAIRS])
def test_a_fault_on_the_command_line(base, overrides, path, sentence):
    words = overrides.split(" ") if overrides.count("=") > 1 else [overrides]
    [fault] = faults_of(base, words).faults
    assert (fault.path, fault.sentence, fault.origin) == (path, sentence, "command line")


@pytest.mark.parametrize(
    ("text", "path", "sentence", "line"),
    [
        ("train: {lr: fast}", "train.lr", '"fast" is not a number', 11),
        ("train:\n  lr: 1\n  lr: 2", "train.lr", "is set twice, here and at {file}:12; keep one", 13),
        ("train: {lr: 1}\ntrain.lr: 2", "train.lr", "is set twice, here and at {file}:11; keep one", 12),
        ("run: {name: 2024}", "run.name", '2024 is not text; as text it is "2024"', 11),
        (
            "extends: no/such",
            "extends",
            "there is no recipe called 'no/such'; tacit ls recipes shows all names, and the "
            "path of a file must end in .yaml",
            11,
        ),
        ("extends: [3]", "extends", "3 is not the name of a recipe", 11),
        ("extends: gone.yaml", "extends", "there is no file {folder}/gone.yaml", 11),
        ("templat:\n  cue: x", "templat", "a recipe has no such field; did you mean template?", 12),
    ],
)
def test_a_fault_in_a_file_has_its_line(shelf, tmp_path, text, path, sentence, line):
    sound = "model: {tiny: {}}\ntask:\n  name: chain\n\nmethod:\n  name: latent\n\n\n\neval: {limit: 3}\n"
    file = shelf(broken=f"{sound}{text}\ntrain.steps: 10\n")
    [fault] = faults_of(file).faults
    assert fault.path == path
    assert fault.sentence == sentence.format(file=file, folder=tmp_path)
    assert fault.origin == f"{file}:{line}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("train: {lr: 1", "{file}:1 cannot be read as YAML"),
        ("- a\n- b\n", "{file} is no recipe"),
        ("train: &t {lr: 1}\neval: *t\n", "{file}:2 cannot be read as YAML: aliases are not read"),
        ("train: {lr: !!python/name:os.system x}", "{file}:1 cannot be read as YAML: values of type"),
        ("? [a, b]\n: 1\n", "{file}:1 cannot be read as YAML: a key must be a word"),
        ("model: {lora: {targets: [{a: 1, a: 2}]}}", "{file}:1 cannot be read as YAML: a key is set twice"),
        ("train: {lr: \x01}", "{file} cannot be read as YAML"),
    ],
)
def test_text_that_is_no_recipe(shelf, text, message):
    from tacit.errors import RecipeError

    file = shelf(broken=text)
    with pytest.raises(RecipeError) as caught:
        load(file)
    assert str(caught.value).startswith(message.format(file=file))


def test_an_empty_file_lacks_everything(shelf):
    faults = faults_of(shelf(empty="")).faults
    assert [fault.path for fault in faults] == ["task", "method", "model.path", "train.steps"]
    assert faults[0].sentence == "is missing; set task.name to one of: chain, graph"


SEVERAL = [
    "method.latents_per_stp=2",
    "train.micro_batch=48",
    "train.lr=fast",
    "task.name=chian",
    "model.path=./nowhere",
]


def check_all_reported(recipe: str) -> None:
    error = faults_of(recipe, SEVERAL)
    assert {fault.path for fault in error.faults} == {word.split("=")[0] for word in SEVERAL}
    assert all(f"\n  {fault.path} " in str(error) for fault in error.faults)


def test_all_faults_at_once(base):
    check_all_reported(base)


def test_reporting_only_the_first_fault_would_be_noticed(base, monkeypatch):
    monkeypatch.setattr("tacit.recipe.loader.FaultyRecipe", lambda name, faults: FaultyRecipe(name, faults[:1]))
    with pytest.raises(AssertionError):
        check_all_reported(base)


def test_rules_judge_the_sound_part_of_a_faulty_recipe(base, monkeypatch):
    """The twin of the check above: without rules on what is sound, faults would wait for a second try."""
    monkeypatch.setattr("tacit.recipe.loader.impossible", lambda recipe: ())
    with pytest.raises(AssertionError):
        check_all_reported(base)


def test_what_the_method_decides_is_judged_beside_other_faults(base):
    faults = faults_of(base, ["train.lr=fast", "train.checkpointing=true"]).faults
    assert [fault.path for fault in faults] == ["train.lr", "train.checkpointing"]
    faults = faults_of(base, ["method.name=latnet", "train.checkpointing=true"]).faults
    assert [fault.path for fault in faults] == ["method.name"]


def test_a_faulty_value_is_not_judged_twice(base):
    """A batch that is no number is one fault; the rule about micro-batches must not speak of a default nobody chose."""
    faults = faults_of(base, ["train.batch=many", "train.micro_batch=48"]).faults
    assert [fault.path for fault in faults] == ["train.batch"]


def test_a_missing_parent_does_not_count_as_missing_values(shelf):
    file = shelf(child="extends: gone.yaml\ntrain: {lr: fast}\n")
    assert [fault.path for fault in faults_of(file).faults] == ["extends", "train.lr"]


def test_the_table(base):
    text = str(faults_of(base, ["method.latents_per_stp=2", "train.precision=fp16"]))
    assert text == (
        "recipe base has 2 faults\n"
        "  method.latents_per_stp  latent has no such field; did you mean latents_per_step?        (command line)\n"
        "  train.precision         fp16 is not offered: its narrow range overflows in chains of\n"
        "                          silent steps, and a loss scaler would hide that by skipping\n"
        "                          steps; set bf16, or fp32 where the device has no bf16           (command line)"
    )


def test_packages_that_are_not_there(base, monkeypatch):
    monkeypatch.setattr("tacit.recipe.rules.find_spec", lambda name: None)
    faults = faults_of(base, ["train.optimizer=adamw_8bit", "train.track=wandb"]).faults
    assert [fault.sentence for fault in faults] == [
        "adamw_8bit needs the package bitsandbytes; install it, or set adamw",
        "wandb is not installed; pip install wandb, or set train.track: none",
    ]


def test_a_folder_that_a_recipe_would_make(base, tmp_path, monkeypatch):
    monkeypatch.setattr("tacit.recipe.rules.names", lambda: ["toys/cot-tiny"])
    [fault] = faults_of(base, ["model.path=runs/toys-cot-tiny/final"]).faults
    assert fault.sentence == "runs/toys-cot-tiny/final does not exist; train it first with tacit train toys/cot-tiny"
    assert load(base, ["model.path=runs/toys-cot-tiny/final"], disk=False).recipe.model.path
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs/toys-cot-tiny/final").mkdir(parents=True)
    assert load(base, ["model.path=runs/toys-cot-tiny/final"]).recipe.model.path
