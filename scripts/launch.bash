# Sourced by the scripts beside it: call the package of this checkout, on one process or on several. PYTHON chooses an
# interpreter; otherwise it is the checkout's own .venv, or else the one that is active.

# What a block of options may set, whether or not its shell exported it.
export MODEL_PATH_OR_REPO="${MODEL_PATH_OR_REPO:-}" DIR_NAME="${DIR_NAME:-}" SAVE_DIR_OVERRIDE="${SAVE_DIR_OVERRIDE:-}"
export LATENT_SETTINGS_OPTIONS="${LATENT_SETTINGS_OPTIONS:-}" LORA_CONFIG_OPTIONS="${LORA_CONFIG_OPTIONS:-}"
export TRAINING_CONFIG_OPTIONS="${TRAINING_CONFIG_OPTIONS:-}" GRPO_CONFIG_OPTIONS="${GRPO_CONFIG_OPTIONS:-}"
export VAL_CONFIG_OPTIONS="${VAL_CONFIG_OPTIONS:-}"
export MICRO_BATCH_SIZE="${MICRO_BATCH_SIZE:-}" TIME_LIMIT="${TIME_LIMIT:-}"

launch() {
    local root python
    root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
    python="${PYTHON:-python}"
    if [ -z "${PYTHON:-}" ] && [ -z "${VIRTUAL_ENV:-}" ] && [ -x "$root/.venv/bin/python" ]; then
        python="$root/.venv/bin/python"
    fi
    export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"
    if [ "${PROCESSES:-1}" -gt 1 ]; then
        exec "$python" -m torch.distributed.run --standalone --nproc-per-node "$PROCESSES" -m tacit.compat.adaptive.run "$@"
    fi
    exec "$python" -m tacit.compat.adaptive.run "$@"
}
