"""Rows a second from encoded examples to tensors: layouts with random numbers of their own, batches of 32, on one core.

Floor, in the same run: the plainest collate there is, which pads lists of ids and makes labels and a mask. It knows no
segments, no thoughts and no positions.

Then rows of one shape, those of 4×4-digit multiplication, which are laid out once and filled in: the floor is the same
method with the same batches, its rows laid out one by one.
"""

from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import compare, main, row, timed

ROWS, BATCH, GOAL = 100_000, 32, 20_000
SIZES = {"90 tokens, 2 thoughts": (10, 2), "300 tokens, 6 thoughts": (50, 6)}
"""Tokens of a step, and the stage."""
SHAPED = 20_480
FIXED = [f"{kind} B{batch}" for batch in (1024, 32) for kind in ("icot", "icot smoothed", "filler", "all filler")]
"""Methods, and rows of a step."""


def examples(step: int, count: int):
    """Questions of 30 to 80 tokens, 1 to 5 steps, a cue and an answer."""
    from tacit.example import Encoded

    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(rng.integers(5, 900, n).tolist())

    return [
        Encoded(
            f"row-{i}",
            draw(rng.integers(30, 80)),
            tuple(draw(step) for _ in range(rng.integers(1, 6))),
            draw(2),
            draw(3),
        )
        for i in range(count)
    ]


def ours(encoded, stage: int):
    from tacit.methods.coconut import Coconut
    from tacit.train.data import Shuffled, lay_out, lessons
    from tacit.vocab import Vocab

    vocab = Vocab(1000, 1001, 1002, eos=0, pad=0)
    method, order = Coconut(max_stage=6), Shuffled(len(encoded), BATCH, 0)

    def epoch() -> None:
        for step in range(order.steps(1)):
            picks = order.picks(step)
            rows = lay_out(method, encoded, picks, vocab, stage, 0)
            lessons(method, rows, vocab, BATCH)

    return epoch


def methods() -> dict:
    """A method and its stage, somewhere in the middle."""
    from tacit.methods.filler import WHOLE, Filler
    from tacit.methods.icot import Icot
    from tacit.methods.removal import Removal

    return {
        "icot": (Icot(), 10),
        "icot smoothed": (Icot(removal=Removal(smoothing=4.0)), 10),
        "filler": (Filler(), WHOLE // 2),
        "all filler": (Filler(always=True), WHOLE),
    }


def shaped(size: str, contender: str):
    """An epoch of multiplication, filled in or laid out row by row."""
    from tacit.example import encode
    from tacit.models.tokenizers import word_tokenizer
    from tacit.models.tokens import add_tokens
    from tacit.tasks.multiplication import Multiplication
    from tacit.train.data import Shuffled, lay_out, lessons
    from tacit.train.shapes import Shapes

    kind, batch = size.split(" B")
    method, stage = methods()[kind]
    task = Multiplication(train_rows=SHAPED)
    tokenizer = word_tokenizer(task.words())
    vocab = add_tokens(tokenizer, method.tokens)
    encoded = encode(task.examples("train"), tokenizer, task.template)
    order = Shuffled(len(encoded), int(batch), 0)
    shapes = Shapes.of(method, encoded, vocab, 0, torch.device("cpu")) if contender == "ours" else None

    def epoch() -> None:
        for step in range(order.steps(1)):
            picks = order.picks(step)
            rows = shapes.lay_out(picks, stage) if shapes else lay_out(method, encoded, picks, vocab, stage, 0)
            lessons(method, rows, vocab, int(batch))

    return epoch


def plain(encoded):
    def collate(rows) -> dict[str, torch.Tensor]:
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        return {"input_ids": ids, "attention_mask": mask, "labels": ids.masked_fill(mask == 0, -100)}

    def epoch() -> None:
        order = np.random.default_rng(0).permutation(len(encoded)).tolist()
        for start in range(0, len(encoded), BATCH):
            picked = [encoded[i] for i in order[start : start + BATCH]]
            collate([[*e.question, *(t for s in e.steps for t in s), *e.cue, *e.answer, 0] for e in picked])

    return epoch


def one(size: str, contender: str) -> dict[str, float]:
    torch.set_num_threads(1)
    if size in FIXED:
        return timed(shaped(size, contender), warmup=1, steps=3)
    step, stage = SIZES[size]
    encoded = examples(step, ROWS)
    epoch = ours(encoded, stage) if contender == "ours" else plain(encoded)
    return timed(epoch, warmup=0, steps=1)


def report(rounds: int = 3) -> list[dict]:
    here = str(Path(__file__).resolve())
    rows = []
    for size in SIZES:
        found = compare(here, size, ["ours", "plain"], rounds)
        speed = {name: ROWS / figures["cpu"] for name, figures in found.items()}
        rows.append(row("rows laid out / goal", size, speed["ours"], GOAL, "rows/cpu s", 1.0, more=True))
        rows.append(row("rows laid out / plain padding", size, speed["ours"], speed["plain"], "rows/cpu s", more=True))
    for size in FIXED:
        found = compare(here, size, ["ours", "one by one"], rounds)
        speeds = [SHAPED / found[name]["cpu"] for name in ("ours", "one by one")]
        rows.append(row("rows filled in / laid out", size, *speeds, "rows/cpu s", more=True))
    return rows


if __name__ == "__main__":
    main(__doc__, report, one)
