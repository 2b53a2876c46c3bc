"""What the loop adds to a training step: GPT-2, 4 layers of 256, batches of 32 rows, six silent steps.

`bare` is the same step with nothing around it: loss, backward, clipping and AdamW on batches that were made beforehand.
`ours` is the whole of `fit`: order, layouts, collate, counts, checks, schedule, metrics and the console.
"""

import tempfile
import time
from pathlib import Path

import torch

from benchmarks.data import examples
from benchmarks.harness import compare, main, row

ROWS, STEPS, WARM = 32, 12, 3
SIZES = {"4x256 B32 6 latents": (4, 256), "2x64 B32 6 latents": (2, 64)}


def build(layers: int, hidden: int):
    from tacit.models.scratch import Scratch, build
    from tacit.models.tokenizers import word_tokenizer
    from tacit.models.tokens import add_tokens
    from tacit.thinker import Thinker

    torch.set_num_threads(1)
    tokenizer = word_tokenizer([str(i) for i in range(1000)])
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family="gpt2", layers=layers, hidden=hidden, heads=4, positions=512)
    return Thinker(build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0), tokenizer, vocab)


def recipe():
    from tacit.recipe.choice import decode
    from tacit.recipe.schema import Recipe

    method = {"name": "coconut", "first_stage": 6, "max_stage": 6}
    train = {"steps": STEPS, "batch": ROWS, "log_every": 1, "lr": 1e-4}
    return decode(Recipe, {"task": {"name": "arithmetic"}, "method": method, "train": train})


def whole(thinker, encoded) -> list[float]:
    """Seconds between the ends of steps, as `fit` takes them."""
    from tacit.train.fit import fit
    from tacit.train.step import Stepper

    ends: list[float] = []
    take = Stepper.take

    def noted(self, *words):
        ends.append(time.process_time())
        return take(self, *words)

    Stepper.take = noted  # type: ignore[method-assign]
    settings = recipe()
    with tempfile.TemporaryDirectory() as folder:
        fit(settings, thinker, settings.method.settings, encoded, folder=folder)
    return [b - a for a, b in zip(ends, ends[1:])]


def bare(thinker, encoded) -> list[float]:
    from tacit.train.data import Shuffled, lay_out, lessons
    from tacit.train.optim import make_optimizer

    settings = recipe()
    method, order = settings.method.settings, Shuffled(len(encoded), ROWS, 0)
    picks = [order.picks(step) for step in range(STEPS)]
    made = [lessons(method, lay_out(method, encoded, p, thinker.vocab, 6, 0), thinker.vocab, ROWS)[0] for p in picks]
    optimizer = make_optimizer(thinker, settings.train)
    seconds = []
    for lesson in made:
        start = time.process_time()
        optimizer.zero_grad()
        thinker.loss(lesson.views["main"]).backward()
        torch.nn.utils.clip_grad_norm_(thinker.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.process_time() - start)
    return seconds


def one(size: str, contender: str) -> dict[str, float]:
    thinker, encoded = build(*SIZES[size]), examples(10, ROWS * STEPS)
    seconds = (whole if contender == "ours" else bare)(thinker, encoded)
    # Both see the same batches, so their quickest steps are the same step, and what disturbed the others does not count.
    return {"cpu": min(seconds[WARM:])}


def report(rounds: int = 5) -> list[dict]:
    here = str(Path(__file__).resolve())
    rows = []
    for size, goal in zip(SIZES, (1.03, None)):
        found = compare(here, size, ["ours", "bare"], rounds)
        ours, floor = (found[name]["cpu"] * 1e3 for name in ("ours", "bare"))
        rows.append(row("step of the loop / bare step", size, ours, floor, "cpu ms", goal))
    return rows


if __name__ == "__main__":
    main(__doc__, report, one, rounds=5)
