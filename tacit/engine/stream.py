"""A model that has read something and can read more. The only place that calls the body of a language model.

Shapes: B rows, W columns of one read, K columns read so far, H hidden size, C cells of a branch.

    read     columns of embeddings in, hidden states out
    read_beside   the first columns, and private continuations of them in the same go
    fork     a second reader of the same past; the two never see each other again
    branch   one private continuation for each of some columns
    select   keep, drop or repeat rows
    join     put freshly prefilled rows in the place of others, or behind them
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from tacit.engine import masks
from tacit.engine.branch import AttentionBranch, kept_before, refuse_flash, why_dense
from tacit.engine.cache import columns, fork_cache, new_cache
from tacit.engine.door import Door
from tacit.errors import ModelError


class Read(NamedTuple):
    """What a read gives back."""

    hidden: Tensor  # (B, W, H) after the final norm
    layers: tuple[Tensor, ...] | None = None  # the output of the embedding and of every layer, each (B, W, H)

    def source(self, name: str) -> Tensor:
        """(B, W, H): the states that are fed back."""
        if name == "last":
            return self.hidden
        assert self.layers is not None
        return self.layers[-2 if name == "penultimate" else len(self.layers) // 2]

    def last(self, source: str) -> Tensor:
        """(B, 1 or 2, H) of the last column: the state that speaks, and behind it the one fed back if that is another."""
        states = (self.hidden,) if source == "last" else (self.hidden, self.source(source))
        return torch.stack([state[:, -1] for state in states], 1)


class Beside(NamedTuple):
    """Private continuations of columns that are being read, to be read in the same go and then forgotten."""

    at: Tensor  # (B, C) the columns that are continued
    embeds: Tensor  # (B, W, E)
    cells: Tensor  # (W,) which continuation each column belongs to, in ascending order
    keep: Tensor  # (B, W)
    layers: bool = False


class Branch(Protocol):
    dense: str | None
    """Why every column is compared with every other under a mask, and what that costs; None where they are not."""

    def read(
        self,
        embeds: Tensor,
        cells: Tensor,
        keep: Tensor | None = None,
        layers: bool = False,
        positions: Tensor | None = None,
    ) -> Read:
        """(B, W, E) -> hidden (B, W, H). `cells` (W,) says which continuation each column belongs to, in ascending order;
        a cell's columns follow each other, at positions of their own (B, W) if these are given."""
        ...


class Stream(Protocol):
    positions: Tensor  # (B, K)
    keep: Tensor | None  # (B, K), None while nothing was padded

    def read(self, embeds: Tensor, positions: Tensor, keep: Tensor | None = None, layers: bool = False) -> Read: ...
    def read_beside(
        self, embeds: Tensor, positions: Tensor, keep: Tensor | None, beside: Beside, layers: bool = False
    ) -> tuple[Read, Read]: ...
    def fork(self) -> "Stream": ...
    def branch(self, at: Tensor, offset: int = 0, dense: bool = False, together: Tensor | None = None) -> Branch: ...
    def select(self, rows: Tensor, reserve: int = ...) -> "Stream": ...
    def join(self, other: Any, rows: Tensor | None = None) -> "Stream": ...
    def trim(self) -> None: ...


def open_stream(door: Door, *, cached: bool = True) -> Stream:
    """A stream that has read nothing yet. Without a cache it can read once, from the start."""
    if door.recurrent:
        from tacit.engine.recurrent import RecurrentStream

        return RecurrentStream(door)
    return AttentionStream(door, cached=cached)


def drops_caches(door: Door) -> bool:
    """Whether activations will be made again in the backward pass, for which the library forgets the cache it was given."""
    body = door.body
    # The second name is the older one; where both exist, asking for it warns.
    names = ("is_activation_checkpointing", "is_gradient_checkpointing")
    name = next((n for n in names if hasattr(type(body), n)), None)
    # Asked last, because the library walks through all modules for it.
    return body.training and name is not None and getattr(body, name)


class AttentionStream:
    """Any Hugging Face causal LM with attention layers."""

    def __init__(self, door: Door, *, cached: bool = True):
        if cached and drops_caches(door):
            raise ModelError(
                "gradient checkpointing switches the model's cache off, and cached latent steps need it. "
                "Set train.latents.schedule: recompute (same numbers, slower), or train.checkpointing: false"
            )
        self.door = door
        self.cache = new_cache() if cached else None
        self.keep: Tensor | None = None
        self.positions = torch.empty(0)
        self.length = 0

    def read(self, embeds: Tensor, positions: Tensor, keep: Tensor | None = None, layers: bool = False) -> Read:
        self._remember(positions, keep)
        past, width = self.length - embeds.shape[1], embeds.shape[1]
        if self.door.attention.startswith("flash"):
            mask = self.keep  # these kernels take padding only, and know what is causal themselves
        else:
            mask = masks.for_model(self.door, lambda window: self._mask(past, width, window, embeds.device))
        return self.call(embeds, positions, mask, layers)

    def read_apart(
        self, embeds: Tensor, positions: Tensor, keep: Tensor | None, document: Tensor, layers: bool = False
    ) -> Read:
        """The one and only read of rows that hold several documents: (B, T) says which column belongs to which."""
        assert self.length == 0
        if self.door.attention.startswith("flash"):
            raise ModelError(
                f"attention {self.door.attention!r} takes no masks, and documents that share a row need one to be kept apart. "
                "Set model.attention: sdpa, train.pack: null, or train.pack_apart: false"
            )
        self._remember(positions, keep)
        return self.call(
            embeds, positions, masks.for_model(self.door, lambda window: masks.apart(document, keep, window)), layers
        )

    def read_beside(
        self, embeds: Tensor, positions: Tensor, keep: Tensor | None, beside: Beside, layers: bool = False
    ) -> tuple[Read, Read]:
        """The first read of a stream, and that of the continuations, which leaves no trace."""
        assert self.length == 0 and self.cache is not None
        refuse_flash(self.door)
        self._remember(positions, keep)
        trunk, T = self.kept(), embeds.shape[1]
        step = kept_before(beside.keep, beside.cells)
        given = (trunk, beside.at, beside.cells, step, beside.keep)
        mask = masks.for_model(self.door, lambda window: masks.beside(*given, window, embeds.device))
        where = torch.cat([positions, positions.gather(1, beside.at)[:, beside.cells] + 1 + step], 1)
        both = self.call(torch.cat([embeds, beside.embeds], 1), where, mask, layers or beside.layers)
        for layer in columns(self.cache):
            layer.shorten(len(beside.cells))
        mine, theirs = (
            Read(both.hidden[:, part], tuple(level[:, part] for level in both.layers or ()) if wanted else None)
            for part, wanted in ((slice(T), layers), (slice(T, None), beside.layers))
        )
        return mine, theirs

    def _remember(self, positions: Tensor, keep: Tensor | None) -> None:
        past, width = self.length, positions.shape[1]
        if keep is not None or self.keep is not None:
            rows, device = positions.shape[0], positions.device
            before = self.keep if self.keep is not None else torch.ones(rows, past, dtype=torch.bool, device=device)
            now = keep if keep is not None else torch.ones(rows, width, dtype=torch.bool, device=device)
            self.keep = torch.cat([before, now], 1) if past else now
        self.positions = torch.cat([self.positions, positions], 1) if past else positions
        self.length = past + width

    def _mask(self, past: int, width: int, window: int | None, device) -> Tensor | None:
        if window is not None and window >= self.length:
            window = None
        # Without a cache the library would take skipped positions for packed documents, and eager attention takes a missing
        # mask for "all may look at all", so a mask is given then.
        causal = self.door.attention == "sdpa" and self.cache is not None
        if causal and self.keep is None and window is None and (past == 0 or width == 1):
            return None
        return masks.causal(width, past, self.keep, window, device)

    def call(self, embeds: Tensor, positions: Tensor, mask, layers: bool, **given) -> Read:
        out = self.door.body(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=self.cache,
            use_cache=self.cache is not None,
            output_hidden_states=layers,
            **given,
        )
        if self.cache is not None and self.cache.get_seq_length() == 0:
            raise ModelError(
                f"{type(self.door.body).__name__} did not use the cache it was given, so its latent steps would not see "
                "the text before them. Set train.latents.schedule: recompute, or use a model with a key-value cache"
            )
        return Read(out.last_hidden_state, out.hidden_states if layers else None)

    def kept(self) -> Tensor:
        """(B, K)"""
        return torch.ones_like(self.positions, dtype=torch.bool) if self.keep is None else self.keep

    def fork(self) -> "AttentionStream":
        assert self.cache is not None, "a stream without a cache cannot be forked"
        other = AttentionStream.__new__(AttentionStream)
        other.__dict__.update(self.__dict__)
        other.cache = fork_cache(self.cache)
        return other

    def branch(
        self, at: Tensor, offset: int = 0, dense: bool = False, together: Tensor | None = None
    ) -> "AttentionBranch":
        """`at` (B, C): the columns to continue. `offset`: added to the positions of what the cells read. `dense`: with a mask,
        even if the model could do without. `together` (C,): cells of one number also see those of them that continue earlier
        columns, each as far as it has come itself; that needs the mask."""
        refuse_flash(self.door)
        asked = "a dense mask was asked for" if dense else "the cells see each other" if together is not None else None
        return AttentionBranch(self, at, offset, asked or why_dense(self), together)

    def select(self, rows: Tensor, reserve: int = 64) -> "AttentionStream":
        other = self.fork()
        for layer in columns(other.cache):
            layer.select(rows, reserve)
        other.keep = None if self.keep is None else self.keep[rows]
        other.positions = self.positions[rows]
        return other

    def join(self, other: "AttentionStream", rows: Tensor | None = None) -> "AttentionStream":
        """The other's rows take the place of `rows` (or stand behind all); every row ends at the last column."""
        width = max(self.length, other.length)
        for mine, theirs in zip(columns(self.cache), columns(other.cache)):
            mine.place(theirs, rows, width)
        self.keep = _merge(self.kept(), other.kept(), rows, width)
        self.positions = _merge(self.positions, other.positions, rows, width)
        self.length = width
        return self

    def trim(self) -> None:
        """Forget leading columns that no row keeps."""
        if self.keep is None:
            return
        first = int(self.keep.any(0).int().argmax())
        if first:
            for layer in columns(self.cache):
                layer.drop(first)
            self.keep, self.positions = self.keep[:, first:], self.positions[:, first:]
            self.length -= first


def _merge(mine: Tensor, theirs: Tensor, rows: Tensor | None, width: int) -> Tensor:
    """Both right-aligned to `width` columns; theirs in the place of `rows` of mine, or behind them."""
    mine, theirs = (torch.nn.functional.pad(t, (width - t.shape[1], 0)) for t in (mine, theirs))
    return torch.cat([mine, theirs]) if rows is None else mine.index_copy(0, rows, theirs)
