"""Several runs in lockstep: each keeps its folder, its order of examples, its optimizer and its checkpoints, and only the
forward and the backward pass are one computation.

Small models cost what starting their many small products costs, so a few of them side by side take little longer than one.
Each run is what it would be alone: it may be stopped and go on alone, or in another team.
"""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from tacit.errors import TacitError
from tacit.example import Encoded
from tacit.methods.base import Method, Team
from tacit.recipe.schema import Recipe
from tacit.stopping import Interrupted, Stopping
from tacit.thinker import Thinker
from tacit.train.begin import Resume
from tacit.train.fit import Evaluate, Loop
from tacit.train.folder import RunFolder
from tacit.train.ranks import Ranks
from tacit.train.step import Prepared, add_up, numbers


class Member(NamedTuple):
    """One run of a team."""

    recipe: Recipe
    thinker: Thinker
    folder: Path
    evaluate: Evaluate | None = None


def fit_team(
    members: Sequence[Member],
    method: Method,
    encoded: Sequence[Encoded],
    *,
    resume: Resume = None,
    time_limit: float | None = None,
) -> list[Path]:
    """Train all members; their run folders. As with `fit`, a time limit saves and returns, and a signal saves and raises."""
    ranks = Ranks()
    if ranks.count > 1:
        raise TacitError("a team of models is trained by one process; start one process, or train the seeds one by one")
    if method.team([members[0].thinker]) is None:
        raise TacitError(
            f"method {members[0].recipe.method.name} trains one model at a time; train the seeds one after the other (without "
            "--seeds or --together)"
        )
    limit = members[0].recipe.train.time_limit if time_limit is None else time_limit
    with ExitStack() as open_folders, Stopping(limit) as stopping:
        loops = []
        for member in members:
            folder = open_folders.enter_context(RunFolder(member.folder))
            loop = Loop(member.recipe, member.thinker, method, encoded, ranks, folder, member.evaluate)
            loop.console.prefix = f"{member.folder.name}: "
            if loop.start(resume):
                loops.append(loop)
        if loops:
            _Walk(method, loops).run(stopping)
    return [member.folder for member in members]


class _Walk:
    """Runs that are not finished."""

    def __init__(self, method: Method, loops: list[Loop]):
        self.method, self.loops = method, loops
        self.stands: list[Loop] = []
        """Those that the present team consists of: runs that go on may stand at different steps."""
        self.team: Team | None = None

    def run(self, stopping: Stopping) -> None:
        for loop in self.loops:
            loop.settle()
        self.clock = time.monotonic()
        while behind := [loop for loop in self.loops if not loop.done]:
            step = min(loop.position.step for loop in behind)
            self.step([loop for loop in behind if loop.position.step == step])
            stop = bool(stopping.signal) or stopping.late
            for loop in self.stands:
                loop.between(stop)
                if loop.done:
                    loop.finish()
            if stop and not all(loop.done for loop in self.loops):
                return self.stop(bool(stopping.signal))

    def step(self, loops: list[Loop]) -> None:
        """One step of each."""
        if loops != self.stands:
            self.stands, self.team = loops, self.method.team([loop.thinker for loop in loops])
        picks = [loop.next() for loop in loops]
        prepared = [loop.stepper.prepare(loop.position.step + 1, own, loop.stage) for loop, own in zip(loops, picks)]
        for loop in loops:
            loop.optimizer.zero_grad(set_to_none=True)
        sums = loops[0].stepper.in_memory(lambda: self.backward(prepared))
        if sums is None:
            raise TacitError(
                f"memory ran out with {len(loops)} models side by side; train fewer seeds together, or set train.micro_batch: "
                f"{(loops[0].stepper.micro + 1) // 2}"
            )
        found = [
            loop.stepper.conclude(loop.position.step + 1, one, numbers(own))
            for loop, one, own in zip(loops, prepared, sums)
        ]
        # The seconds of a step are shared by those who took it.
        passed, self.clock = time.monotonic() - self.clock, time.monotonic()
        for loop, outcome, own in zip(loops, found, picks):
            loop.learned(outcome, own, loop.position.seconds + passed / len(loops))

    def backward(self, prepared: Sequence[Prepared]) -> list[dict[str, Tensor]]:
        """The gradients of all members, and what each has to tell."""
        assert self.team is not None
        sums: list[dict[str, Tensor]] = [{} for _ in prepared]
        for lessons in zip(*(one.made for one in prepared), strict=True):
            with self.stands[0].stepper.learner.arithmetic():
                losses = self.team.losses(lessons, [one.counts for one in prepared])
            torch.stack([loss.total for loss in losses]).sum().backward()
            for own, loss in zip(sums, losses):
                add_up(own, loss)
        self.team.share_gradients()
        return sums

    def stop(self, signalled: bool) -> None:
        for loop in self.loops:
            if not loop.done:
                if loop not in self.stands:
                    loop.save()
                loop.stop(False)
        if signalled:
            raise Interrupted("stopped; the same command with --resume goes on")
