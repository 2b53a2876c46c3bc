"""One step: rows in micro-batches, counts over all of them, backward, one update; or several updates, where a method learns
several times from what it did.

Losses are divided by counts of the whole step, over all micro-batches and processes, before the first backward pass. So
one batch of 8 is eight of 1 is two processes with 4 each: the same gradient.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from tacit.batch import Batch
from tacit.errors import TacitError
from tacit.example import Encoded
from tacit.methods.base import Lesson, Loss, Method, World
from tacit.recipe.training import Train
from tacit.thinker import Thinker
from tacit.train.data import Pick, Rows, lay_out, lessons, portions
from tacit.train.optim import clip, trainable
from tacit.train.packing import packing_of
from tacit.train.random_state import random_state, restore_random
from tacit.train.ranks import Ranks
from tacit.train.shapes import Shaped, Shapes

T = TypeVar("T")


class Learner(nn.Module):
    """What a step differentiates: a lesson in, a loss out. The method may call the model as often as it likes inside."""

    def __init__(self, method: Method, thinker: Thinker, bf16: bool, world: World | None = None):
        super().__init__()
        self.method, self.thinker, self.bf16, self.world = method, thinker, bf16, world

    def arithmetic(self) -> torch.autocast:
        return torch.autocast(self.thinker.device.type, torch.bfloat16, enabled=self.bf16)

    def act(self, lesson: Lesson) -> Lesson:
        with self.arithmetic():
            return self.method.rollout(self.thinker, replace(lesson, world=self.world))

    def forward(self, lesson: Lesson, counts: dict[str, float]) -> Loss:
        with self.arithmetic():
            return self.method.loss(self.thinker, lesson, counts)


class Outcome(NamedTuple):
    """What a step found."""

    loss: float
    grad_norm: float
    parts: dict[str, float]
    """The method's own numbers, of the whole step, and the lengths of thoughts in its rows."""
    tokens: int
    """Tokens read, padding not counted."""
    left_out: int = 0
    """Rows that do not fit into train.max_length."""
    learned: bool = True
    """Whether any row did."""


KINDS = {"steps": "thought_tokens", "frontier": "thought_tokens", "pause": "pauses", "thought": "latents"}
"""Under which name of metrics.jsonl the tokens of a segment are counted, as a mean of the step's rows."""


class Prepared(NamedTuple):
    """The lessons of an update, before anything is learned from them."""

    made: list[Lesson]
    counts: dict[str, float]
    """What their losses are divided by."""
    thoughts: dict[str, float]
    """Tokens of each kind of thought, a mean of the rows."""
    tokens: int
    left_out: int
    weight: float


class Stepper:
    """Takes steps. `micro` is the size of a micro-batch, and shrinks when memory runs out and the recipe says auto."""

    def __init__(
        self,
        learner: Learner,
        optimizer: torch.optim.Optimizer,
        encoded: Sequence[Encoded],
        train: Train,
        ranks: Ranks,
        say: Callable[[str], None] = print,
    ):
        self.learner, self.optimizer, self.encoded = learner, optimizer, encoded
        self.train, self.ranks, self.say = train, ranks, say
        self.parameters = list(trainable(learner).values())
        self.packing = packing_of(train, learner.method)
        # Packed rows are laid out one by one, since which of them share a row is decided by their lengths.
        self.shapes = (
            None
            if self.packing
            else Shapes.of(learner.method, encoded, learner.thinker.vocab, train.seed, ranks.device)
        )
        self.step, self.steps = 0, train.steps or 1
        self.left_out = 0
        """Rows of this process that do not fit into the step at hand."""
        self.share = math.ceil(train.batch / ranks.count)
        self.micro = self.share if train.micro_batch == "auto" else min(train.micro_batch, self.share)

    def take(self, step: int, picks: Sequence[Pick], stage: int) -> Outcome:
        """One update, or as many as the method makes of what it did; none if all rows are too long. A number that is not
        finite ends training before it reaches the weights."""
        self.step = step - 1
        rows, weight = self.lay_out(picks, stage)
        if not self.ranks.any(weight > 0):
            return Outcome(0.0, 0.0, {}, 0, len(picks), learned=False)
        acted, outcome = self._begin(rows, weight)
        outcomes = [self._update(step, outcome)]
        for made in acted[1:]:
            outcome = self._attempt(made, rows, weight)
            if outcome is None:  # the weights have changed since these rows were acted out
                raise TacitError(
                    f"step {step}: memory ran out in update {len(outcomes) + 1} of {len(acted)}; set train.micro_batch: "
                    f"{(self.micro + 1) // 2}"
                )
            outcomes.append(self._update(step, outcome))
        return _together(outcomes)

    def _begin(self, rows: Rows | Shaped, weight: float) -> tuple[list[list[Lesson]], Outcome]:
        """The lessons of each update, and the gradients of the first. Where memory runs out in any process, all begin anew
        with smaller micro-batches."""
        drawn = random_state() if self.train.micro_batch == "auto" else None
        while True:
            acted = self.in_memory(lambda: self._act(rows))
            if not self.ranks.any(acted is None):
                assert acted is not None
                outcome = self._attempt(acted[0], rows, weight)
                if outcome is not None:
                    return acted, outcome
            self._shrink()
            assert drawn is not None
            restore_random(drawn)

    def prepare(self, step: int, picks: Sequence[Pick], stage: int) -> Prepared:
        """The lessons of a step whose gradients somebody else computes, before `conclude`."""
        self.step = step - 1
        rows, weight = self.lay_out(picks, stage)
        [made] = self._act(rows)
        return self._counted(made, rows, weight)

    def conclude(self, step: int, prepared: Prepared, parts: dict[str, float]) -> Outcome:
        """The update, from gradients that are there."""
        return self._update(step, self._outcome(prepared, parts))

    def _update(self, step: int, outcome: Outcome) -> Outcome:
        self.ranks.sum_gradients(self.parameters)
        norm = clip(self.parameters, self.train.clip)
        if not (math.isfinite(outcome.loss) and math.isfinite(norm)):
            raise TacitError(
                f"step {step}: the loss is {outcome.loss:g} and the gradient's norm {norm:g}. No weight was changed. "
                "Set a lower train.lr, a longer train.warmup or train.clip: 1.0, and look at lesson.txt for a row in "
                "which nothing is learned"
            )
        self.optimizer.step()
        return outcome._replace(grad_norm=norm)

    def lay_out(self, picks: Sequence[Pick], stage: int) -> tuple[Rows | Shaped, float]:
        """This process's share of the rows, and their weight: with fewer rows than processes, one is read for nothing,
        because all must take part. Rows that are too long are no part of it."""
        mine = picks[self.ranks.rank :: self.ranks.count] or picks[:1]
        most, seed = self.train.max_length, self.train.seed
        rows = self.shapes.lay_out(mine, stage) if self.shapes else None
        if rows is None:
            rows = lay_out(self.learner.method, self.encoded, mine, self.learner.thinker.vocab, stage, seed)
        lengths = [0] * len(rows) if most is None else rows.lengths()
        fit = [row for row, length in enumerate(lengths) if most is None or length <= most]
        kept = fit or [lengths.index(min(lengths))]
        weight = float(bool(fit) and self.ranks.rank < len(picks))
        self.left_out = len(rows) - len(fit) if self.ranks.rank < len(picks) else 0
        return rows.only(kept), weight

    def _attempt(self, made: list[Lesson], rows: Rows | Shaped, weight: float) -> Outcome | None:
        """Gradients of all micro-batches of an update; None where memory ran out on any process."""
        self.optimizer.zero_grad(set_to_none=True)
        prepared = self._counted(made, rows, weight)
        parts = self.in_memory(lambda: self._backward(made, prepared.counts, weight))
        if self.ranks.any(parts is None):
            return None
        assert parts is not None
        return self._outcome(prepared, self.ranks.sum(parts))

    def _counted(self, made: list[Lesson], rows: Rows | Shaped, weight: float) -> Prepared:
        counts = self.ranks.sum(_total(made, weight) | _thoughts(rows, weight) | {"left_out": float(self.left_out)})
        tokens, left_out, laid = int(counts.pop("tokens")), int(counts.pop("left_out")), counts.pop("laid")
        thoughts = {name: counts.pop(name) / laid for name in dict.fromkeys(KINDS.values())}
        return Prepared(made, counts, thoughts, tokens, left_out, weight)

    def _outcome(self, prepared: Prepared, parts: dict[str, float]) -> Outcome:
        loss, told = parts.pop("loss"), self.learner.method.summary(parts)
        written = {name: mean for name, mean in prepared.thoughts.items() if mean or name == "thought_tokens"}
        return Outcome(loss, 0.0, written | told, prepared.tokens, prepared.left_out)

    def _act(self, rows: Rows | Shaped) -> list[list[Lesson]]:
        """The lessons of each update, acted out."""
        thinker, reuse = self.learner.thinker, self.learner.method.reuse()
        parts: list[Rows | Shaped] = [rows]
        if reuse.parts > 1:
            # All processes must make as many updates.
            parts = portions(rows, min(self.ranks.gather(min(reuse.parts, len(rows)))))
        # A step with more rows than usual has shorter ones: its micro-batches grow with it.
        size = math.ceil(self.micro * max(1.0, len(rows) / self.share))
        made = [lessons(self.learner.method, part, thinker.vocab, size, self.packing) for part in parts]
        whole = sum(map(len, made)) == 1 and self.ranks.count == 1
        facts = {"whole": whole, "seed": self.train.seed, "step": self.step, "steps": self.steps}
        acted = [[self.learner.act(replace(one.to(self.ranks.device), **facts)) for one in part] for part in made]
        return acted * reuse.times

    def _backward(self, made: list[Lesson], counts: dict[str, float], weight: float) -> dict[str, float]:
        sums: dict[str, torch.Tensor] = {}
        for lesson in made:
            loss = self.learner(lesson, counts)
            (loss.total * weight if weight != 1.0 else loss.total).backward()
            add_up(sums, loss, weight)
        return numbers(sums)

    def in_memory(self, work: Callable[[], T]) -> T | None:
        """The result of the work, or None if memory ran out."""
        try:
            return work()
        except RuntimeError as error:
            if not _out_of_memory(error):
                raise
        # Behind the handler: the exception's frames keep every activation alive.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None

    def _shrink(self) -> None:
        self.optimizer.zero_grad(set_to_none=True)
        smaller = (self.micro + 1) // 2
        if self.micro == 1:
            recomputed = self.learner.thinker.thinking.model_copy(update={"schedule": "recompute"})
            able = not [*self.learner.method.refuses(recomputed)]
            less = "train.checkpointing: true with train.latents.schedule: recompute, " * able
            raise TacitError(f"memory ran out on a single example; set {less}train.max_length or a smaller model")
        if self.train.micro_batch != "auto":
            raise TacitError(
                f"memory ran out with train.micro_batch: {self.micro}; set {smaller}, or auto (the same numbers, slower)"
            )
        self.say(f"memory ran out with micro-batches of {self.micro}; going on with {smaller}")
        self.micro = smaller


def add_up(sums: dict[str, torch.Tensor], loss: Loss, weight: float = 1.0) -> None:
    """One more micro-batch of a step."""
    for name, part in (loss.parts | {"loss": loss.total}).items():
        sums[name] = sums.get(name, 0.0) + part.detach() * weight


def numbers(sums: dict[str, torch.Tensor]) -> dict[str, float]:
    """All sums, in one journey from the device."""
    return dict(zip(sums, torch.stack(list(sums.values())).tolist()))


def _together(outcomes: Sequence[Outcome]) -> Outcome:
    """The means of several updates; their tokens add up."""
    if len(outcomes) == 1:
        return outcomes[0]

    def mean(numbers: Sequence[float]) -> float:
        return math.fsum(numbers) / len(numbers)

    parts = {name: mean([outcome.parts[name] for outcome in outcomes]) for name in outcomes[0].parts}
    losses, norms = [one.loss for one in outcomes], [one.grad_norm for one in outcomes]
    return Outcome(mean(losses), mean(norms), parts, sum(one.tokens for one in outcomes), outcomes[0].left_out)


def _total(made: Sequence[Lesson], weight: float) -> dict[str, float]:
    totals: dict[str, float] = {"tokens": 0.0}
    for lesson in made:
        read = sum(_tokens(view) for view in lesson.views.values())
        for name, count in (lesson.counts() | {"tokens": float(read)}).items():
            totals[name] = totals.get(name, 0.0) + weight * count
    return totals


def _thoughts(rows: Rows | Shaped, weight: float) -> dict[str, float]:
    """How many tokens of each kind of thought the rows have in their main view, and how many rows these are."""
    totals = dict.fromkeys(KINDS.values(), 0.0) | {"laid": weight * len(rows)}
    for views, count in rows.counted():
        for segment in views["main"].segments if "main" in views else ():
            if segment.name in KINDS:
                totals[KINDS[segment.name]] += weight * count * len(segment.ids)
    return totals


def _tokens(view: object) -> int:
    """A batch, or a trunk with tails; other views do not say."""
    if isinstance(view, Batch):
        return view.tokens
    parts = (view, getattr(view, "trunk", None))
    return sum(int(keep.sum()) for keep in (getattr(part, "keep", None) for part in parts) if keep is not None)


def _out_of_memory(error: RuntimeError) -> bool:
    said = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "out of memory" in said or "can't allocate memory" in said
