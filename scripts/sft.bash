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

source "$(dirname "${BASH_SOURCE[0]}")/launch.bash"
launch sft "$@"
