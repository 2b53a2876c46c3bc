#!/usr/bin/env bash
# Supervised training by a block of option variables: paste one below, or set the variables before calling.
#
#     bash scripts/sft.bash [--dry-run] [--tiny] [train.seed=1 …]
#
# What the published recipes are: docs/adaptive.md. MODEL_PATH_OR_REPO, DIR_NAME and four kinds of options.
# PROCESSES=2 trains on two devices; MICRO_BATCH_SIZE is that of each.
set -euo pipefail

# ---- a block of options goes here ----

# --------------------------------------

export MODEL_PATH_OR_REPO="${MODEL_PATH_OR_REPO:-}" DIR_NAME="${DIR_NAME:-}" SAVE_DIR_OVERRIDE="${SAVE_DIR_OVERRIDE:-}"
export LATENT_SETTINGS_OPTIONS="${LATENT_SETTINGS_OPTIONS:-}" LORA_CONFIG_OPTIONS="${LORA_CONFIG_OPTIONS:-}"
export TRAINING_CONFIG_OPTIONS="${TRAINING_CONFIG_OPTIONS:-}" GRPO_CONFIG_OPTIONS="${GRPO_CONFIG_OPTIONS:-}"
export VAL_CONFIG_OPTIONS="${VAL_CONFIG_OPTIONS:-}"
export MICRO_BATCH_SIZE="${MICRO_BATCH_SIZE:-}" TIME_LIMIT="${TIME_LIMIT:-}"

source "$(dirname "${BASH_SOURCE[0]}")/launch.bash"
launch sft "$@"
