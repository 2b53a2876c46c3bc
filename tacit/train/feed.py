"""What the next step learns from: a fixed number of examples, or more and more of them while a curriculum shortens rows."""

from collections.abc import Sequence

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.methods.base import Method, Progress
from tacit.recipe.training import Train
from tacit.train.checkpoint import Position
from tacit.train.data import Order, Pick, Shuffled, lay_out, order_of
from tacit.vocab import Vocab

SAMPLE = 256
"""Examples by which the length of a stage's rows is judged."""


class Feed:
    """The order of examples, walked by a run's position."""

    def __init__(self, train: Train, method: Method, encoded: Sequence[Encoded], vocab: Vocab):
        self.train, self.method, self.encoded, self.vocab = train, method, encoded, vocab
        self.order = order_of(train, method, encoded, vocab)
        self.steps = train.steps or self.order.steps(train.epochs or 1.0)
        self.chain = max(sum(map(len, row.steps)) for row in encoded)
        pacing = method.pacing()
        self.first = pacing.stage if pacing else self.stage(Position())
        end = Position(step=self.steps - 1, seen=(self.steps - 1) * train.batch)
        self.last = self.first if pacing else self.stage(end)
        self._lengths: dict[int, int] = {}
        self._parts: dict[int, tuple[Order, list[int]]] = {}

    def stage(self, at: Position) -> int:
        """Where a curriculum that does not listen stands."""
        progress = Progress(at.step, self.epoch(at), self.steps, self.order.steps(1.0), self.chain)
        return self.method.stage(progress)

    def epoch(self, at: Position) -> float:
        """Passes done before the next step."""
        if self.train.grow and isinstance(self.order, Shuffled):
            return at.seen / self.order.count
        return self.order.epoch(at.step)

    def picks(self, at: Position, stage: int) -> list[Pick]:
        """The examples of the next step, of those that are met at its stage."""
        order, met = self._part(stage)
        if self.train.grow and isinstance(order, Shuffled):
            picks = order.take(at.seen, self.rows(stage))
        else:
            picks = order.picks(at.step)
        return picks if order is self.order else [Pick(epoch, met[index]) for epoch, index in picks]

    def _part(self, stage: int) -> tuple[Order, list[int]]:
        """The order of the examples that are met at a stage, and which these are."""
        if stage not in self._parts:
            met = [index for index, ex in enumerate(self.encoded) if self.method.meets(ex, stage)]
            if not met:
                raise DataError(
                    f"none of the {len(self.encoded)} training examples is met at stage {stage}, so there is nothing to "
                    "learn from; let the curriculum begin with longer examples, or add shorter ones"
                )
            some = len(met) < len(self.encoded)
            part = [self.encoded[index] for index in met]
            self._parts[stage] = (order_of(self.train, self.method, part, self.vocab) if some else self.order), met
        return self._parts[stage]

    def rows(self, stage: int) -> int:
        """As many examples as make up the tokens that a step had in the first stage."""
        return max(1, round(self.train.batch * self._length(self.first) / self._length(stage)))

    def _length(self, stage: int) -> int:
        if stage not in self._lengths:
            picks = [Pick(0, index) for index in range(min(SAMPLE, len(self.encoded)))]
            laid = lay_out(self.method, self.encoded, picks, self.vocab, stage, self.train.seed)
            self._lengths[stage] = sum(len(layout) for views in laid for layout in views.values())
        return self._lengths[stage]
