"""Read a finished layout. The walk over the columns of a batch, in three schedules that give the same numbers.

A stretch without latents is one parallel read. A latent column starts a read of its own, because what enters there is the
hidden state of the column before it. So a batch whose longest row has n latents costs n + 1 reads, and every column is
computed once.

Shapes: B rows, T columns, H hidden size.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.door import Door
from tacit.engine.stream import Beside, Read, Stream, drops_caches, open_stream
from tacit.errors import DataError


@dataclass
class Trace:
    """What a walk leaves behind."""

    hidden: Tensor  # (B, T, H)
    pieces: list[Tensor]  # what was read: (B, W, E) each, T columns together
    levels: list[tuple[Tensor, ...]]
    """Every layer's states by read, if they were asked for."""
    last: Read
    """The read that ended the walk."""
    stream: Stream | None
    """Open for further reads; None where no cache was kept: after `recompute`, and under gradient checkpointing."""
    reads: int
    aside: Read | None = None
    """What was read beside the first stretch."""

    @property
    def inputs(self) -> Tensor:
        """(B, T, E): what entered every column; in latent columns, the realised thoughts."""
        return torch.cat(self.pieces, 1)

    @cached_property
    def layers(self) -> tuple[Tensor, ...]:
        """The output of the embedding and of every layer, each (B, T, H)."""
        return tuple(level[0] if len(level) == 1 else torch.cat(level, 1) for level in zip(*self.levels))


def run(
    thinker,
    batch: Batch,
    *,
    schedule: str | None = None,
    layers: bool = False,
    end: int | None = None,
    beside: Beside | None = None,
) -> Trace:
    """Walk a batch. `layers` keeps every layer's states; `end` stops before columns that nobody needs; `beside` continues
    columns before the first thought (not with recompute)."""
    check_positions(thinker.door, batch.last_position)
    schedule = schedule or thinker.thinking.schedule
    walk = _Walk(thinker, batch, layers, batch.shape[1] if end is None else end, beside)
    # Vectors that are known beforehand need no chain: replayed thoughts, or a pause that ignores the state.
    if not walk.columns or batch.thoughts is not None or thinker.thinking.feedback == "pause":
        return walk.parallel()
    return {"cached": walk.cached, "recompute": walk.recompute, "jacobi": walk.jacobi}[schedule]()


def check_positions(door: Door, last: int) -> None:
    if door.limit is not None and last >= door.limit:
        raise DataError(
            f"a row needs position {last}, but this model has {door.limit} positions (0 to {door.limit - 1}). "
            "Shorten or drop such rows, use fewer latents, or build the model with more positions (model.tiny.positions)"
        )


class _Walk:
    def __init__(self, thinker, batch: Batch, layers: bool, end: int, beside: Beside | None):
        self.thinker, self.batch, self.end = thinker, batch, end
        self.beside, self.aside = beside, None
        self.keep_layers = layers
        self.layers = layers or thinker.thinking.source != "last"
        self.embeds = thinker.door.embed(batch.ids[:, :end])
        self.closing = thinker.thinking.close == "token+thought"
        columns = {*batch.latent_columns, *(batch.close_columns if self.closing else ())}
        self.columns = sorted(c for c in columns if c < end)
        self.full = dict(zip(batch.latent_columns, batch.latent_rows))
        self.late = self._late()

    def _late(self) -> Tensor | None:
        """(B, T) bool: the thoughts through which gradient may flow, when only the last few of a row let it."""
        window = self.thinker.thinking.window
        if window is None:
            return None
        fed = self.batch.latents | self.batch.closes if self.closing else self.batch.latents
        seen = fed.long().cumsum(1)
        return fed & (seen > seen[:, -1:] - window)

    def _read(self, stream: Stream, embeds: Tensor, start: int, end: int) -> Read:
        keep = self.batch.keep[:, start:end] if self.batch.padded else None
        positions = self.batch.positions[:, start:end]
        if self.batch.document is not None:
            return self._read_apart(stream, embeds, positions, keep)
        if start > 0 or self.beside is None:
            return stream.read(embeds, positions, keep, self.layers)
        read, self.aside = stream.read_beside(embeds, positions, keep, self.beside, self.layers)
        return read

    def _read_apart(self, stream: Stream, embeds: Tensor, positions: Tensor, keep: Tensor | None) -> Read:
        document = self.batch.document
        assert document is not None
        if self.columns or self.thinker.door.recurrent:
            raise DataError(
                "rows of several documents are read in one go, by attention that keeps them apart; silent steps and recurrent "
                "models read column after column. Set train.pack: null"
            )
        return stream.read_apart(embeds, positions, keep, document[:, : self.end], self.layers)  # type: ignore[attr-defined]

    def _source(self, read: Read, at: int | slice = -1) -> Tensor:
        return read.source(self.thinker.thinking.source)[:, at]

    def _enter(self, column: int | list[int], source: Tensor, looked_up: Tensor) -> Tensor:
        """(B, …, E): what enters a fed column (or several), given the states of the column before it. The only maker of
        thoughts here."""
        if self.late is not None:
            source = torch.where(self.late[:, column, None], source, source.detach())
        thought = self.thinker.thought(source)
        if isinstance(column, int) and self.full.get(column):
            return thought
        return self._placed(thought.to(looked_up.dtype), looked_up, column)

    def _placed(self, thought: Tensor, looked_up: Tensor, column: int | list[int] | slice) -> Tensor:
        """Thoughts in the latent columns, and on top of what was looked up in those of </think>, if it gets one."""
        placed = torch.where(self.batch.latents[:, column, None], thought, looked_up)
        if not self.closing:
            return placed
        return torch.where(self.batch.closes[:, column, None], looked_up + thought, placed)

    def parallel(self) -> Trace:
        embeds = self.embeds
        if self.columns:
            given = self.batch.thoughts
            if given is None:
                given = self.thinker.thought(torch.zeros_like(embeds))
            embeds = self._placed(given[:, : self.end].to(embeds.dtype), embeds, slice(self.end))
        cached = not drops_caches(self.thinker.door)  # one read needs no cache
        stream = open_stream(self.thinker.door, cached=cached)
        return self._trace([self._read(stream, embeds, 0, self.end)], [embeds], stream if cached else None)

    def cached(self) -> Trace:
        stream = open_stream(self.thinker.door)
        cuts = [0, *self.columns, self.end]
        pieces = list(self.embeds.split([b - a for a, b in zip(cuts, cuts[1:])], 1))
        reads: list[Read] = []
        for i, (start, end, piece) in enumerate(zip(cuts, cuts[1:], pieces)):
            if reads:
                first = self._enter(start, self._source(reads[-1]), piece[:, 0])[:, None]
                piece = first if end == start + 1 else torch.cat([first.to(piece.dtype), piece[:, 1:]], 1)
                pieces[i] = piece
            reads.append(self._read(stream, piece, start, end))
        return self._trace(reads, pieces, stream)

    def recompute(self) -> Trace:
        embeds = self.embeds
        door = self.thinker.door
        for column in self.columns:
            read = self._read(open_stream(door, cached=False), embeds[:, :column], 0, column)
            entered = self._enter(column, self._source(read), embeds[:, column])
            embeds = torch.cat([embeds[:, :column], entered[:, None].to(embeds.dtype), embeds[:, column + 1 :]], 1)
        read = self._read(open_stream(door, cached=False), embeds, 0, self.end)
        trace = self._trace([read], [embeds], None)
        trace.reads = len(self.columns) + 1
        return trace

    def jacobi(self) -> Trace:
        """From the first latent column to the last, columns are read at once: first with the latent token's own embedding,
        then `rounds` times with the thoughts that the reading before gave. All thoughts of a row move together, so a row
        does not depend on where the others think. After t rounds the first t thoughts are exact, and what was read of them."""
        stream = open_stream(self.thinker.door)
        first, after = self.columns[0], self.columns[-1] + 1
        head = self._read(stream, self.embeds[:, :first], 0, first)
        at = [column - first for column in self.columns]
        looked_up = self.embeds[:, first:after]
        block = looked_up
        for _ in range(self.thinker.thinking.rounds):
            read = self._read(stream.fork(), block, first, after)
            states = torch.cat([self._source(head, slice(-1, None)), self._source(read, slice(None, -1))], 1)
            thoughts = self._enter(self.columns, states[:, at], looked_up[:, at])
            block = looked_up.index_copy(1, torch.tensor(at, device=block.device), thoughts.to(block.dtype))
        block = torch.cat([block, self.embeds[:, after:]], 1)
        rest = self._read(stream, block, first, self.end)
        trace = self._trace([head, rest], [self.embeds[:, :first], block], stream)
        trace.reads += self.thinker.thinking.rounds
        return trace

    def _trace(self, reads: list[Read], pieces: list[Tensor], stream: Stream | None) -> Trace:
        levels = [r.layers or () for r in reads] if self.keep_layers else []
        hidden = reads[0].hidden if len(reads) == 1 else torch.cat([r.hidden for r in reads], 1)
        return Trace(hidden, pieces, levels, reads[-1], stream, len(reads), self.aside)
