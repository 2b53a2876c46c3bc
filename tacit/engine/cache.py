"""Keys and values of one read after another, in the library's own cache interface.

With gradients, columns are concatenated: every read keeps its own tensors. Without, they are written into a buffer with
room to spare, so that a decoding step copies one column instead of all of them.
"""

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

ROOM = 64
"""Columns of spare room when a buffer is made or outgrown."""


class Columns(DynamicLayer):
    """One layer: `keys` and `values` (B, heads, K, D) are views of the columns that count."""

    keys: Tensor
    values: Tensor

    def __init__(self, **unused):
        super().__init__()
        self.buffer: tuple[Tensor, Tensor] | None = None
        self.first = 0
        self.owned = True
        self.reserve = ROOM

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.keys, self.values = key_states[:, :, :0], value_states[:, :, :0]
        if torch.is_grad_enabled():
            if self.keys.shape[2] == 0:
                self.keys, self.values = key_states, value_states
            else:
                self.keys = torch.cat([self.keys, key_states], 2)
                self.values = torch.cat([self.values, value_states], 2)
            self.buffer = None
        else:
            self._write(key_states, value_states)
        return self.keys, self.values

    def _write(self, keys: Tensor, values: Tensor) -> None:
        past, width = self.keys.shape[2], keys.shape[2]
        end = self.first + past
        if self.buffer is None or not self.owned or end + width > self.buffer[0].shape[2]:
            self._grow(past + width + self.reserve)
            end = past
        for buffer, new in zip(self._buffers, (keys, values)):
            buffer[:, :, end : end + width] = new
        self._view(end + width)

    def _grow(self, capacity: int) -> None:
        old = (self.keys, self.values)
        made = []
        for tensor in old:
            B, heads, past, size = tensor.shape
            buffer = tensor.new_empty(B, heads, capacity, size)
            buffer[:, :, :past] = tensor
            made.append(buffer)
        self.buffer, self.first, self.owned = (made[0], made[1]), 0, True

    @property
    def _buffers(self) -> tuple[Tensor, Tensor]:
        assert self.buffer is not None
        return self.buffer

    def _view(self, end: int) -> None:
        self.keys, self.values = (b[:, :, self.first : end] for b in self._buffers)

    def fork(self) -> "Columns":
        """A second reader. The two share what was read so far; each writes to a buffer of its own from here on."""
        self.owned = False
        other = Columns()
        vars(other).update(vars(self))
        return other

    def select(self, rows: Tensor, reserve: int = ROOM) -> None:
        self.reserve = reserve
        if torch.is_grad_enabled():
            self.keys, self.values, self.buffer = self.keys[rows], self.values[rows], None
            return
        if len(self.keys) == 1:  # one row many times over is no copy until something is written behind it
            self.keys, self.values = (tensor.expand(len(rows), -1, -1, -1) for tensor in (self.keys, self.values))
            self.buffer, self.first = None, 0
            return
        made = []
        for tensor in (self.keys, self.values):
            _, heads, past, size = tensor.shape
            buffer = tensor.new_empty(len(rows), heads, past + reserve, size)
            buffer[:, :, :past] = tensor[rows]  # one copy, straight into the new buffer
            made.append(buffer)
        past = self.keys.shape[2]
        self.buffer, self.first, self.owned = (made[0], made[1]), 0, True
        self._view(past)

    def drop(self, columns: int) -> None:
        """Forget the first columns: no row needs them any more."""
        end = self.first + self.keys.shape[2]
        self.keys, self.values = self.keys[:, :, columns:], self.values[:, :, columns:]
        if self.buffer is not None:
            self.first += columns
            self._view(end)

    def shorten(self, columns: int) -> None:
        """Forget the last columns."""
        if self.buffer is not None:
            self._view(self.first + self.keys.shape[2] - columns)
        else:
            end = self.keys.shape[2] - columns
            self.keys, self.values = self.keys[:, :, :end], self.values[:, :, :end]

    def place(self, other: "Columns", rows: Tensor | None, width: int) -> None:
        """Put the other's rows, right-aligned, into `rows` of this one (None: append them). `width`: columns afterwards."""
        mine, theirs = self.keys.shape[2], other.keys.shape[2]
        in_place = rows is not None and width == mine and self.buffer is not None and self.owned
        if in_place and not torch.is_grad_enabled():
            for target, source in ((self.keys, other.keys), (self.values, other.values)):
                target[rows, :, mine - theirs :] = source
            return
        made = []
        for target, source in ((self.keys, other.keys), (self.values, other.values)):
            B, heads, _, size = target.shape
            buffer = target.new_zeros(B + (len(source) if rows is None else 0), heads, width + self.reserve, size)
            buffer[:B, :, width - mine : width] = target
            buffer[slice(B, None) if rows is None else rows, :, width - theirs : width] = source
            made.append(buffer)
        self.buffer, self.first, self.owned = (made[0], made[1]), 0, True
        self._view(width)


class Apart(DynamicLayer):
    """One layer of a branch: a text that stays as it is, and beside it what every read has brought, each in a tensor of its own
    (B, heads, C, n, D). A read is given its own columns; attention finds the others here."""

    keys: Tensor
    values: Tensor

    def __init__(self, layer: Columns, cells: int):
        super().__init__()
        self.cells = cells
        self.keys, self.values = layer.keys, layer.values
        self.dtype, self.device, self.is_initialized = layer.keys.dtype, layer.keys.device, True
        self.text = (layer.keys.flatten(0, 1), layer.values.flatten(0, 1))
        self.own: list[tuple[Tensor, Tensor]] = []

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        keys, values = (each.unflatten(2, (self.cells, -1)).contiguous() for each in (key_states, value_states))
        self.own.append((keys, values))
        return keys, values

    def together(self, order: Tensor | None) -> Columns:
        """The same as further columns of the text, cells in another order if one (B, C) is given."""
        layer = Columns()
        layer.lazy_initialization(self.keys, self.values)
        pairs = [(self.keys, self.values), *((_listed(k, order), _listed(v, order)) for k, v in self.own)]
        layer.keys, layer.values = (torch.cat(each, 2) for each in zip(*pairs))
        return layer


def _listed(own: Tensor, order: Tensor | None) -> Tensor:
    if order is not None:
        own = torch.take_along_dim(own, order[:, None, :, None, None], 2)
    return own.flatten(2, 3)


def apart(cache: Cache, cells: int) -> Cache:
    """A cache for a branch of so many cells."""
    return Cache(layers=[Apart(layer, cells) for layer in columns(cache)])


def apart_layers(cache: Cache) -> list[Apart]:
    return cache.layers  # type: ignore[return-value]


def together(cache: Cache, order: Tensor | None) -> Cache:
    """An ordinary cache of what a branch has read."""
    other = new_cache()
    columns(other).extend(layer.together(order) for layer in apart_layers(cache))
    return other


def new_cache() -> Cache:
    return Cache(layer_class_to_replicate=Columns)


def fork_cache(cache: Cache) -> Cache:
    other = new_cache()
    columns(other).extend(layer.fork() for layer in columns(cache))
    return other


def columns(cache: Cache | None) -> list[Columns]:
    """The layers of one of our caches."""
    assert cache is not None, "a stream without a cache reads once and is done"
    return cache.layers  # type: ignore[return-value]
