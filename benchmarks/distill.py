"""A step that distils thoughts against two passes: GPT-2, 4 layers of 256, question 64, 40 written tokens, forward and backward.

Floors, in the same run: `plain`, the teacher's and the student's rows as ordinary tokens, logits and every layer's states
everywhere; `unshared`, our own engine with a batch for each of the two, which reads every question twice.
"""

from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.coconut import build
from benchmarks.harness import compare, main, row, timed

ROWS, QUESTION, STEPS, CUE, ANSWER = 8, 64, 29, 4, 6
COUNTS = (0, 2, 4, 6, 8, 10, 12)
SIZES = {"V512": (512, 6), "V50257": (50257, 6), **{f"V512 {n} latents": (512, n) for n in COUNTS}}
WEIGHT = 20.0


def method(latents: int):
    from tacit.methods.distill import Count, Distill
    from tacit.thinking import Thinking

    # Without silent steps there is nothing to compare, so the floor of the growth has no such term.
    codi = WEIGHT if latents else 0.0
    return Distill(latents=Count(plus=latents), thoughts=Thinking(), codi=codi, drop_last=False)


def examples(vocab: int):
    from tacit.example import Encoded

    g = torch.Generator().manual_seed(1)
    draw = lambda n: tuple(torch.randint(1, vocab, (n,), generator=g).tolist())  # noqa: E731
    return [Encoded(str(r), draw(QUESTION), (draw(STEPS),), draw(CUE), draw(ANSWER)) for r in range(ROWS)]


def plain(thinker, batches):
    """Both rows read in parallel, the silent steps too: less than any recurrent student could cost."""
    losses, states = [], []
    for batch in batches:
        out = thinker.model(input_ids=batch.ids, use_cache=False, output_hidden_states=True)
        labels = batch.labels[:, 1:].flatten()
        losses.append(torch.nn.functional.cross_entropy(out.logits[:, :-1].flatten(0, 1), labels))
        states.append(_at_target(out.hidden_states, batch))
    return sum(losses) + WEIGHT * _apart(*states)


def unshared(thinker, batches):
    from tacit.objectives import nll

    losses, states = [], []
    for batch in batches:
        trace = thinker(batch, end=batch.end, layers=True)
        losses.append(nll(thinker, trace.hidden, batch, batch.learned))
        states.append(_at_target(trace.layers, batch))
    return sum(losses) + WEIGHT * _apart(*states)


def _at_target(layers, batch):
    """(L, B, H)"""
    at = batch.at("cue", -1)
    return torch.stack([level[torch.arange(len(at)), at] for level in layers[1:]])


def _apart(student, teacher):
    teacher = teacher.detach()
    distance = torch.nn.functional.smooth_l1_loss(student, teacher, reduction="none").mean((1, 2))
    return (distance / teacher.flatten(1).std(1)).mean()


def one(size: str, contender: str) -> dict[str, float]:
    import numpy as np

    from tacit.batch import Batch
    from tacit.methods.base import Lesson
    from tacit.thinker import Thinker

    vocab, latents = SIZES[size]
    learned = method(latents)
    base = build(vocab)
    thinker = Thinker(base.model, None, replace(base.vocab, eos=0), learned.thinking())
    rng = np.random.default_rng(0)
    rows = [learned.layouts(ex, thinker.vocab, 0, rng) for ex in examples(vocab)]
    batches = [Batch.of([row[name] for row in rows], thinker.vocab) for name in ("main", "teacher")]
    lesson = Lesson(learned.collate(rows, thinker.vocab), len(rows))
    step = {
        "ours": lambda: learned.loss(thinker, lesson, lesson.counts()).total,
        "plain": lambda: plain(thinker, batches),
        "unshared": lambda: unshared(thinker, batches),
    }[contender]

    def whole() -> None:
        step().backward()
        thinker.zero_grad(set_to_none=True)

    return timed(whole, steps=7 if vocab > 1000 else 11)


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    rows = []
    for size, goals in {"V50257": (0.42, None), "V512": (None, 0.65)}.items():
        found = compare(here, size, ["plain", "ours", "unshared"], rounds)
        cpu = {name: figures["cpu"] * 1e3 for name, figures in found.items()}
        rows.append(row("step / two plain passes", size, cpu["ours"], cpu["plain"], "cpu ms", goals[0]))
        rows.append(row("step / two unshared passes", size, cpu["ours"], cpu["unshared"], "cpu ms", goals[1]))
    return rows + _growth(here, rounds)


def _growth(here: str, rounds: int) -> list[dict]:
    """What each silent step adds to a step without any."""
    times = {n: compare(here, f"V512 {n} latents", ["ours"], rounds)["ours"]["cpu"] * 1e3 for n in COUNTS}
    return [row(f"{n} latents / none", "V512", time, times[0], "cpu ms") for n, time in times.items() if n]


if __name__ == "__main__":
    main(__doc__, report, one)
