"""The tokens of thinking. A thought is a span `<think> <latent>… </think>`; a pause is an ordinary token that says nothing."""

from dataclasses import dataclass, field
from functools import cached_property

from tacit.layout import Segment

OPEN, LATENT, CLOSE = "<think>", "<latent>", "</think>"
START, END = "<|START_OF_LATENT|>", "<|END_OF_LATENT|>"
"""Around thoughts in words, where a method has marks of its own for them."""
BEFORE, AFTER = "<|PRIOR_PREFIX|>", "<|POSTERIOR_PREFIX|>"
"""Behind START: whether the thought stands before or behind what it is about."""


@dataclass(frozen=True)
class Vocab:
    """The ids that layouts and the engine need to know; everything else is the tokenizer's business."""

    open: int
    latent: int
    close: int
    eos: int
    pad: int
    extra: dict[str, int] = field(default_factory=dict)
    """Further added tokens by name, such as `<pause>`."""

    @cached_property
    def unwritten(self) -> frozenset[int]:
        """Tokens that are no part of a text."""
        return frozenset({self.open, self.latent, self.close, *self.extra.values()})

    @cached_property
    def opening(self) -> frozenset[int]:
        """Tokens behind which a thought stands."""
        return frozenset({self.open, *self._extra(START)})

    @cached_property
    def closing(self) -> frozenset[int]:
        """Tokens with which a thought ends."""
        return frozenset({self.close, *self._extra(END)})

    @cached_property
    def marks(self) -> frozenset[int]:
        """Tokens that stand around thoughts and are none themselves."""
        return self.opening | self.closing | {*self._extra(BEFORE, AFTER)}

    def _extra(self, *names: str) -> list[int]:
        return [self.extra[name] for name in names if name in self.extra]

    def thought(self, count: int, learn: float = 0.0) -> tuple[Segment, Segment, Segment]:
        """`<think>`, `count` silent steps and `</think>`. With `learn`, the decisions to go on or to stop are learned."""
        return (
            Segment("open", (self.open,)),
            Segment("thought", (self.latent,) * count, learn),
            Segment("close", (self.close,), learn),
        )
