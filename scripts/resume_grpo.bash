#!/usr/bin/env bash
# Go on with a run of scripts/grpo.bash, to the last bit as if it had never stopped.
#
#     RESUME_PATH=grpo_checkpoints/NAME [RESUME_STEP=8000] bash scripts/resume_grpo.bash [--dry-run]
#
# With RESUME_STEP an earlier checkpoint is taken, where a run has diverged; what came after it is dropped.
set -euo pipefail

export RESUME_PATH="${RESUME_PATH:-}" RESUME_STEP="${RESUME_STEP:-}" TIME_LIMIT="${TIME_LIMIT:-}"

source "$(dirname "${BASH_SOURCE[0]}")/launch.bash"
launch resume grpo "$@"
