# Sourced by the scripts beside it: call the package of this checkout, on one process or on several. PYTHON chooses an
# interpreter; otherwise it is the checkout's own .venv, or else the one that is active.

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
