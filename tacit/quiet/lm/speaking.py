"""Thoughts before tokens that are being written or scored: one place at a time, or a few places of a finished row.

Shapes: B rows, K places of a row, T thoughts of a place, R tokens of a thought, V vocabulary, H hidden size.
"""

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
import torch
from torch import Tensor

from tacit.engine.complete import Before
from tacit.engine.stream import Stream
from tacit.errors import ModelError
from tacit.layout import Layout
from tacit.quiet.lm.readers import Readers, ponder
from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, Text, joined
from tacit.quiet.texts import texts

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Speaker:
    """A thinker that thinks before every token which it writes."""

    def __init__(self, thinker: "Thinker"):
        self.thinker, self.speech = thinker, thinker.aside.speech
        self.route = Route.of(self.speech)
        # Marks belong to thoughts and not to what is written.
        self.unwritten = torch.tensor(sorted(thinker.vocab.unwritten), device=thinker.device)
        self.drawing = Drawing(banned=thinker.aside.banned(thinker.vocab))

    @property
    def chances(self) -> int:
        """Random numbers that a token takes, besides its own."""
        return self.speech.mixture * self.speech.length

    @property
    def room(self) -> int:
        """Positions that a thought takes behind its place."""
        return self.route.end

    @property
    def before(self) -> Before:
        """What is thought before one token."""
        columns = len(self.route.thought) + len(self.route.behind)
        return Before(self.speech.mixture, columns, self.speech.length)

    def next(self, stream: Stream, hidden: Tensor, rows: Sequence[Sequence[int]], chance: Tensor) -> Tensor:
        """(B, V) log-probabilities of what follows rows that a stream has read: `hidden` (B, H) are their last states, `chance`
        (B, T R) uniform random numbers."""
        if self.speech.together:
            raise ModelError(
                "thoughts that see each other are drawn for a whole text at once, and a text that is being written keeps none "
                "of its earlier thoughts; score texts or given answers with this model (eval.choices, tacit eval on texts), "
                "or train with method.together: false to write"
            )
        if self.thinker.aside.cast.own:
            # Roles with weights of their own have not read along.
            ends = torch.tensor([len(row) - 1 for row in rows], device=hidden.device)[:, None]
            ids = texts([[*row, self.thinker.vocab.pad] for row in rows], self.thinker.vocab.pad).ids
            readers = Readers.of(self.thinker, ids.to(hidden.device))
            hidden = readers.base.hidden.gather(1, ends[..., None].expand(-1, -1, hidden.shape[-1]))[:, 0]
        else:
            length = stream.positions.shape[1]
            said = torch.tensor([row[-1] for row in rows], device=hidden.device)[:, None]
            ids = torch.nn.functional.pad(said, (length - 1, 0))
            text = Text(ids, hidden[:, None], stream, self.thinker.door)
            readers = Readers(text, text, text)
            ends = torch.full_like(said, length - 1)
        told = self._told(readers, ends, hidden[:, None], chance[:, None])[:, 0]
        return told.index_fill(-1, self.unwritten, float("-inf")).log_softmax(-1)

    def _told(self, readers: Readers, at: Tensor, hidden: Tensor, chance: Tensor) -> Tensor:
        """(B, K, V) behind thoughts at places `at` (B, K), whose states are `hidden` (B, K, H)."""
        T, R = self.speech.mixture, self.speech.length
        drawing = self.drawing._replace(chance=chance.unflatten(-1, (T, R)))
        thoughts = ponder(self.thinker, readers, at, T, self.route, drawing)
        states = joined(self.thinker, hidden[:, :, None], thoughts.states[..., 0, :])  # (B, K, T, H)
        logits = self.thinker.door.head(states)
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        return logits.log_softmax(-1).logsumexp(2) - math.log(T)

    @torch.no_grad()
    def predict(self, rows: Sequence[Layout], batch: int) -> Iterator[Tensor]:
        """See `Method.predict`. Which thoughts are drawn depends on what stands before a token alone."""
        pad, device = self.thinker.vocab.pad, self.thinker.device
        for start in range(0, len(rows), batch):
            part = rows[start : start + batch]
            asked = [[at - 1 for at, label in enumerate(row.labels) if at and label >= 0] for row in part]
            last = max((column for row in asked for column in row), default=None)
            if last is None:
                dtype = torch.promote_types(self.thinker.door.dtype, torch.float32)
                yield from (torch.empty(0, self.thinker.vocabulary, device=device, dtype=dtype) for _ in part)
                continue
            # Thoughts that see each other need those of all earlier places; what fills a row up stands behind all others.
            thought = [list(range(row[-1] + 1)) if self.speech.together and row else row for row in asked]
            most = max(map(len, thought))
            at = torch.tensor([[*row, *[last] * (most - len(row))] for row in thought], device=device)
            chance = np.zeros((len(part), most, self.chances), dtype=np.float32)
            for number, (row, places) in enumerate(zip(part, thought)):
                for place, column in enumerate(places):
                    seed = crc32(np.asarray(row.ids[: column + 1], dtype=np.int64).tobytes())
                    chance[number, place] = np.random.default_rng(seed).random(self.chances, dtype=np.float32)
            readers = Readers.of(self.thinker, texts([row.ids for row in part], pad).ids.to(device))
            hidden = readers.base.hidden
            hidden = hidden.gather(1, at[..., None].expand(-1, -1, hidden.shape[-1]))
            told = self._told(readers, at, hidden, torch.from_numpy(chance).to(device))
            for one, columns, places in zip(told, thought, asked):
                yield one[[columns.index(column) for column in places]]
