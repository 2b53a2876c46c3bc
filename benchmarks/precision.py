"""Precisions side by side: what a training step takes, what the process needs, and what is learned in the same number of steps.

GPT-2, 4 layers of 256, six silent steps, on sums of small numbers; on a GPU where there is one. A precision that this machine
cannot run is named with the reason and has no figures.
"""

import time
from importlib.util import find_spec
from pathlib import Path

import torch

from benchmarks.harness import compare, main, row

STEPS, WARM, BATCH = 60, 5, 16
SIZE = "4x256, six silent steps"
PRECISIONS = {
    "fp32": {},
    "bf16 over fp32 weights": {"precision": "bf16"},
    "bf16 weights": {"precision": "bf16_weights"},
    "fp32, 8-bit averages": {"optimizer": "adamw_8bit"},
    "bf16 over fp32 weights, 8-bit averages": {"precision": "bf16", "optimizer": "adamw_8bit"},
    "bf16 weights, 8-bit averages": {"precision": "bf16_weights", "optimizer": "adamw_8bit"},
}


def impossible(fields: dict) -> str | None:
    """Why this machine cannot run it."""
    if fields.get("optimizer") != "adamw_8bit":
        return None
    if not torch.cuda.is_available():
        return "8-bit averages are kept on CUDA only, and there is no GPU here"
    return None if find_spec("bitsandbytes") else "the package bitsandbytes is not installed"


def build(precision: str):
    """A stepper with a fresh model, and the steps' examples."""
    from tacit.example import encode
    from tacit.methods.coconut import Coconut
    from tacit.models.making import make_thinker
    from tacit.models.scratch import Scratch
    from tacit.recipe.schema import Model
    from tacit.recipe.training import Train
    from tacit.tasks.arithmetic import Arithmetic
    from tacit.train.data import Shuffled
    from tacit.train.optim import make_optimizer
    from tacit.train.ranks import Ranks
    from tacit.train.step import Learner, Stepper

    torch.set_num_threads(1)
    train = Train(steps=STEPS, batch=BATCH, lr=3e-4, **PRECISIONS[precision])
    task, method = (
        Arithmetic(step_shares=(0, 0, 1), largest=20, train_rows=512),
        Coconut(latents_per_step=2, first_stage=3),
    )
    examples = task.examples("train")
    model = Model(tiny=Scratch(layers=4, hidden=256, heads=4, positions=256), tokenizer="bpe", vocabulary=512)
    texts = [f"{e.question}\n{' '.join(e.steps)}\n### {e.answer}" for e in examples]
    thinker = make_thinker(model, method.thinking(), texts=texts, precision=train.precision)
    ranks = Ranks()
    thinker.to(ranks.device).train()
    encoded = encode(examples, thinker.tokenizer, task.template)
    learner = Learner(method, thinker, bf16=train.precision == "bf16")
    stepper = Stepper(learner, make_optimizer(thinker, train), encoded, train, ranks)
    return stepper, Shuffled(len(encoded), BATCH, 0)


def one(size: str, contender: str) -> dict[str, float]:
    import resource
    import statistics

    stepper, order = build(contender)
    cuda = torch.cuda.is_available()
    seconds, losses = [], []
    for step in range(STEPS):
        start = time.perf_counter() if cuda else time.process_time()
        losses.append(stepper.take(step + 1, order.picks(step), stage=3).loss)
        if cuda:
            torch.cuda.synchronize()
        seconds.append((time.perf_counter() if cuda else time.process_time()) - start)
    process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    memory = torch.cuda.max_memory_allocated() / 2**20 if cuda else process
    return {
        "cpu": statistics.median(seconds[WARM:]), "memory": memory, "loss": statistics.fmean(losses[-10:]),
    }  # fmt: skip


def report(rounds: int = 1) -> list[dict]:
    here = str(Path(__file__).resolve())
    able = [name for name, fields in PRECISIONS.items() if impossible(fields) is None]
    found = compare(here, SIZE, able, rounds)
    unit, rows = "ms" if torch.cuda.is_available() else "cpu ms", []
    for name in PRECISIONS:
        if reason := impossible(PRECISIONS[name]):
            print(f"{name:<34} {SIZE:<26} not run: {reason}", flush=True)
            rows.append({"name": name, "size": SIZE, "not_run": reason})
            continue
        ours, floor = found[name], found["fp32"]
        rows.append(row(f"{name}: step / fp32", SIZE, ours["cpu"] * 1e3, floor["cpu"] * 1e3, unit))
        rows.append(row(f"{name}: memory / fp32", SIZE, ours["memory"], floor["memory"], "MB"))
        rows.append(row(f"{name}: loss after {STEPS} steps / fp32", SIZE, ours["loss"], floor["loss"], "nat"))
    return rows


if __name__ == "__main__":
    main(__doc__, report, one, rounds=1)
