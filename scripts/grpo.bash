#!/usr/bin/env bash
# Reinforcement learning on the length of thought, by a block of option variables: paste one below, or set the variables before calling.
#
#     bash scripts/grpo.bash [--dry-run] [--tiny] [train.seed=1 …]
#
# What the published recipes are: docs/adaptive.md. The model comes with TRAINING_CONFIG_OPTIONS, or as MODEL_PATH_OR_REPO.
# PROCESSES=2 trains on two devices; MICRO_BATCH_SIZE is that of each.
set -euo pipefail

# ---- a block of options goes here ----

# --------------------------------------

source "$(dirname "${BASH_SOURCE[0]}")/launch.bash"
launch grpo "$@"
