"""Optimizer steps on one of several gloo processes; run by test_exact_steps.py as a program: RANK WORLD FOLDER."""

import sys
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from tacit.batch import Batch
from tests.exactness import tiny

STEPS = 3


class Learner(torch.nn.Module):
    """What gets wrapped: a lesson that calls the model several times, as one forward."""

    def __init__(self, thinker):
        super().__init__()
        self.thinker = thinker

    def forward(self, batches, count):
        return sum(self.thinker.loss(batch, count) for batch in batches)


def lesson(step: int):
    layouts = tiny.rows() + tiny.rows()[1:4]
    return layouts[step:] + layouts[:step]


def learn(family: str, rank: int, world: int, whole_count: bool = True) -> dict[str, torch.Tensor]:
    """The weights after some steps, each on this process's share of the rows, in two micro-batches."""
    thinker = tiny.thinker(family, feedback="linear")
    learner = Learner(thinker)
    if world > 1:
        learner = DistributedDataParallel(learner)
    optimizer = torch.optim.AdamW(thinker.parameters(), lr=1e-3)
    for step in range(STEPS):
        layouts = lesson(step)
        mine = layouts[rank::world]
        batches = [Batch.of(part, tiny.VOCAB) for part in (mine[:1], mine[1:])]
        counted = layouts if whole_count else mine
        count = Batch.of(counted, tiny.VOCAB).learned * (1 if whole_count else world)
        optimizer.zero_grad()
        (world * learner(batches, count)).backward()  # the wrapper takes the mean over processes
        optimizer.step()
    return thinker.state_dict()


def main(rank: int, world: int, folder: str) -> None:
    store = dist.FileStore(str(Path(folder) / "store"), world)
    dist.init_process_group("gloo", store=store, rank=rank, world_size=world, timeout=timedelta(seconds=120))
    found = {family: learn(family, rank, world) for family in ("gpt2", "gru")}
    found["own count"] = learn("gpt2", rank, world, whole_count=False)
    torch.save(found, Path(folder) / f"{rank}.pt")
    dist.destroy_process_group()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
