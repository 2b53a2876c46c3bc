"""The tokens of thinking. A thought is a span `<think> <latent>… </think>`; a pause is an ordinary token that says nothing."""

from dataclasses import dataclass, field
from functools import cached_property

from tacit.layout import Segment

OPEN, LATENT, CLOSE = "<think>", "<latent>", "</think>"


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

    def thought(self, count: int, learn: float = 0.0) -> tuple[Segment, Segment, Segment]:
        """`<think>`, `count` silent steps and `</think>`. With `learn`, the decisions to go on or to stop are learned."""
        return (
            Segment("open", (self.open,)),
            Segment("thought", (self.latent,) * count, learn),
            Segment("close", (self.close,), learn),
        )
