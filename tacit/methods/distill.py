"""Distilled thoughts: the model that writes its steps teaches itself to think them (Shen et al., arXiv 2502.21074), and may
learn how long to think (arXiv 2511.21581).

One model is both. The teacher writes the steps; the student has silent ones in their place. Both learn to answer, and just
before the answer, where all thinking is done, the student's states are drawn towards the teacher's.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, Loss, Method, Progress, answer, cue, opening, question, steps
from tacit.methods.distance import Distance
from tacit.settings import Settings
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.methods.distilling import Place
    from tacit.thinker import Thinker

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Count(Settings):
    """How many silent steps an example gets: per_step for each of its written steps, and so many more, within bounds."""

    per_step: float = Field(default=0.0, ge=0)
    """Silent steps for each written step of the data, the last one included even where the teacher does not write it."""
    plus: int = Field(default=6, ge=0)
    """Silent steps besides."""
    least: int = Field(default=0, ge=0)
    """At least so many."""
    most: int | None = Field(default=None, ge=0)
    """At most so many; null sets no bound."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.most is not None and self.most < self.least:
            raise ValueError(
                f"at least {self.least} and at most {self.most} cannot both hold; set most: {self.least} or more"
            )
        return self

    @property
    def none(self) -> bool:
        """Whether no example gets any."""
        return self.most == 0 or not (self.per_step or self.plus or self.least)

    def of(self, steps: int) -> int:
        count = max(self.least, int(self.per_step * steps) + self.plus)
        return count if self.most is None else min(self.most, count)


class Stages(Settings):
    """Written steps give way to silent ones: in stage s the first s are gone and s silent ones are there."""

    every: int = Field(default=150, ge=1)
    """Optimizer steps of a stage."""
    last: int = Field(default=6, ge=1)
    """In this stage no step is written any more, and all silent steps are there."""
    mix: float = Field(default=0.2, ge=0, lt=1)
    """Share of rows that are laid out as in an earlier stage."""


class Distill(Method):
    """Student: question, silent steps, answer. Teacher: question, written steps, answer."""

    latents: Count = Count()
    """How many silent steps."""
    thoughts: Thinking = Thinking(feedback="mlp")
    """How a silent step is made. confine is always on: what follows a silent step is a choice between one more and the end; a
    model that decides itself is made to stop behind max_latents."""
    stop: Weight = 1.0
    """Weight, relative to a written token, of learning to go on or to stop. 0: the number of silent steps is given, not
    learned."""
    learn_cue: bool = True
    """Learn the words that announce the answer in the student's row too; otherwise they stand in the prompt."""
    drop_last: bool = True
    """The teacher does not write the last step, which is the answer already."""
    opened: bool = False
    """The teacher's row has <think> before its steps too. The state that the first silent step starts from is then one that
    announces the first written step."""
    student: Weight = 1.0
    """Weight of the student's cross-entropy."""
    teacher: Weight = 1.0
    """Weight of the teacher's cross-entropy. 0 with no term to compare: no teacher at all (the control)."""
    codi: Weight = 20.0
    """Weight of the distance between the states at one token of the words before the answer."""
    meaned: Weight = 0.0
    """Weight of the distance between the mean state of the silent steps and that of the teacher's written steps."""
    aligned: Weight = 0.0
    """Weight of the distance between the state of each silent step and that at the end of the written step of its number."""
    target: int = Field(default=-1, le=-1)
    """Where codi compares: -1 is the last token of the words before the answer, -2 the one before it."""
    distance: Distance = Distance()
    """How states are compared."""
    stages: Stages | None = None
    """Replace written steps one by one instead of all at once."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.stop == 0 and self.latents.per_step:
            raise ValueError(
                "the number of silent steps depends on the written ones, which nobody knows when answering, and the model does "
                "not learn it; set stop: 1, or latents.per_step: 0"
            )
        if self.stop and not self.learn_cue:
            raise ValueError(
                "a model that stops thinking itself must also write the words before the answer; set learn_cue: true, or stop: 0"
            )
        if self.student == 0 and not self._terms:
            raise ValueError("the student learns nothing; set student, codi, meaned or aligned above 0")
        if self._terms and self.latents.none:
            raise ValueError(
                f"{', '.join(self._terms)}: states behind silent steps are compared, and there are none; set latents.plus: 6, "
                "or every such weight to 0"
            )
        if self.stop and self.student == 0:
            raise ValueError(
                "the model decides itself when to stop, and with student: 0 it does not learn to; set stop: 0, which gives the "
                "number of silent steps, or student: 1"
            )
        most = (self.latents.per_step and self.latents.most) or self.latents.of(0)
        if self.stop and most > self.thoughts.max_latents:
            raise ValueError(
                f"up to {most} silent steps are learned, and the model is stopped behind {self.thoughts.max_latents}; set "
                f"thoughts.max_latents: {most}"
            )
        if self.thoughts.window is not None:
            raise ValueError(
                f"a gradient window of {self.thoughts.window} would cut between what the student shares with the teacher and "
                "what it does not; leave thoughts.window out"
            )
        for sentence in self.refuses(self.thoughts):
            raise ValueError(sentence)
        return self

    def refuses(self, thinking: Thinking) -> Iterator[str]:
        if self.stop and thinking.schedule == "jacobi":
            yield (
                "silent steps that are made at once must be given, and this model decides on each; set stop: 0 and "
                "learn_cue: false, or the schedule to cached"
            )
        if thinking.schedule == "recompute":
            yield (
                "all rows of an example hang on one chain of silent steps, which is walked with a cache and not recomputed; set "
                "the schedule to cached"
            )

    @property
    def _terms(self) -> dict[str, float]:
        found = {"codi": self.codi, "meaned": self.meaned, "aligned": self.aligned}
        return {name: weight for name, weight in found.items() if weight}

    def check(self, encoded: Sequence[Encoded]) -> None:
        """What is compared must be there in every row."""
        for ex in encoded:
            self._compared(ex)

    def _compared(self, ex: Encoded) -> None:
        named = ex.id or "an example"
        if not ex.cue:
            raise DataError(
                f"{named}: there are no words before the answer, where student and teacher could be compared; set template.cue"
            )
        if self.codi and len(ex.cue) + self.target < 0:
            raise DataError(
                f"method.target: {self.target} counts further back than the {len(ex.cue)} tokens before the answer of {named}; "
                f"set at least {-len(ex.cue)}"
            )

    def thinking(self) -> Thinking:
        return self.thoughts.model_copy(update={"confine": True})

    def stage(self, at: Progress) -> int:
        return min(at.step // self.stages.every, self.stages.last) if self.stages else 0

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        self._compared(ex)
        written = ex._replace(steps=ex.steps[:-1]) if self.drop_last else ex
        count, gone = self._place(len(ex.steps), stage, rng)
        rest = [] if gone is None or gone >= len(written.steps) else [steps(written, gone)]
        said = cue(ex, float(self.learn_cue or gone is not None))
        views = {"main": Layout(question(ex), *vocab.thought(count, self.stop), *rest, said, answer(ex, vocab))}
        if self.teacher or self._terms:
            think = [Segment("open", (vocab.open,))] if self.opened else []
            first = [piece._replace(name="opening") for piece in opening(ex)]
            pieces = [Segment("steps", step, 1.0) for step in written.steps]
            views["teacher"] = Layout(question(ex), *think, *first, *pieces, cue(ex), answer(ex, vocab))
        return views

    def _place(self, written: int, stage: int | None, rng: Generator | None) -> tuple[int, int | None]:
        """(silent steps, written steps that are gone); None: all of them, and for good."""
        if rng is not None and stage and self.stages and rng.random() < self.stages.mix:
            stage = int(rng.integers(stage))
        count = self.latents.of(written)
        return (count, None) if self._silent(stage) else (min(stage or 0, count), stage)

    def _silent(self, stage: int | None) -> bool:
        """Whether nothing is written any more in this stage."""
        return stage is None or self.stages is None or stage >= self.stages.last

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        if self.stop:
            return Layout(question(ex), Segment("open", (vocab.open,)))
        count = self.latents.of(0)
        if not self._silent(stage):
            return Layout(question(ex), *vocab.thought(min(stage or 0, count)))
        return Layout(question(ex), *vocab.thought(count), *([] if self.learn_cue else [cue(ex, 0.0)]))

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        from tacit.methods.distilling import Twins

        places = {"codi": self._at_target, "meaned": _in_the_mean, "aligned": _step_by_step}
        terms = {name: places[name] for name in self._terms}
        return {"twins": Twins.of(rows, vocab, terms, self.thoughts.close != "token")}

    def rollout(self, thinker: "Thinker", lesson: Lesson) -> Lesson:
        """Nothing is acted out; a step in several pieces is measured beforehand, so that all divide by the same."""
        from tacit.methods.distilling import gather_moments

        if not lesson.whole:
            lesson.views = {"twins": gather_moments(thinker, lesson.views["twins"], self.distance)}
        return lesson

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.methods.distilling import distilled_loss

        weights = {"student": self.student, "teacher": self.teacher, **self._terms}
        return distilled_loss(thinker, lesson.views["twins"], counts, self.distance, weights)

    def _at_target(self, student: Layout, teacher: Layout) -> "list[Place]":
        from tacit.methods.distilling import Place

        return [Place(*([layout.span("cue")[1] + self.target] for layout in (student, teacher)))]


def _in_the_mean(student: Layout, teacher: Layout) -> "list[Place]":
    from tacit.methods.distilling import Place

    written = [column for start, end in teacher.pieces("steps") for column in range(start, end)]
    return [Place(range(*student.span("thought")), written)]


def _step_by_step(student: Layout, teacher: Layout) -> "list[Place]":
    from tacit.methods.distilling import Place

    ends = [end - 1 for _, end in teacher.pieces("steps")]
    return [Place([column], [end]) for column, end in zip(range(*student.span("thought")), ends)]
