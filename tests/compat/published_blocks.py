"""The published blocks of option variables, put together from what they have in common."""

MODEL = "meta-llama/Llama-3.2-1B-Instruct"
WRITTEN = (
    "gsm8k-aug/slice_proportion_85p{}/batch_size_128/steps_30k/lr_1e-4/cosine-warmup_900/max_grad_norm_2/weight_decay_0p1"
    "/no_decay_some_params/val_period_200/save_checkpoint_period_4k/gc_if_necessary"
)
SILENT = "/lr_8e-4/cosine-warmup_900/max_grad_norm_2/weight_decay_0p1/val_period_200/save_checkpoint_period_4k"
MEASURED = "/calc_smooth_l1/norm_layerwise_std"
LEARNED = (
    "gsm8k-aug/slice_proportion_85p/remove_last_reasoning_step/remove_negative_answers/{}/batch_size_128/steps_30k"
    "/codi_loss_20"
)
SHORT = "gsm8k-aug/remove_last_reasoning_step/remove_negative_answers/latent_flat_6/batch_size_128/steps_30k/"
WHOLE = "gsm8k-aug/latent_flat_6/batch_size_128/steps_30k/"
INTERMEDIATE = "/intermediate_block_llama_3_12"
REINFORCED = "/slice_proportion_15p/batch_size_128/rel_len_penalty_1e-4/rel_len_acc_req_ALL/rel_len_reward_1e-1"
STANDARD = (
    "standard-1a/cosine_lr/lr_1e-5/weight_decay_1e-3/beta_1e-3/steps_60k/eval_steps_200/save_steps_200/no_save_limit"
    "/num_gen_16"
)


def _written(how: str) -> dict[str, str]:
    return {
        "MODEL_PATH_OR_REPO": MODEL,
        "LATENT_SETTINGS_OPTIONS": "",
        "LORA_CONFIG_OPTIONS": "llama_target_modules/r_128/alpha_32/dropout_0p1",
        "TRAINING_CONFIG_OPTIONS": WRITTEN.format(how),
        "VAL_CONFIG_OPTIONS": "gsm8k-aug-val",
    }


def _silent(training: str, latent: str = "", validation: str = "") -> dict[str, str]:
    return {
        "MODEL_PATH_OR_REPO": MODEL,
        "LATENT_SETTINGS_OPTIONS": f"recurrent_filter_MLP{latent}",
        "LORA_CONFIG_OPTIONS": "llama_target_modules/latent_modules_to_save/r_128/alpha_32/dropout_0p1",
        "TRAINING_CONFIG_OPTIONS": training,
        "VAL_CONFIG_OPTIONS": f"gsm8k-aug-val/latent_thinking{validation}",
    }


def _learned(count: str) -> dict[str, str]:
    return _silent(f"{LEARNED.format(count)}{MEASURED}{SILENT}/no_decay_some_params/shift_target_token_one")


def _given(losses: str) -> dict[str, str]:
    training = f"{losses}{MEASURED}{SILENT}/mask_latent_reasoning_labels/no_decay_some_params/shift_target_token_one"
    return _silent(training, "/detach_binary_head_inputs", "/latent_thought_count_override_6")


def _reinforced(model: str) -> dict[str, str]:
    return {
        "TRAINING_CONFIG_OPTIONS": f"model-{model}{REINFORCED}",
        "GRPO_CONFIG_OPTIONS": STANDARD,
        "LORA_CONFIG_OPTIONS": "llama_target_modules/latent_modules_to_save/r_32/alpha_32/dropout_0p1",
        "VAL_CONFIG_OPTIONS": "gsm8k-aug-val/latent_thinking",
    }


SFT = {
    "cot_sft": _written(""),
    "no_cot_sft": _written("/no_cot"),
    "latent-6": _learned("latent_flat_6"),
    "latent-6-by-1": _learned("latent_plus_5_by_1_max_10"),
    "appendix-codi": _given(f"{SHORT}codi_loss_20"),
    "appendix-codi+intermediate": _given(f"{SHORT}codi_loss_20{INTERMEDIATE}"),
    "appendix-meaned": _given(f"{WHOLE}mean_reasoning_loss_20"),
    "appendix-meaned+intermediate": _given(f"{WHOLE}mean_reasoning_loss_20{INTERMEDIATE}"),
    "appendix-meaned+codi": _given(f"{SHORT}codi_loss_20/mean_reasoning_loss_20"),
}
GRPO = {"latent-6+rl": _reinforced("latent-6"), "latent-6-by-1+rl": _reinforced("latent-6-by-1")}
BLOCKS = {name: {**block, "DIR_NAME": name} for name, block in {**SFT, **GRPO}.items()}


def text(block: dict[str, str]) -> str:
    """As it is printed: an assignment a line, nothing behind the sign where nothing is chosen."""
    return "".join(f'{name}="{value}"\n' if value else f"{name}=\n" for name, value in block.items())
