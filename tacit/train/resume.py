"""Where a run begins: at its first step, or where a checkpoint stands."""

from typing import Any

from tacit.errors import TacitError
from tacit.thinker import Thinker
from tacit.train import checkpoint
from tacit.train.checkpoint import Position
from tacit.train.folder import RunFolder
from tacit.train.random_state import restore_random
from tacit.train.step import Stepper

Resume = int | bool | None
"""The step to go on from; True for the newest checkpoint."""


def finished(folder: RunFolder, steps: int) -> bool:
    """Whether nothing is left to do."""
    facts = folder.manifest()
    return facts.get("status") == "finished" and facts["step"] >= steps and folder.final.exists()


def chosen(folder: RunFolder, resume: Resume) -> int | None:
    """The step to go on from; None for a fresh start."""
    there = list(folder.checkpoints())
    if resume is None or resume is False:
        if folder.started:
            raise TacitError(f"{folder.path} holds a run already; go on with it (--resume), or choose another (--out)")
        return None
    if resume is True:
        if folder.final.exists() and not there:
            raise TacitError(
                f"{folder.path} is finished and kept no checkpoint, so it cannot go on; start a new run from its weights "
                f"with --from {folder.path}, and set train.save_every to be able to go on next time"
            )
        return there[-1] if there else None
    if resume not in there:
        known = ", ".join(map(str, there)) or "none"
        raise TacitError(f"{folder.path} has no checkpoint of step {resume}; there are: {known}")
    return resume


def restore(folder: RunFolder, step: int, thinker: Thinker, stepper: Stepper, order: dict[str, Any]) -> Position:
    """Weights, optimizer, random numbers and position of a checkpoint, in place. `order` decides which examples come next
    and must be what it was."""
    path = folder.checkpoint(step)
    position, randoms = checkpoint.load(path, thinker, stepper.optimizer, stepper.ranks.rank)
    for name, now in order.items():
        before = position.order.get(name)
        if before != now:
            raise TacitError(
                f"{path} was trained with another {name} ({before}, now {now}), so the order of its examples is lost; "
                f"set it as it was, or start a new run from these weights with --from {path}"
            )
    stepper.micro = min(position.micro, stepper.micro)
    if randoms is not None:
        restore_random(randoms)
    return position
