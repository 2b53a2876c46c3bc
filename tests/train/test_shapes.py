"""Examples of one shape: the batches of the quick way are, bit for bit, those of rows laid out one by one."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from tacit.batch import Batch
from tacit.example import Encoded
from tacit.methods.base import Method
from tacit.methods.coconut import Coconut
from tacit.methods.cot import Cot, NoCot, NoThoughts
from tacit.methods.filler import Filler
from tacit.methods.gate import Gate
from tacit.methods.icot import Icot
from tacit.methods.pause import Pause
from tacit.methods.removal import EVERYTHING, Removal
from tacit.train.data import Pick, lay_out, lessons
from tacit.train.shapes import Shaped, Shapes
from tacit.vocab import Vocab

VOCAB = Vocab(900, 901, 902, eos=0, pad=0, extra={"<pause>": 903})
ROWS, SEED = 60, 3
GATE = Gate(stages=9)
SMOOTH = Removal(smoothing=0.7)
METHODS = {
    "cot": (Cot(), (0,)),
    "no_cot": (NoCot(), (0,)),
    "no_thoughts": (NoThoughts(), (0, 1, 4)),
    "coconut": (Coconut(latents_per_step=2), (0, 1, 2, 4)),
    "coconut, mixed": (Coconut(mix=0.5), (0, 2, 4)),
    "pause": (Pause(mix=0.3), (0, 2)),
    "pause, no curriculum": (Pause(curriculum=False), (0,)),
    "icot": (Icot(), (0, 5, EVERYTHING)),
    "icot, steps": (Icot(unit="step", gate=GATE, frontier_weight=4.0), (0, 1, 2)),
    "icot, from the right, kept": (Icot(positions="keep", removal=Removal(side="right")), (0, 4, 30)),
    "icot, smoothed": (Icot(removal=SMOOTH), (0, 3, EVERYTHING)),
    "icot, smoothed, kept": (Icot(positions="keep", removal=SMOOTH, frontier_weight=3.0), (2,)),
    "icot, replayed": (Icot(gate=GATE, replay=0.4, removal=SMOOTH, positions="keep"), (0, 1, 6)),
    "filler": (Filler(), (0, 4000, 10_000)),
    "filler, always": (Filler(always=True, pauses=11), (10_000,)),
    "filler, supervised": (Filler(supervised=True, ratio=0.5), (5000,)),
    "filler, random": (Filler(switch="random", ratio=0.3), (0, 5000)),
    "filler, depth": (Filler(switch="depth"), (0, 5000, 10_000)),
    "filler, removed": (Filler(removal=SMOOTH), (3000, 3 * 10_001 + 4000)),
    "filler, gated": (Filler(gate=GATE, replay=0.3, frontier_weight=2.0), (0, 5)),
}
CASES = [(name, stage) for name, (_, stages) in METHODS.items() for stage in stages]


def examples(count: int = ROWS, steps: tuple[int, ...] = (4, 5, 2)) -> list[Encoded]:
    rng = np.random.default_rng(1)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(rng.integers(5, 900, n).tolist())

    return [Encoded(f"row-{i}", draw(6), tuple(map(draw, steps)), draw(1), draw(3)) for i in range(count)]


ENCODED = examples()
PICKS = [Pick(2, int(i)) for i in np.random.default_rng(0).permutation(ROWS)[:40]] + [Pick(3, i) for i in range(9)]


def made(method: Method, stage: int, quick: bool, size: int = 20) -> list[Batch]:
    """The first view of every micro-batch of a step."""
    if quick:
        shapes = Shapes.of(method, ENCODED, VOCAB, SEED, torch.device("cpu"))
        assert shapes is not None
        rows = shapes.lay_out(PICKS, stage)
        assert isinstance(rows, Shaped)
    else:
        rows = lay_out(method, ENCODED, PICKS, VOCAB, stage, SEED)
    return [lesson.views["main"] for lesson in lessons(method, rows, ENCODED, VOCAB, size)]


FACTS = ("shape", "learned", "tokens", "end")


def differences(one: Batch, other: Batch) -> list[str]:
    """The names of everything in which two batches differ, but for how they were made."""
    found = [name for name in FACTS if getattr(one, name) != getattr(other, name)]
    for name in (field.name for field in fields(Batch) if field.name not in ("pattern", "kinds")):
        mine, theirs = getattr(one, name), getattr(other, name)
        if isinstance(mine, torch.Tensor) and isinstance(theirs, torch.Tensor):
            alike = mine.dtype == theirs.dtype and mine.is_contiguous() and torch.equal(mine, theirs)
        else:
            alike = list(mine) == list(theirs) if name == "layouts" else mine == theirs
        found += [] if alike else [name]
    for name in ("question", "steps", "frontier", "answer", "thought", "pause"):
        found += [] if torch.equal(one.mask(name), other.mask(name)) else [f"mask of {name}"]
    found += [] if torch.equal(one.has("repeated"), other.has("repeated")) else ["has"]
    return found + ([] if torch.equal(one.at("answer", -1), other.at("answer", -1)) else ["at"])


def compared(name: str, stage: int) -> list[str]:
    method = METHODS[name][0]
    pairs = zip(made(method, stage, True), made(method, stage, False), strict=True)
    return [what for pair in pairs for what in differences(*pair)]


@pytest.mark.parametrize(("name", "stage"), CASES)
def test_batches_are_those_of_rows_laid_out_one_by_one(name, stage):
    assert compared(name, stage) == []
