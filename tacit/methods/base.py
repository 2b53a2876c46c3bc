"""One way of thinking: how an example is laid out for learning, where an answer starts, and what is learned from it.

A method is a frozen set of fields, which are its hyperparameters. It never touches a cache, a position or a label tensor:
it writes layouts, and the engine does the rest. Read in order, its methods are a sentence: lay the example out for this
stage, act, learn.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from numpy.random import Generator

from tacit.example import Encoded, Example
from tacit.layout import Layout, Segment
from tacit.settings import Settings
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from torch import Tensor

    from tacit.tasks.base import Task
    from tacit.thinker import Thinker


class Progress(NamedTuple):
    """Where training stands, for curricula."""

    step: int
    """Optimizer steps done."""
    epoch: float
    """Passes over the training examples, with its fraction."""
    steps: int
    """Optimizer steps planned."""
    per_epoch: float = 1.0
    """Optimizer steps in one pass over the training examples."""
    chain: int = 1 << 20
    """Tokens of the longest chain of written steps."""


@dataclass(frozen=True)
class World:
    """What a method that acts needs besides its lessons."""

    task: "Task"
    """Grades what was answered."""
    examples: Sequence[Example]
    """All training examples as text."""
    seed: int = 0
    start: Any = None
    """What `Method.start` made of the thinker that training began with, for methods that compare with it."""


class Reuse(NamedTuple):
    """How often a step learns from what it did: cut into parts, each of them an update, and all that several times over."""

    parts: int = 1
    times: int = 1


@dataclass
class Lesson:
    """What one micro-batch learns from. `views` are tensors; each has `learned` (how many tokens it teaches) and `to`, and
    `sums` where its loss consists of parts with counts of their own."""

    views: dict[str, Any]
    rows: int
    examples: Sequence[Encoded] = ()
    extra: dict[str, Any] = field(default_factory=dict)
    whole: bool = True
    """Whether this is all that the step learns from, over all processes."""
    picks: Sequence[tuple[int, int]] = ()
    """(epoch, number of the example) of each row: with the seed, what its random numbers belong to."""
    seed: int = 0
    step: int = 0
    """Optimizer steps done."""
    steps: int = 1
    """Optimizer steps planned."""
    world: World | None = None

    def to(self, device) -> "Lesson":
        return replace(self, views={name: view.to(device) for name, view in self.views.items()})

    def counts(self) -> dict[str, float]:
        """Learned tokens of each view, its own sums, and rows: what losses are divided by, once summed over the whole step."""
        counts = {name: view.learned for name, view in self.views.items()} | {"rows": float(self.rows)}
        for view in self.views.values():
            counts |= getattr(view, "sums", {})
        return counts


class Loss(NamedTuple):
    """The number to minimise, and the numbers to log; each of them a sum, since a step may come in pieces."""

    total: "Tensor"
    parts: dict[str, "Tensor"] = {}  # noqa: RUF012 (a NamedTuple's default, never changed)


class Pacing(Protocol):
    """A stage that depends on what was learned. Its state is part of a checkpoint."""

    stage: int

    def observe(self, parts: dict[str, float]) -> None: ...
    def state(self) -> dict[str, float]: ...
    def restore(self, state: dict[str, float]) -> None: ...


class Team(Protocol):
    """Several models in one computation."""

    def losses(self, lessons: Sequence[Lesson], counts: Sequence[dict[str, Any]]) -> list[Loss]:
        """The loss of each model, with a lesson of its own."""
        ...

    def share_gradients(self) -> None:
        """Behind a backward pass: every model's parameters get their own."""
        ...


class Method(Settings, ABC):
    """Abstract or final: no method inherits from another."""

    tokens: ClassVar[tuple[str, ...]] = ()
    """Tokens it needs besides those of thoughts, such as `<pause>`."""
    around: ClassVar[tuple[str, ...]] = ()
    """Of these, marks around thoughts in words: the one that opens a thought, the one that closes it, and any others. What is
    written between the first two is thinking; all other tokens stand for silent steps."""

    def letters(self) -> str:
        """Characters of words that it brings itself, for tokenizers from scratch."""
        return ""

    def thinking(self) -> Thinking:
        """The learned parts and the kind of silent steps it needs."""
        return Thinking()

    def stage(self, at: Progress) -> int:
        """Where its curriculum stands; 0 where it has none."""
        return 0

    def era(self, stage: int) -> int:
        """The part of the curriculum that a stage belongs to: with a new one, an optimizer may forget and warm up again, and the
        best checkpoint begins anew."""
        return stage

    def pacing(self) -> "Pacing | None":
        """A curriculum that listens to what is learned and so decides the stage itself; None: `stage` decides."""
        return None

    def absent(self) -> "Iterable[tuple[str, str]]":
        """What it names and this machine does not have: a field's dotted name, and what is wrong with it."""
        return ()

    def refuses(self, thinking: Thinking) -> "Iterable[str]":
        """Why it cannot make silent steps in this way, where `train.latents` sets another order than its own: a sentence each,
        with a remedy."""
        return ()

    def check(self, encoded: Sequence[Encoded]) -> None:
        """Refuse examples that this method cannot be learned from, before training begins."""

    def meets(self, ex: Encoded, stage: int) -> bool:
        """Whether an example is met at all at a stage; a curriculum may begin with the easy ones."""
        return True

    @abstractmethod
    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        """One or more views of an example at a stage, or None when training is over. Without random numbers, nothing is
        left to chance: that is what evaluation reads. Examples of one shape are laid out once for all, if this looks at
        lengths and not at ids, and draws whole numbers if any (`tacit.train.shapes`)."""

    @abstractmethod
    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        """Where an answer starts; `stage` is the one being trained, or None when training is over."""

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        """Views as tensors."""
        from tacit.batch import Batch

        return {name: Batch.of([row[name] for row in rows], vocab) for name in rows[0]}

    def collates_itself(self) -> bool:
        """Whether `collate` makes tensors in a way of its own, so that nobody else may make them."""
        return type(self).collate is not Method.collate

    def start(self, thinker: "Thinker") -> Any:
        """What it needs to know later of the thinker that training began with."""
        return None

    def reuse(self) -> Reuse:
        """How often a step learns from what `rollout` did; once, but for methods whose acts are dear."""
        return Reuse()

    def rollout(self, thinker: "Thinker", lesson: Lesson) -> Lesson:
        """Act before learning."""
        return lesson

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        """Learn. `counts` are those of the whole optimizer step, over all micro-batches and processes."""
        total = thinker.loss(lesson.views["main"], counts["main"])
        return Loss(total, {"nll": total.detach()})

    def team(self, thinkers: "Sequence[Thinker]") -> "Team | None":
        """Thinkers whose losses are computed side by side, for methods that can: the numbers are those of one after the other,
        and small models take little more time than one of them."""
        return None

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """The numbers to log, from the parts of a loss after they were summed over micro-batches and processes."""
        return parts

    def predict(self, thinker: "Thinker", rows: Sequence[Layout], batch: int) -> "Iterator[Tensor]":
        """How likely every token of the vocabulary is, wherever a row has a learned token: for each row in turn, (n, V)
        log-probabilities, one line for each of its learned tokens, from what stands before it (`tacit.layout.targets` names
        the tokens). Everything that is measured teacher-forced asks here, so a method that predicts in a way of its own says
        so here alone. It must give lines that sum to one, the same ones whatever the batch, and one row's at a time: those of
        a whole data set would fill any memory. The model is in evaluation mode and no gradients are wanted."""
        from tacit.evaluate.predicting import predict

        return predict(thinker, rows, batch)

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """What there is to say about texts, which ask nothing: means over the `places` where a token could be predicted. Here the
        negative log-likelihood in nats, of the plain text, as far as the model has positions."""
        from tacit.evaluate.predicting import text_rows, token_nll

        rows = text_rows(encoded, thinker.limit)
        told = [nll for row in token_nll(self, thinker, rows, batch) for nll in row]
        return {"nll": math.fsum(told) / max(1, len(told)), "places": float(len(told))}

    def silent(self) -> bool:
        """Whether answers come behind silent steps: those of a prompt, or those that the model decides on itself."""
        vocab = Vocab(*range(5), extra={name: number for number, name in enumerate(self.tokens, 5)})
        asked = self.prompt(Encoded("", (9,), ((9,),), (9,), (9,)), vocab)
        return self.thinking().confine or vocab.latent in asked.ids


def stages_done(at: Progress, epochs: float) -> int:
    """Whole stages of so many epochs behind us. Epochs are fractions of steps, so .3 / .1 must count as three; and a stage may
    be so short that the quotient is no number any more."""
    return int(min(at.epoch / epochs + 1e-9, 1e15))


def only_given(thinking: Thinking) -> None:
    """Refuse what a method would never teach whose silent steps all stand in its rows: when to stop, and thoughts before
    tokens."""
    if thinking.confine:
        raise ValueError(
            "thoughts.confine lets the model decide when to stop, and rows of this method say how many silent steps there are, "
            "so it is never learned; leave it out, or take method distill with stop: 1"
        )
    if thinking.aside is not None:
        raise ValueError(
            "thoughts.aside is what methods that think before every token learn, and this one would leave it as it began; "
            "leave it out, or take method quiet_star or ponder"
        )


def question(ex: Encoded) -> Segment:
    return Segment("question", ex.question, positions=ex.graph and ex.graph.positions(len(ex.question)))


def opening(ex: Encoded, learn: float = 1.0) -> tuple[Segment, ...]:
    """What the model writes before its steps, if anything."""
    return (Segment("steps", ex.opening, learn),) if ex.opening else ()


def steps(ex: Encoded, start: int = 0, learn: float = 1.0) -> Segment:
    """The written steps from number `start` on, behind the opening."""
    return Segment("steps", [*ex.opening, *(i for step in ex.steps[start:] for i in step)], learn)


def cue(ex: Encoded, learn: float = 1.0) -> Segment:
    return Segment("cue", ex.cue, learn)


def text_or_answer(ex: Encoded, vocab: Vocab) -> Layout:
    """All of a text is learned; of a question, what is written behind it."""
    if ex.steps or ex.cue:
        return Layout(question(ex), steps(ex), cue(ex), answer(ex, vocab))
    return Layout(question(ex), Segment("text", ex.answer, 1.0))


def answer(ex: Encoded, vocab: Vocab, learn: float = 1.0) -> Segment:
    """The answer and the end of the text."""
    return Segment("answer", (*ex.answer, vocab.eos), learn)
