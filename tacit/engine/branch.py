"""Private continuations of columns of a text, which never see each other: in two parts where the model can, else under a mask.

Shapes: B rows, T columns of the text, C continuations (cells) of each row, n columns of each in one read, W columns of one read.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tacit.engine import masks
from tacit.engine.cache import apart, apart_layers, together
from tacit.engine.door import SLIDING, TWO_PART, Door
from tacit.engine.prefix import Prefix
from tacit.engine.two_part import NotInTwoParts, Plan
from tacit.errors import ModelError

if TYPE_CHECKING:
    from tacit.engine.stream import AttentionStream, Read

COST = (
    "so every column is compared with all T columns of the text and all C · n of the cells, under a mask, which costs time and "
    "memory of C · n · (T + C · n) instead of C · n · (T + n)"
)


class AttentionBranch:
    """Continuations of single columns. In one way, every cell has read equally much, and its columns are kept apart from the
    others from the start. In the other, all are further columns of the same rows, and a mask says who sees whom."""

    def __init__(
        self, trunk: "AttentionStream", at: Tensor, offset: int, why: str | None, together: Tensor | None = None
    ):
        self.stream = trunk.fork()
        self.at, self.together = at, together
        self.start = trunk.positions.gather(1, at) + 1 + offset  # (B, C)
        self.dense = None if why is None else f"{why}, {COST}"
        self.counts: list[int] = []
        """How many columns of each cell the reads had so far, as long as all cells read equally many."""
        if why is None:
            order = at.argsort(dim=1, stable=True)
            ascending = bool((at[:, 1:] >= at[:, :-1]).all())
            self.order = None if ascending else order  # (B, C)
            keep = None if trunk.keep is None or bool(trunk.keep.all()) else trunk.keep
            self.prefix = Prefix.of(keep, at if ascending else at.gather(1, order))
            self.stream.cache = apart(self._cache, at.shape[1])
        else:
            self._begin_dense()

    @property
    def _cache(self):
        assert self.stream.cache is not None, "a stream without a cache cannot be branched"
        return self.stream.cache

    def read(
        self,
        embeds: Tensor,
        cells: Tensor,
        keep: Tensor | None = None,
        layers: bool = False,
        positions: Tensor | None = None,
    ) -> "Read":
        if self.dense is None:
            if keep is None and self._even(cells):
                return self._read_apart(embeds, len(cells) // self.at.shape[1], layers, positions)
            self.dense = f"the cells of a read had different numbers of columns, {COST}"
            self.stream.cache = together(self._cache, None if self.order is None else self.order.argsort(1))
            self._begin_dense()
        return self._read_dense(embeds, cells, keep, layers, positions)

    def _even(self, cells: Tensor) -> bool:
        C, W = self.at.shape[1], len(cells)
        return W % C == 0 and bool((cells.view(C, -1) == torch.arange(C, device=cells.device)[:, None]).all())

    def _read_apart(self, embeds: Tensor, n: int, layers: bool, positions: Tensor | None) -> "Read":
        step = sum(self.counts)
        if positions is None:
            positions = (self.start[..., None] + torch.arange(step, step + n, device=embeds.device)).flatten(1)
        if self.order is not None:
            columns = _columns(self.order, n)
            embeds, positions = torch.take_along_dim(embeds, columns[..., None], 1), positions.gather(1, columns)
        door = self.stream.door
        windows = {kind: door.window if kind == SLIDING else None for kind in door.kinds}
        prefixes = {k: self.prefix if w is None else self.prefix.windowed(step, n, w) for k, w in windows.items()}
        own = apart_layers(self._cache)
        plan = Plan(own, layer_kinds(door, len(own)), prefixes, windows)
        # A mask that nobody reads keeps the body from making one of its own.
        unread = masks.for_model(door, lambda window: torch.ones(1, 1, 1, 1, dtype=torch.bool, device=embeds.device))
        read = self.stream.call(embeds, positions, unread, layers, two_part=plan)
        if len(plan.served) != len(own):
            raise NotInTwoParts("not all of its layers hand on what they are given")
        self.counts.append(n)
        if self.order is None:
            return read
        back = _columns(self.order.argsort(1), n)[..., None]
        states = (torch.take_along_dim(level, back, 1) for level in (read.hidden, *(read.layers or ())))
        return type(read)(next(states), tuple(states) if layers else None)

    def _begin_dense(self) -> None:
        C, device = self.at.shape[1], self.at.device
        self.trunk_keep = self.stream.kept()
        self.read_so_far = torch.full_like(self.at, sum(self.counts))  # (B, C) kept columns of each cell
        each = [torch.arange(C, device=device).repeat_interleave(n) for n in self.counts]
        self.cell = torch.cat([self.at.new_empty(0), *each])
        steps = [torch.arange(n, device=device).repeat(C) + sum(self.counts[:i]) for i, n in enumerate(self.counts)]
        self.step = torch.cat([self.at.new_empty(0), *steps]).expand(len(self.at), -1)
        self.keep = torch.ones_like(self.step, dtype=torch.bool)

    def _read_dense(
        self, embeds: Tensor, cells: Tensor, keep: Tensor | None, layers: bool, positions: Tensor | None
    ) -> "Read":
        B, W, _ = embeds.shape
        now = torch.ones(B, W, dtype=torch.bool, device=embeds.device) if keep is None else keep
        step = self.read_so_far[:, cells] + kept_before(now, cells)  # (B, W)
        self.read_so_far = self.read_so_far.index_add(1, cells, now.long())
        self.cell, self.step = torch.cat([self.cell, cells]), torch.cat([self.step, step], 1)
        self.keep = torch.cat([self.keep, now], 1)
        mask = masks.for_model(
            self.stream.door,
            lambda window: masks.branched(
                self.trunk_keep, self.at, self.cell, self.step, self.keep, W, self.together, window
            ),
        )
        return self.stream.call(embeds, self.start[:, cells] + step if positions is None else positions, mask, layers)


def layer_kinds(door: Door, count: int) -> list[str]:
    """Which attention each layer has; where the configuration does not list them, all have the same."""
    return list(getattr(door.body.config.get_text_config(), "layer_types", None) or door.kinds * count)[:count]  # type: ignore[union-attr]


def _columns(cells: Tensor, n: int) -> Tensor:
    """(B, C) -> (B, C · n)"""
    return (cells[..., None] * n + torch.arange(n, device=cells.device)).flatten(1)


def why_dense(trunk: "AttentionStream") -> str | None:
    """What keeps this model, trained or asked as it is now, from two-part attention. Found once, by trying it."""
    door = trunk.door
    mode = bool(door.body.training)
    if mode not in door.verdicts:
        door.verdicts[mode] = (
            _try(trunk) if door.attention == "sdpa" else f"the model's attention is {door.attention!r}"
        )
    return door.verdicts[mode]


@torch.no_grad()
def _try(trunk: "AttentionStream") -> str | None:
    """Six tokens and three cells, in both ways. Put to use if the two agree."""
    door = trunk.door
    body = door.body
    modes = {module: module.training for module in body.modules()}
    ids = torch.tensor([[1, 2, 0, 3, 1, 2]], device=door.device) % door.embedding.weight.shape[0]  # type: ignore[operator]
    body.set_attn_implementation(TWO_PART)  # type: ignore[operator]
    try:
        # Both ways in full precision: in 16 bits they differ by more than their equality could show.
        with torch.random.fork_rng(), torch.autocast(door.device.type, enabled=False):
            if body.training:  # numbers cannot be compared, but what stands in the way shows
                _states(trunk, ids, None)
            body.eval()
            apart, dense = (_states(trunk, ids, why) for why in (None, "for comparison"))
        gap, size = float((apart - dense).abs().max()), float(dense.abs().max())
        if gap <= torch.finfo(door.dtype).eps ** 0.5 * size:
            return None
        why = f"two-part attention and a dense mask differ by {gap:.3g} on {type(body).__name__}"
    except NotInTwoParts as error:
        why = f"{type(body).__name__} cannot attend in two parts: {error}"
    except TypeError as error:  # how Python says that a function does not know an argument
        if TWO_PART not in str(error):
            raise
        why = f"{type(body).__name__} does not hand on to its layers what it is given"
    finally:
        for module, training in modes.items():
            module.training = training
    body.set_attn_implementation("sdpa")  # type: ignore[operator]
    return why


def _states(trunk: "AttentionStream", ids: Tensor, why: str | None) -> Tensor:
    stream = type(trunk)(trunk.door)
    stream.read(trunk.door.embed(ids), torch.arange(ids.shape[1], device=ids.device)[None])
    at = torch.tensor([[4, 1, 4]], device=ids.device)
    branch = AttentionBranch(stream, at, 0, why)
    cells = torch.arange(3, device=ids.device)
    first = branch.read(trunk.door.embed(ids), cells.repeat_interleave(2)).hidden
    return torch.cat([first, branch.read(trunk.door.embed(ids[:, 3:]), cells).hidden], 1).float()


def refuse_flash(door: Door) -> None:
    if door.attention.startswith("flash"):
        raise ModelError(
            f"attention {door.attention!r} takes no masks, and a branch needs one. Set model.attention: sdpa"
        )


def kept_before(keep: Tensor, cells: Tensor) -> Tensor:
    """(B, W) how many kept columns of the same cell stand before each, so that padding moves nothing that follows it."""
    before = keep.long().cumsum(1) - keep.long()
    first = torch.arange(len(cells), device=cells.device) - steps_within(cells)
    return before - before[:, first]


def steps_within(cells: Tensor) -> Tensor:
    """(W,) how many columns of the same cell stand before each, in one read: cells ascend, so they form runs."""
    column = torch.arange(len(cells), device=cells.device)
    fresh = torch.ones_like(cells, dtype=torch.bool)
    fresh[1:] = cells[1:] != cells[:-1]
    return column - torch.where(fresh, column, 0).cummax(0).values
