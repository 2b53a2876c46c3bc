"""Thoughts behind every position of a text: attention in two parts against a dense mask, plain tokens, and memory against length.

A step reads the text, lets every position read so many columns one after the other, and goes back through all of it. The floor of
plain tokens is the text and as many others as make as many tokens, read by the same model in the ordinary way.
"""

from pathlib import Path
from typing import NamedTuple

import torch

from benchmarks.harness import compare, main, row, timed


class Size(NamedTuple):
    rows: int
    samples: int
    """Cells behind every position."""
    length: int
    reads: int


AGAINST_DENSE = {"L 128, N 12": Size(2, 1, 128, 12), "L 512, N 12": Size(1, 1, 512, 12)}
AGAINST_PLAIN = {"L 128, N 1": Size(8, 2, 128, 1), "L 128, N 8": Size(8, 2, 128, 8)}
MEMORY = {"R 5": Size(1, 1, 128, 5), "R 40": Size(1, 1, 128, 40), "R 160": Size(1, 1, 128, 160)}
SIZES = {**AGAINST_DENSE, **AGAINST_PLAIN, **MEMORY}
LETTERS = 68


def model():
    from tacit.engine.door import open_door
    from tacit.models.scratch import Scratch, build

    scratch = Scratch(family="gpt2", layers=2, hidden=100, heads=5, positions=1024)
    return open_door(build(scratch, LETTERS, eos=1, pad=0, seed=0).eval())


def thoughts(size: Size, door, *, dense: bool):
    """The sum of all states that the cells read."""
    from tacit.engine.stream import open_stream

    text = torch.randint(2, LETTERS, (size.rows, size.length))
    cells = size.length * size.samples
    at = torch.arange(size.length).repeat_interleave(size.samples).expand(size.rows, -1)
    tokens = torch.randint(2, LETTERS, (size.reads, size.rows, cells))

    def forward() -> torch.Tensor:
        stream = open_stream(door)
        stream.read(door.embed(text), torch.arange(size.length).expand(size.rows, -1))
        branch = stream.branch(at, dense=dense)
        states = [branch.read(door.embed(each), torch.arange(cells)).hidden for each in tokens]
        return torch.stack([each.square().sum() for each in states]).sum()

    return forward


def plain(size: Size, door):
    from tacit.engine.stream import open_stream

    rows = size.rows * size.samples
    texts = [torch.randint(2, LETTERS, (count, size.length)) for count in (size.rows, *[rows] * size.reads)]

    def forward() -> torch.Tensor:
        positions = torch.arange(size.length)[None]
        states = [open_stream(door).read(door.embed(each), positions.expand(len(each), -1)).hidden for each in texts]
        return torch.stack([each.square().sum() for each in states]).sum()

    return forward


def saved(forward, parameters) -> float:
    """Megabytes of the distinct memories that the backward pass holds on to, without parameters."""
    held: dict[int, torch.Tensor] = {}

    def hold(tensor: torch.Tensor) -> torch.Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(hold, lambda tensor: tensor):
        forward()
    known = {each.untyped_storage().data_ptr() for each in parameters}
    return sum(each.untyped_storage().nbytes() for where, each in held.items() if where not in known) / 2**20


def one(size: str, contender: str) -> dict[str, float]:
    torch.manual_seed(0)
    shape, door = SIZES[size], model()
    forward = plain(shape, door) if contender == "plain" else thoughts(shape, door, dense=contender == "dense")
    if size in MEMORY:
        return {"mb": saved(forward, door.model.parameters())}

    def step() -> None:
        forward().backward()
        door.model.zero_grad(set_to_none=True)

    return timed(step, warmup=1, steps=1 if contender == "dense" else 3)


def report(rounds: int = 1) -> list[dict]:
    here = str(Path(__file__).resolve())
    rows = []
    for name in AGAINST_DENSE:
        cpu = {who: found["cpu"] for who, found in compare(here, name, ["dense", "two parts"], rounds).items()}
        rate, alone = 1 / cpu["two parts"], 1 / cpu["dense"]
        goal = 3.0 if "512" in name else None
        rows.append(row("two parts / dense mask", name, rate, alone, "steps / cpu s", goal, more=True))
    for name in AGAINST_PLAIN:
        cpu = {who: found["cpu"] for who, found in compare(here, name, ["plain", "two parts"], rounds).items()}
        rows.append(row("cells / as many plain tokens", name, cpu["two parts"], cpu["plain"], "cpu s", 1.25))
    short, *longer = MEMORY
    for who in ("two parts", "dense"):
        least = compare(here, short, [who], 1)[who]["mb"]
        for name in longer[:1] if who == "dense" else longer:
            times = MEMORY[name].reads / MEMORY[short].reads
            goal = None if who == "dense" else 1.02
            found = compare(here, name, [who], 1)[who]["mb"]
            rows.append(row(f"memory, {who} / {times:g} × R 5", name, found, times * least, "MB", goal))
    return rows


if __name__ == "__main__":
    main(__doc__, report, one, rounds=1)
