"""Read prompts once: what several prompts share, and prompts that occur several times, cost one read.

Shapes: B rows, S states of a column (that which speaks and that which is fed back, where they differ), H hidden size.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.run import run
from tacit.engine.stream import Stream, open_stream
from tacit.layout import Layout, Segment

SHARED = 16
"""A prefix common to all prompts is read apart from the rest if it has at least so many tokens."""


@dataclass(frozen=True)
class Head:
    """The part of a prompt that is read at once: up to its first latent, or all of it where thoughts are made in rounds."""

    ids: tuple[int, ...]
    positions: tuple[int, ...]

    def layout(self, start: int) -> Layout:
        return Layout(Segment("prompt", self.ids[start:], positions=self.positions[start:]))


class PromptReader:
    """Gives streams of freshly read prompts, rows aligned at their last column."""

    def __init__(self, thinker, heads: Sequence[Head]):
        self.thinker, self.door = thinker, thinker.door
        self.source = thinker.thinking.source
        self.uses = Counter(heads)
        self.held: dict[Head, tuple[Stream, Tensor]] = {}
        """Prompts that will be asked for again."""
        # Rounds go over all thoughts of a prompt together, so such prompts are read whole.
        self.common = 0 if any(thinker.vocab.latent in head.ids for head in heads) else _common(heads)
        self.thoughts: dict[Head, Tensor] = {}
        """What was thought in a prompt that was read with its thoughts, (n, E)."""
        self.prefix: Stream | None = None

    def read(self, heads: Sequence[Head]) -> tuple[Stream, Tensor]:
        """A stream of these prompts and the states (B, S, H) of their last columns."""
        fresh = list(dict.fromkeys(h for h in heads if h not in self.held))
        stream, hidden = self._read(fresh) if fresh else (None, None)
        for head in heads:
            self.uses[head] -= 1
        if len(fresh) == len(heads):  # the usual case: all different
            assert stream is not None and hidden is not None
            parts = [(stream, hidden)]
        elif len(set(heads)) == 1 and fresh:
            assert stream is not None and hidden is not None
            parts = [_repeat(stream, hidden, [0] * len(heads))]
        else:
            parts = self._assemble(heads, fresh, stream, hidden)
        self._hold(fresh, stream, hidden)
        whole, states = parts[0]
        for more, more_states in parts[1:]:
            whole, states = whole.join(more), torch.cat([states, more_states])
        return whole, states

    def _assemble(self, heads, fresh: list[Head], stream: Stream | None, hidden: Tensor | None):
        """Rows of one new read are taken from it together; held prompts are repeated one by one, in the order asked."""
        parts, index = [], {head: i for i, head in enumerate(fresh)}
        at = 0
        while at < len(heads):
            new, end = heads[at] in index, at
            while end < len(heads) and (heads[end] in index if new else heads[end] == heads[at]):
                end += 1
            if new:
                parts.append(_repeat(stream, hidden, [index[h] for h in heads[at:end]]))
            else:
                parts.append(_repeat(*self.held[heads[at]], [0] * (end - at)))
            at = end
        return parts

    def _hold(self, fresh: list[Head], stream: Stream | None, hidden: Tensor | None) -> None:
        for i, head in enumerate(fresh):
            if self.uses[head] > 0:
                self.held[head] = _repeat(stream, hidden, [i])
        for head in [h for h in self.held if self.uses[h] <= 0]:
            del self.held[head]

    def _read(self, heads: list[Head]) -> tuple[Stream, Tensor]:
        if not self.common:
            return self._extend(open_stream(self.door), heads, 0)
        if self.prefix is None:
            opening = Head(heads[0].ids[: self.common], heads[0].positions[: self.common])
            self.prefix, _ = self._extend(open_stream(self.door), [opening], 0)
        start = torch.zeros(len(heads), dtype=torch.long, device=self.door.device)
        return self._extend(self.prefix.select(start), heads, self.common)

    def _extend(self, stream: Stream, heads: list[Head], start: int) -> tuple[Stream, Tensor]:
        batch = Batch.of([head.layout(start) for head in heads], self.thinker.vocab, "right").to(self.door.device)
        if batch.latent_columns:
            trace = run(self.thinker, batch)
            assert trace.stream is not None
            for head, inputs, latents in zip(heads, trace.inputs, batch.latents):
                self.thoughts[head] = inputs[latents]
            return trace.stream, trace.last.last(self.source)
        keep = batch.keep if batch.padded else None
        read = stream.read(self.door.embed(batch.ids), batch.positions, keep, self.source != "last")
        return stream, read.last(self.source)


def _repeat(stream, hidden, rows: list[int]) -> tuple[Stream, Tensor]:
    index = torch.tensor(rows, device=hidden.device)
    return stream.select(index), hidden[index]


def _common(heads: Sequence[Head]) -> int:
    """Length of the prefix that all prompts share, so that each keeps a token of its own; 0 if it is not worth it."""
    if len(set(heads)) < 2:
        return 0
    low, high = min(heads, key=lambda h: h.ids), max(heads, key=lambda h: h.ids)
    shared = next((i for i, (a, b) in enumerate(zip(low.ids, high.ids)) if a != b), min(len(low.ids), len(high.ids)))
    shared = min(shared, min(len(h.ids) for h in heads) - 1)
    if len({h.positions[:shared] for h in heads}) > 1:
        return 0
    return shared if shared >= SHARED else 0
