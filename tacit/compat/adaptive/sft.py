"""The registries of supervised training: one for each variable, and what holds where no option says otherwise."""

from typing import Any

from tacit.compat.adaptive import option
from tacit.compat.adaptive.option import Fields, Option, Registry, always, field

SHIFTED = {"template.cue": " The answer is: ", "template.answer": "{answer}"}
"""States are compared at the last token of the cue: the blank behind the colon, or else the colon."""
UNSHIFTED = {"template.cue": " The answer is:", "template.answer": " {answer}"}


def _share(percent: int) -> Fields:
    return {"task.part": [0.0, percent / 100]}


def _data(variant: str, step: str) -> Fields:
    return {"task.variant": variant, "template.step": step}


def _silent(plus: int, per_step: float = 0.0, most: int | None = None) -> Fields:
    counts = {"plus": plus, "per_step": float(per_step), "most": most}
    return {"method.name": "distill", **{f"method.latents.{name}": value for name, value in counts.items()}}


def _feedback(kind: str) -> Fields:
    return {"method.thoughts.feedback": kind}


def _distance(kind: str, value: object) -> Fields:
    return {f"method.distance.{kind}": value}


LATENT: Registry = (
    Option("recurrent_filter_none", always(_feedback("identity"))),
    Option("recurrent_filter_linear", always(_feedback("linear_rms"))),
    Option("recurrent_filter_linear_ECF", always(_feedback("linear_ecf"))),
    Option("recurrent_filter_linear_ln", always(_feedback("linear_ln"))),
    Option("recurrent_filter_SRE", always(_feedback("sre"))),
    Option("recurrent_filter_MLP", always(_feedback("mlp"))),
    Option("add_latent_to_end", always({"method.thoughts.close": "token+thought"})),
    Option(
        "detach_binary_head_inputs",
        always({"method.thoughts.confine": True, "method.thoughts.stop_detached": True}),
    ),
)

LORA: Registry = (
    Option("llama_target_modules", always({"model.lora.targets": "auto"})),
    Option("gpt2_target_modules", always({"model.lora.targets": "auto"})),
    Option("latent_modules_to_save", always()),
    Option("r_COUNT", field("model.lora.r")),
    Option("alpha_NUMBER", lambda x: {"model.lora.alpha": float(x)}),
    Option("dropout_NUMBER", lambda x: {"model.lora.dropout": float(x)}),
)

TRAINING: Registry = (
    Option("gsm8k-aug", always(_data("gsm8k-aug", "{step}"))),
    Option("gsm8k-aug-nl", always(_data("gsm8k-aug-nl", " {step}"))),
    Option("no_cot", always({"method.name": "no_cot"})),
    Option("latent_flat_COUNT", _silent),
    Option("latent_plus_COUNT_by_NUMBER_max_COUNT", _silent),
    Option("remove_last_reasoning_step", always({"method.drop_last": True})),
    Option("remove_negative_answers", always({"task.drop_negative": True})),
    Option("mask_latent_reasoning_labels", always({"method.stop": 0.0})),
    Option("shift_target_token_one", always(SHIFTED)),
    Option("slice_proportion_COUNTp", _share),
    Option("batch_size_COUNT", field("train.batch")),
    Option("steps_COUNT", field("train.steps")),
    Option("lr_NUMBER", lambda x: {"train.lr": float(x)}),
    Option("weight_decay_NUMBER", lambda x: {"train.weight_decay": float(x)}),
    Option("cosine-warmup_COUNT", lambda n: {"train.schedule": "cosine", "train.warmup": n}),
    Option("max_grad_norm_NUMBER", lambda x: {"train.clip": float(x)}),
    Option("no_decay_some_params", always()),
    Option("codi_loss_NUMBER", lambda x: {"method.codi": float(x)}),
    Option("codi_loss", always({"method.codi": 1.0})),
    Option("mean_reasoning_loss_NUMBER", lambda x: {"method.meaned": float(x)}),
    Option("mean_reasoning_loss", always({"method.meaned": 1.0})),
    Option("intermediate_block_llama_COUNT_COUNT", lambda a, b: _distance("blocks", [a, b])),
    Option("intermediate_block_gpt2_COUNT_COUNT", lambda a, b: _distance("blocks", [a, b])),
    Option("calc_smooth_l1", always(_distance("measure", "smooth_l1"))),
    Option("calc_mean_l2", always(_distance("measure", "l2"))),
    Option("norm_layerwise_std", always(_distance("norm", "layer_std"))),
    Option("norm_layerwise_avg_l2", always(_distance("norm", "layer_l2"))),
    Option("norm_std", always(_distance("norm", "std"))),
    Option("norm_avg_l2", always(_distance("norm", "l2"))),
    Option("no_latent_loss_norm", always(_distance("norm", "none"))),
    Option("val_period_COUNT", field("eval.every")),
    Option("save_checkpoint_period_COUNT", field("train.save_every")),
    Option("gc", always({"train.checkpointing": True})),
    Option(
        "gc_if_necessary",
        always(),
        "has no effect; MICRO_BATCH_SIZE=auto goes on in smaller pieces where memory runs out",
    ),
    Option("no_gc", always({"train.checkpointing": False})),
)

VALIDATION: Registry = (
    Option("gsm8k-aug-val", always({"eval.split": "valid"})),
    Option("gsm8k-aug-test", always({"eval.split": "test", "eval.limit": None})),
    Option("gsm8k-aug-nl-val", always({"eval.split": "valid"})),
    Option("latent_thinking", always()),
    Option("latent_thought_count_override_COUNT", field("eval.latents")),
)

UNSAID = option.UNSAID | {"method.name": "cot"}
"""What holds where no option says otherwise."""
UNSAID_ADAPTED: dict[str, Any] = {"model.lora.dropout": 0.0}
"""The same for runs with adapters."""
UNSAID_SILENT: dict[str, Any] = {
    **UNSHIFTED,
    "method.codi": 0.0,
    "method.meaned": 0.0,
    "method.drop_last": False,
    "method.thoughts.max_latents": 16,
}
"""The same for runs with silent steps."""
