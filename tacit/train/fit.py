"""The loop: one step after the other until the planned steps are done, and everything about a run that is not a step.

It knows no method and no task. A method says in which stage it is, lays examples out and turns lessons into losses; an
evaluation is a function that turns a thinker into numbers. The rest is here, in the order in which it happens.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import tacit
from tacit.errors import TacitError
from tacit.example import Encoded
from tacit.methods.base import Method, World
from tacit.recipe.schema import Recipe
from tacit.stopping import Interrupted, Stopping
from tacit.thinker import Thinker
from tacit.train import checkpoint
from tacit.train.begin import (
    Resume,
    asked_beyond,
    check_positions,
    chosen,
    finished,
    first_lesson,
    restore,
    write_fresh,
    write_resumed,
)
from tacit.train.checkpoint import Position
from tacit.train.console import Console, duration
from tacit.train.data import Pick
from tacit.train.feed import Feed
from tacit.train.folder import RunFolder
from tacit.train.manifest import manifest, now
from tacit.train.optim import forget, learn_only, learning_rate, make_optimizer, set_rate
from tacit.train.random_state import random_state, restore_random, seed_all
from tacit.train.ranks import Ranks
from tacit.train.step import Learner, Outcome, Stepper
from tacit.train.track import Tracker, open_tracker

Evaluate = Callable[[Thinker, int | None, int], dict[str, float]]
"""(thinker, stage, step) -> numbers. The stage is the one in training, or None when training is over."""


def fit(
    recipe: Recipe,
    thinker: Thinker,
    method: Method,
    encoded: Sequence[Encoded],
    *,
    folder: str | Path,
    resume: Resume = None,
    evaluate: Evaluate | None = None,
    time_limit: float | None = None,
    on_line: Callable[[Mapping[str, Any]], None] | None = None,
    world: World | None = None,
) -> Path:
    """Train a thinker by a method; the run folder is returned. `time_limit` is in minutes. `on_line` is told every line of
    metrics.jsonl as it is written. `world` is for methods that act.

    A run that reaches its time limit is saved and returns like a finished one, with `"status": "stopped"` in its
    manifest; a signal saves too and then raises `Interrupted`.
    """
    if not encoded:
        raise TacitError("there are no training examples; look at the task's files and at train.limit")
    ranks = Ranks()
    limit = recipe.train.time_limit if time_limit is None else time_limit
    with RunFolder(folder, ranks.main) as run, Stopping(limit) as stopping:
        loop = Loop(recipe, thinker, method, encoded, ranks, run, evaluate, on_line, world)
        if loop.start(resume):
            loop.run(stopping)
    return run.path


class Loop:
    """A run in progress."""

    def __init__(
        self,
        recipe: Recipe,
        thinker: Thinker,
        method: Method,
        encoded: Sequence[Encoded],
        ranks: Ranks,
        folder: RunFolder,
        evaluate: Evaluate | None,
        on_line: Callable[[Mapping[str, Any]], None] | None = None,
        world: World | None = None,
    ):
        self.recipe, self.train, self.method = recipe, recipe.train, method
        self.thinker, self.encoded = thinker.to(ranks.device), encoded
        self.ranks, self.folder, self.evaluate, self.on_line = ranks, folder, evaluate, on_line
        method.check(encoded)
        self.feed = Feed(self.train, method, encoded, thinker.vocab)
        check_positions(self.feed, thinker.limit)
        self.steps = self.feed.steps
        if self.train.checkpointing:
            _recompute_activations(thinker.model)
        if recipe.model.train_only:
            learn_only(thinker, recipe.model.train_only)
        self.optimizer = make_optimizer(thinker, self.train)
        self.console = Console(self.steps, ranks.main)
        self.track: Tracker | None = None
        self.pacing = method.pacing()
        if world is not None:
            # Before a checkpoint is put into the thinker: a run that goes on has the same start.
            world = replace(world, start=method.start(self.thinker))
        learner = Learner(method, thinker, self.train.precision == "bf16", world)
        self.stepper = Stepper(learner, self.optimizer, encoded, self.train, ranks, self.console.say)
        self.stepper.steps = self.steps
        self.about = {
            "method": recipe.method.model_dump(mode="json"),
            "task": recipe.task.model_dump(mode="json"),
            "template": recipe.resolved_task().template.model_dump(mode="json"),
            "eval": recipe.eval.model_dump(mode="json"),
            "tacit": tacit.__version__,
        }

    # -- beginning ------------------------------------------------------------------------------------------------------

    def start(self, resume: Resume) -> bool:
        """A fresh run, or one that goes on where its checkpoint stands. Says whether there is anything to do."""
        self.ranks.wait()
        if resume is True and finished(self.folder, self.steps):
            self.console.say(f"{self.folder.path} is finished already")
            return False
        at = chosen(self.folder, resume)
        self.ranks.wait()
        seed_all(self.train.seed, self.ranks.rank)
        facts = manifest(self.recipe, self.encoded, self.ranks.count)
        order = {"data": facts["data"]["hash"], **self.train.model_dump(include={"seed", "batch", "tokens_per_batch"})}
        if at is None:
            self.position = Position(micro=self.stepper.micro, order=order)
        else:
            self.position = restore(self.folder, at, self.thinker, self.stepper, order)
            if self.pacing and self.position.pacing:
                self.pacing.restore(self.position.pacing)
        self.console.begin = self.position.step
        if self.ranks.main and at is None:
            if resume and self.folder.started:
                self.console.say(f"{self.folder.path} has no checkpoint to go on from: starting afresh")
            first = self.feed.picks(Position(), self.feed.first)
            write_fresh(self.folder, self.recipe, facts, first_lesson(self.stepper, first, self.feed.first))
            if self.recipe.eval.latents is None and (told := asked_beyond(self.feed)):
                self.console.say(told)
        elif self.ranks.main:
            self.console.say(f"going on from step {at} of {self.steps}")
            write_resumed(self.folder, self.recipe, facts, self.position)
        if self.ranks.main:
            self.track = open_tracker(self.recipe, self.folder.path)
        self.ranks.wait()
        return True

    # -- going on -------------------------------------------------------------------------------------------------------

    def run(self, stopping: Stopping) -> None:
        """Step after step; then the last evaluation and the final model."""
        at = self.position
        clock = time.monotonic() - at.seconds
        with self.console:
            self.settle()
            while not self.done:
                picks = self.next()
                outcome = self.stepper.take(at.step + 1, picks, self.stage)
                self.learned(outcome, picks, time.monotonic() - clock)
                stop = self.ranks.any(bool(stopping.signal) or stopping.late)
                self.between(stop)
                if stop and not self.done:
                    return self.stop(bool(stopping.signal))
            self.finish()

    @property
    def done(self) -> bool:
        return self.position.step >= self.steps

    def settle(self) -> None:
        """A run that was stopped at a step in which an evaluation was due still owes it."""
        at = self.position
        if 0 < at.step < self.steps and self._due(self.recipe.eval.every) and at.evaluated != at.step:
            self.assess(at.stage)

    def between(self, stop: bool) -> None:
        """What is due between two steps."""
        if self.done:
            return
        better = not stop and self._due(self.recipe.eval.every) and self.assess(self.stage)
        if stop or self._due(self.train.save_every) or (better and self.train.save_every):
            self.save()

    @property
    def stage(self) -> int:
        """That of the step under way, or of the last one."""
        assert self.position.stage is not None
        return self.position.stage

    def next(self) -> list[Pick]:
        """The examples of the next step, in the stage that is due."""
        at, train = self.position, self.train
        epoch = self.feed.epoch(at)
        stage = self._stage()
        if stage != at.stage:
            if at.stage is None:
                at.began = at.step
            elif self.method.era(stage) != self.method.era(at.stage):
                self.console.say(f"step {at.step}: stage {stage}")
                if train.reset_optimizer == "stage":
                    forget(self.optimizer)
                at.began = at.step
                at.best = at.best_step = None  # results of an easier stage are no measure for this one
            at.stage = stage
        if train.reset_optimizer == "epoch" and int(epoch) > at.epoch:
            forget(self.optimizer)
        at.epoch = int(epoch)
        self.rate = learning_rate(train, at.step, self.steps, at.began)
        set_rate(self.optimizer, self.rate)
        if not self.thinker.training:
            self.thinker.train()
        return self.feed.picks(at, stage)

    def learned(self, outcome: Outcome, picks: Sequence[Pick], seconds: float) -> None:
        """A step was taken; `seconds` are those of the run so far."""
        at = self.position
        at.seen += len(picks)
        if self.pacing and outcome.learned:
            self.pacing.observe(outcome.parts)
            at.pacing = self.pacing.state()
        at.step, at.tokens, at.micro = at.step + 1, at.tokens + outcome.tokens, self.stepper.micro
        at.seconds = seconds
        at.left_out += outcome.left_out
        if outcome.left_out == at.left_out > 0:
            self.console.say(
                f"step {at.step}: {outcome.left_out} of {len(picks)} rows are longer than train.max_length: "
                f"{self.train.max_length} and are left out; left_out in metrics.jsonl counts them"
            )
        self.console.step(at.step, outcome.loss, outcome.tokens)
        self.log(outcome)

    def _stage(self) -> int:
        return self.pacing.stage if self.pacing else self.feed.stage(self.position)

    def _due(self, every: int | Literal["epoch"] | None) -> bool:
        if every == "epoch":
            return int(self.feed.epoch(self.position)) > self.position.epoch
        return every is not None and self.position.step % every == 0

    def log(self, outcome: Outcome) -> None:
        """A line for the first step, the last, and every `log_every`."""
        at = self.position
        if not outcome.learned or (at.step not in (1, self.steps) and not self._due(self.train.log_every)):
            return
        line: dict[str, Any] = {"step": at.step, "epoch": self.feed.epoch(at), "stage": at.stage}
        line |= {"loss": outcome.loss, "lr": self.rate, "grad_norm": outcome.grad_norm, "tokens": at.tokens}
        line["seconds"] = round(at.seconds, 3)
        if self.train.max_length is not None:
            line["left_out"] = at.left_out
        if taken := line.keys() & outcome.parts.keys():
            raise TacitError(
                f"method {self.recipe.method.name} reports {sorted(taken)}, but these names are the training loop's own"
            )
        self._send(line | outcome.parts)

    def _send(self, line: dict[str, Any]) -> None:
        self.position.lines += 1
        if self.ranks.main:
            assert self.track is not None
            self.folder.log(line)
            self.track.send(line)
            if self.on_line:
                self.on_line(line)

    def assess(self, stage: int | None) -> bool:
        """Evaluate without touching the random numbers of training. Says whether this is the best result so far."""
        if self.evaluate is None:
            return False
        at, wanted = self.position, self.recipe.eval.best_metric
        drawn = random_state()
        self.thinker.eval()
        found = self.ranks.gather(self.evaluate(self.thinker, stage, at.step))[0]
        restore_random(drawn)
        at.evaluated = at.step
        self._send(
            {"step": at.step, "epoch": self.feed.epoch(at), "stage": at.stage}
            | {f"eval/{name}": value for name, value in found.items()}
        )
        name, sign = wanted.lstrip("-"), -1.0 if wanted.startswith("-") else 1.0
        if name not in found:
            raise TacitError(
                f"the evaluation has no number {name!r}; set eval.best_metric to one of: {', '.join(found)}"
            )
        better = at.best is None or sign * found[name] > sign * at.best
        if better:
            at.best, at.best_step = found[name], at.step
            if self.ranks.main:
                self.folder.note({"best": {"step": at.step, name: found[name]}})
        self.console.say(f"step {at.step}: {name} {found[name]:.4g}{' (best so far)' if better else ''}")
        return better

    def save(self) -> None:
        """A checkpoint; then those that are neither among the newest nor the best go."""
        randoms = self.ranks.gather(random_state())
        if self.ranks.main:
            target = self.folder.checkpoint(self.position.step)
            checkpoint.check_space(target, self.thinker, self.optimizer)
            about = self.about | {"step": self.position.step}
            with self.folder.whole(target) as partial:
                checkpoint.save(partial, self.thinker, self.optimizer, self.position, randoms, about)
            self.folder.prune(self.train.keep, self.position.best_step)
        self.ranks.wait()

    # -- ending ---------------------------------------------------------------------------------------------------------

    def stop(self, signalled: bool) -> None:
        """Close the books of a run that was saved before its end."""
        at = self.position
        if self.ranks.main:
            self.folder.note({"status": "stopped", "step": at.step, "stopped": now()})
        self._close()
        sentence = f"stopped at step {at.step} of {self.steps}; {self.folder.path} goes on with --resume"
        if signalled:
            raise Interrupted(sentence)
        self.console.say(sentence)

    def finish(self) -> None:
        """The last evaluation, asked as the model will be asked from now on, and the final model."""
        if self.train.save_every:
            self.save()
        self.assess(None)
        if self.ranks.main:
            checkpoint.check_space(self.folder.final, self.thinker)
            with self.folder.whole(self.folder.final) as partial:
                self.thinker.save_pretrained(partial, self.about | {"step": self.position.step})
            left_out = {"left_out": self.position.left_out} if self.train.max_length is not None else {}
            self.folder.note({"status": "finished", "step": self.position.step, "finished": now()} | left_out)
        self.thinker.eval()
        self._close()
        self.console.say(f"{self.steps} steps in {duration(self.position.seconds)}")

    def _close(self) -> None:
        if self.track is not None:
            self.track.close()
        self.ranks.wait()


def _recompute_activations(model: Any) -> None:
    """Under the name that this version of the library has for it."""
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    try:
        enable({"use_reentrant": False})
    except ValueError as error:
        raise TacitError(
            f"this model cannot compute activations again ({error}); set train.checkpointing: false"
        ) from error
