"""Options that contradict each other, or that are missing: the published code's own checks, in sentences."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tacit.compat.adaptive.plan import Plan

LOSSES = ("method.codi", "method.meaned")
MEASURE, NORM = "method.distance.measure", "method.distance.norm"
ONLY_SILENT = ("mask_latent_reasoning_labels", "shift_target_token_one", "remove_last_reasoning_step")
TRAINING, VALIDATION = "TRAINING_CONFIG_OPTIONS", "VAL_CONFIG_OPTIONS"
LORA, GRPO = "LORA_CONFIG_OPTIONS", "GRPO_CONFIG_OPTIONS"

WRITING = ("cot", "no_cot")
"""Methods without silent steps."""
ALONE = "goes with silent steps, and none are set; add latent_flat_6, say, or leave it out"
ADAPTERS = {
    "model.lora.targets": "llama_target_modules",
    "model.lora.r": "r_128",
    "model.lora.alpha": "alpha_32",
}
TRAINED = {
    "task.variant": "gsm8k-aug",
    "train.batch": "batch_size_128",
    "train.steps": "steps_30k",
    "train.lr": "lr_8e-4",
}
REINFORCED = {"train.lr": "lr_1e-5", "train.steps": "steps_60k"}
"""What has to be said, and how that would look."""


def contradictions(made: "Plan", variables: Mapping[str, str]) -> Iterator[str]:
    """A sentence for each."""
    given = {one.name for one in made.chosen}
    set_ = {path for one in made.chosen for path in one.fields}
    if variables.get(LORA):
        yield from _unsaid(LORA, set_, ADAPTERS)
    if made.kind == "grpo":
        yield from _unsaid(GRPO, set_, REINFORCED)
        actor = made.values.get("method.actor")
        if actor is not None:
            yield from _adapters(variables, given, silent=actor["name"] not in WRITING)
            yield from _validation(made, given, silent=actor["name"] not in WRITING)
        return
    batch = made.values.get("train.batch", 1)
    if batch < 1 or batch & (batch - 1):
        yield f"{made.origins['train.batch']}: the published code takes powers of two only; set batch_size_128, say"
    if "MODEL_PATH_OR_REPO" not in variables:
        yield "MODEL_PATH_OR_REPO: is missing; name the base model, a folder or a hub id"
    silent = made.values["method.name"] not in WRITING
    yield from _unsaid(TRAINING, set_, TRAINED)
    yield from _adapters(variables, given, silent)
    yield from _silent(made, variables, given, set_) if silent else _written(variables, given, set_)
    yield from _validation(made, given, silent)


def _unsaid(variable: str, set_: set[str], wanted: Mapping[str, str]) -> Iterator[str]:
    for path, example in wanted.items():
        if path not in set_:
            yield f"{variable}: nothing says {path}; add {example}, say"


def _adapters(variables: Mapping[str, str], given: set[str], silent: bool) -> Iterator[str]:
    learned = "latent_modules_to_save" in given
    if learned and not silent:
        yield f"{LORA}: latent_modules_to_save {ALONE}"
    if silent and variables.get(LORA) and not learned:
        yield f"{LORA}: without latent_modules_to_save the filter and the tokens of thinking would not be learned; add it"


def _silent(made: "Plan", variables: Mapping[str, str], given: set[str], set_: set[str]) -> Iterator[str]:
    values = made.values
    if not any(values[path] for path in LOSSES):
        yield f"{TRAINING}: silent steps need a state to be compared; add codi_loss_20 or mean_reasoning_loss_20"
    for path, example in ((MEASURE, "calc_smooth_l1"), (NORM, "norm_layerwise_std")):
        if path not in set_:
            yield f"{TRAINING}: nothing says how states are compared ({path}); add {example}, say"
    if not variables.get("LATENT_SETTINGS_OPTIONS"):
        yield "LATENT_SETTINGS_OPTIONS: is empty, and the silent steps need to be made; set recurrent_filter_MLP"
    elif "method.thoughts.feedback" not in set_:
        yield "LATENT_SETTINGS_OPTIONS: nothing says how a state is fed back; add recurrent_filter_MLP"
    for name in sorted({"gc", "gc_if_necessary"} & given):
        yield f"{TRAINING}: {name} needs a pass without a cache, and silent steps have one; leave it out, or set no_gc"
    if values.get("method.stop") == 0 and values.get("method.latents.per_step"):
        yield (
            f"{TRAINING}: mask_latent_reasoning_labels leaves the number of silent steps unlearned, and "
            f"{made.origins['method.latents.per_step'].split(': ')[1]} makes it depend on the written ones; take latent_flat_6"
        )
    if values.get("method.stop") == 0 and "eval.latents" not in set_:
        yield (
            f"{VALIDATION}: mask_latent_reasoning_labels leaves the number of silent steps unlearned, so it must be given; add "
            f"latent_thought_count_override_{values['method.latents.plus']}"
        )


def _written(variables: Mapping[str, str], given: set[str], set_: set[str]) -> Iterator[str]:
    for path in (*LOSSES, MEASURE, NORM, "method.distance.blocks"):
        if path in set_:
            yield f"{TRAINING}: {path} {ALONE}"
    for name in ONLY_SILENT:
        if name in given:
            yield f"{TRAINING}: {name} {ALONE}"
    if variables.get("LATENT_SETTINGS_OPTIONS"):
        yield f"LATENT_SETTINGS_OPTIONS: {variables['LATENT_SETTINGS_OPTIONS']} {ALONE}"


def _validation(made: "Plan", given: set[str], silent: bool) -> Iterator[str]:
    if "eval.split" not in made.values:
        if made.values["eval.every"]:
            yield f"{VALIDATION}: nothing says what is answered every {made.values['eval.every']} steps; set gsm8k-aug-val"
        return
    if silent != ("latent_thinking" in given):
        yield f"{VALIDATION}: " + (
            "the model is trained to think silently; add latent_thinking"
            if silent
            else "latent_thinking goes with silent steps, and the model is trained without; leave it out"
        )
    if "eval.latents" in made.values and not silent:
        yield f"{made.origins['eval.latents']} goes with silent steps; leave it out"
    language = "task.variant" in made.values and made.values["task.variant"] == "gsm8k-aug-nl"
    if language != ("gsm8k-aug-nl-val" in given) and "gsm8k-aug-test" not in given:
        yield f"{made.origins['eval.split']}: is of another data set than {TRAINING}; take the one of the same name"
