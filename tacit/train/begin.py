"""Where a run begins: at its first step, or where a checkpoint stands; and what is written before anything is learned."""

import json
from collections.abc import Sequence
from typing import Any

from tacit.errors import DataError, TacitError
from tacit.recipe.reader import write
from tacit.recipe.schema import Recipe
from tacit.thinker import Thinker
from tacit.train import checkpoint
from tacit.train.checkpoint import Position
from tacit.train.data import Pick, lay_out
from tacit.train.feed import Feed
from tacit.train.folder import RunFolder
from tacit.train.manifest import now
from tacit.train.random_state import restore_random
from tacit.train.step import Stepper

Resume = int | bool | None
"""The step to go on from; True for the newest checkpoint."""
SHOWN = 8
"""Rows of the first lesson in lesson.txt."""
LONGEST, STAGES = 32, 16
"""How many of the longest examples are laid out, and in how many stages at most, to see whether they fit."""


def check_positions(feed: Feed, limit: int | None) -> None:
    """Refuse rows that do not fit into a model's position table in some later stage, before hours are spent on the first."""
    if limit is None:
        return
    if feed.train.pack is not None and not feed.train.pack_apart and feed.train.pack > limit:
        raise DataError(
            f"train.pack makes rows of {feed.train.pack} tokens that are read as one text, and this model has {limit} positions; "
            f"set train.pack: {limit}, or train.pack_apart: true"
        )
    sizes = [len(ex.question) + sum(map(len, ex.steps)) + len(ex.cue) + len(ex.answer) for ex in feed.encoded]
    longest = sorted(range(len(sizes)), key=sizes.__getitem__)[-LONGEST:]
    picks, most = [Pick(0, index) for index in longest], feed.train.max_length
    first, last = sorted((feed.first, feed.last))
    every = max(1, -(-(last - first) // STAGES))
    for stage in sorted({*range(first, last, every), last}):
        for row, index in zip(lay_out(feed.method, feed.encoded, picks, feed.vocab, stage, feed.train.seed), longest):
            if most is not None and max(map(len, row.values())) > most:
                continue
            end = max(max(layout.positions) for layout in row.values())
            if end >= limit:
                raise DataError(
                    f"{feed.encoded[index].id or 'an example'} needs position {end} in stage {stage}, and this model has "
                    f"{limit} positions (0 to {limit - 1}). Shorten or drop such rows (train.max_length), use fewer silent "
                    "steps, or build the model with more positions (model.tiny.positions)"
                )
    _check_prompts(feed, limit, [index for index in longest if most is None or sizes[index] <= most])


def _check_prompts(feed: Feed, limit: int, longest: Sequence[int]) -> None:
    """Refuse questions that could not be asked when training is over: their silent steps are those of the last stage, which
    training itself may never reach."""
    for index in longest:
        asked = feed.method.prompt(feed.encoded[index], feed.vocab)
        end = max(asked.positions, default=-1)
        if end + 1 >= limit and end >= 0:
            raise DataError(
                f"{feed.encoded[index].id or 'an example'} is asked in {end + 1} positions when training is over, "
                f"{asked.ids.count(feed.vocab.latent)} of them silent steps, and this model has {limit}, so nothing can follow. "
                "Shorten or drop such rows (train.max_length), use fewer silent steps (fewer stages, or fewer for each), or "
                "build the model with more positions (model.tiny.positions)"
            )


def asked_beyond(feed: Feed) -> str | None:
    """What to say where training ends before the last stage: the model will be asked with more silent steps than it met."""
    if feed.method.pacing() is not None:
        return None
    ex = max(feed.encoded, key=lambda ex: len(ex.steps))
    met, asked = (feed.method.prompt(ex, feed.vocab, stage).ids.count(feed.vocab.latent) for stage in (feed.last, None))
    if met >= asked:
        return None
    return (
        f"training ends in stage {feed.last}, with {met} silent steps, and the model is asked as after its last stage, with "
        f"{asked}; train longer, or ask with eval.latents: {met}"
    )


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
    for name, wanted in order.items():
        before = position.order.get(name)
        if before != wanted:
            raise TacitError(
                f"{path} was trained with another {name} ({before}, now {wanted}), so the order of its examples is lost; "
                f"set it as it was, or start a new run from these weights with --from {path}"
            )
    stepper.micro = min(position.micro, stepper.micro)
    if randoms is None:
        stepper.say(f"{path} was written by fewer processes: the random numbers of the others are new")
    else:
        restore_random(randoms)
    return position


def write_fresh(folder: RunFolder, recipe: Recipe, facts: dict[str, Any], lesson: str) -> None:
    """The books of a new run; what a run without a checkpoint has left is gone."""
    folder.rewind(0, 0)
    folder.write("recipe.yaml", write(recipe.model_dump(mode="json")))
    folder.write("lesson.txt", lesson)
    folder.write("manifest.json", json.dumps(facts, indent=1) + "\n")


def write_resumed(folder: RunFolder, recipe: Recipe, facts: dict[str, Any], position: Position) -> None:
    """The books of a run that goes on; what was written behind its checkpoint is gone."""
    folder.rewind(position.step, position.lines)
    folder.write("recipe.yaml", write(recipe.model_dump(mode="json")))
    again = {"step": position.step, "time": now(), "command": facts["command"], "versions": facts["versions"]}
    best = {"step": position.best_step, recipe.eval.best_metric.lstrip("-"): position.best}
    earlier = folder.manifest().get("resumed", [])
    folder.note({"status": "running", "best": best if position.best_step else None, "resumed": [*earlier, again]})


def first_lesson(stepper: Stepper, picks: Sequence[Pick], stage: int) -> str:
    """The first step's rows, token by token."""
    learner = stepper.learner
    rows, _ = stepper.lay_out(picks, stage)
    shown = [
        f"{example.id or 'example'} · view {name} · stage {stage}\n{layout.show(learner.thinker.tokenizer)}\n"
        for row, example in list(zip(rows, rows.examples))[:SHOWN]
        for name, layout in row.items()
    ]
    more = [f"and {len(rows) - SHOWN} more rows\n"] if len(rows) > SHOWN else []
    return "\n".join(shown + more)
