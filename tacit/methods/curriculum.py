"""Coconut's curriculum, shared by the methods whose written steps disappear stage by stage: which steps go, what comes in
their place, and how several stages of an example are learned from one chain of thoughts.

A block is what takes the place of one step: `latents_per_step` silent steps, or as many pauses.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss, Method, Progress, answer, cue, question, stages_done, steps
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker


MOST = 100_000
"""Silent steps of a row: more than any model has positions for."""


class Staged(Method):
    """When steps go. Abstract: it does not know what comes in their place."""

    epochs_per_stage: float = Field(default=3.0, gt=0)
    """Passes over the data before the next written step goes."""
    max_stage: int = Field(default=3, ge=0)
    """Written steps that go one by one; beyond, all that remain go at once."""
    first_stage: int = Field(default=0, ge=0)
    """The stage that training starts in (after a warm start from written steps, usually 1)."""
    curriculum: bool = True
    """Take steps away stage by stage; otherwise none is ever written, and every row is as in the last stage."""
    mix: float = Field(default=0.0, ge=0.0, le=1.0)
    """Probability that an example is laid out for a random stage between 0 and its own number of steps."""

    @model_validator(mode="after")
    def _none_is_written(self) -> "Staged":
        if not self.curriculum and self.mix:
            raise ValueError(
                f"curriculum: false never writes a step, and mix: {self.mix} lays examples out with some of them; set mix: 0, "
                "or curriculum: true"
            )
        return self

    def stage(self, at: Progress) -> int:
        if not self.curriculum:
            return self.max_stage + 1
        return min(self.first_stage + stages_done(at, self.epochs_per_stage), self.max_stage + 1)

    def drawn(self, count: int, stage: int | None, rng: Generator | None) -> int:
        """The stage that an example with `count` steps is laid out for: the one in training (None: the last), or a random
        one, which may lie beyond the one in training and beyond `max_stage`."""
        if rng is not None and self.mix and rng.binomial(1, self.mix):
            return int(rng.integers(0, count + 1))
        return stage if stage is not None and self.curriculum else self.max_stage + 1

    def gone(self, count: int, stage: int) -> int:
        """How many of `count` written steps are gone."""
        return count if stage > self.max_stage else min(stage, count)

    def check(self, encoded: Sequence[Encoded]) -> None:
        if not self.curriculum:
            return
        longest = max(len(ex.steps) for ex in encoded)
        if longest == 0:
            raise DataError(
                "none of these examples has a written step, so a curriculum has nothing to take away; set "
                "method.curriculum: false, or give rows with steps"
            )
        if longest < self.first_stage <= self.max_stage:
            raise DataError(
                f"method.first_stage: {self.first_stage} lies beyond these examples, which have {longest} written steps at "
                f"most, so no step would go one by one; set method.first_stage: {longest} or less, or "
                "method.curriculum: false"
            )


class Replacing(Staged):
    """Blocks come in the place of steps. Abstract: it does not know what a block is made of."""

    latents_per_step: int = Field(default=1, ge=0)
    """Silent steps for each written step that is replaced."""
    pad_to_max: bool = True
    """In the last stage, give every example as many blocks as `max_stage`, however few steps it has."""
    stages: Literal["one", "mix", "all"] = "one"
    """Which stages of an example a step learns from. one: the stage in training. mix: also one of those before it, drawn at
    random. all: also all of those before it. Stages of one example share one chain of thoughts, so further ones cost only
    what is written behind it."""

    @model_validator(mode="after")
    def _a_thought_of_some_length(self) -> "Replacing":
        if (count := self.max_stage * self.latents_per_step) > MOST:
            raise ValueError(
                f"{self.latents_per_step} silent steps in the place of each of {self.max_stage} written ones are {count} in a "
                f"row, and {MOST} are the most; set max_stage or latents_per_step lower"
            )
        return self

    @model_validator(mode="after")
    def _one_way_to_mix(self) -> "Replacing":
        if self.stages != "one" and self.mix:
            raise ValueError(
                f"mix: {self.mix} draws the one stage of a row, and stages: {self.stages} learns from several at once; set "
                "mix: 0, or stages: one"
            )
        if self.stages != "one" and not self.latents_per_step:
            raise ValueError(
                f"stages: {self.stages} shares thoughts, and with latents_per_step: 0 there are none; set stages: one, or "
                "latents_per_step: 1"
            )
        if self.stages != "one" and not self.curriculum:
            raise ValueError(
                f"curriculum: false never writes a step, and stages: {self.stages} learns from rows with some of them; set "
                f"stages: one, or curriculum: true and first_stage: {self.max_stage + 1}, which begins with the last stage"
            )
        if self.stages != "one":
            self._one_chain(self.thinking())
        return self

    def _one_chain(self, thinking: Thinking) -> None:
        """Refuse silent steps that rows which part at different thoughts cannot share."""
        if thinking.window is not None:
            raise ValueError(
                f"a gradient window of {thinking.window} counts from the last thought of a row, and stages: {self.stages} end "
                "in different places of one chain; leave thoughts.window out, or set stages: one"
            )
        if thinking.close != "token":
            raise ValueError(
                f"thoughts.close: {thinking.close} feeds one more thought into </think>, and with stages: {self.stages} each "
                "stage has its </think> behind another thought of one chain; set thoughts.close: token, or stages: one"
            )
        for sentence in self.refuses(thinking):
            raise ValueError(sentence)

    def blocks(self, count: int, stage: int) -> int:
        """How many blocks an example with `count` steps has: one for each stage passed, even where steps run out before."""
        if stage <= self.max_stage:
            return stage
        return self.max_stage if self.pad_to_max else min(count, self.max_stage)

    def row(self, ex: Encoded, vocab: Vocab, stage: int) -> Layout:
        """Question, blocks for the steps that are gone, the remaining written steps, answer."""
        thought = vocab.thought(self.blocks(len(ex.steps), stage) * self.latents_per_step)
        return Layout(question(ex), *thought, steps(ex, self.gone(len(ex.steps), stage)), cue(ex), answer(ex, vocab))

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        mine = self.drawn(len(ex.steps), stage, rng)
        views = {"main": self.row(ex, vocab, mine)}
        for earlier in () if rng is None else self._earlier(mine, rng):
            views[f"stage {earlier}"] = self.row(ex, vocab, earlier)
        return views

    def _earlier(self, stage: int, rng: Generator) -> Sequence[int]:
        before = range(min(stage, self.max_stage + 1))
        if self.stages == "mix" and before:
            return [int(rng.integers(len(before)))]
        return before if self.stages == "all" else ()

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        """With the blocks of the stage in training, or of the last one. The number of an example's own steps is not looked
        at, since a prompt must not tell how long the solution is."""
        last = stage is None or not self.curriculum
        blocks = self.max_stage if last else min(stage or 0, self.max_stage)
        return Layout(question(ex), *vocab.thought(blocks * self.latents_per_step))

    def refuses(self, thinking: Thinking) -> Iterator[str]:
        if self.stages != "one" and thinking.schedule == "recompute":
            yield (
                f"stages: {self.stages} hang on one chain of silent steps, which is walked with a cache and not recomputed; set "
                "method.stages: one, or the schedule to cached"
            )

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        if len(rows[0]) == 1:
            return super().collate(rows, vocab)
        from tacit.engine.shared import SharedBatch

        return {"main": SharedBatch.of([list(row.values()) for row in rows], vocab)}

    def collates_itself(self) -> bool:
        return self.stages != "one"

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.engine.shared import SharedBatch, shared_loss

        view = lesson.views["main"]
        if not isinstance(view, SharedBatch):
            return super().loss(thinker, lesson, counts)
        total = shared_loss(thinker, view, counts["main"])
        return Loss(total, {"nll": total.detach()})
