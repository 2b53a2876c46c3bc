"""Attention of private continuations in two parts: to the text that all of them share, and to what each has read of its own.

One softmax over both, put together from the logarithms of the two sums: the numbers of a dense mask, without a mask, without a
copy of what was read before, and with memory that grows by what is read. The models are told through the library's own registry
of attention functions; the columns come from `cache.Apart`, and how a read sees them in the argument `two_part`, which bodies
hand on to their attention layers.

Shapes: B rows, Hq heads of queries, H heads of keys, T text columns, C cells, n columns of each in this read, W = C · n,
M = n · Hq / H queries of a cell on one head of keys, N columns of each in another read, D size of a head.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from tacit.engine import masks
from tacit.engine.cache import Apart
from tacit.engine.door import TWO_PART
from tacit.engine.prefix import Prefix

SCORES = 2**22
"""How many scores of own columns are at hand at once."""


class NotInTwoParts(Exception):
    """A model does something in its attention that this one does not do."""


@dataclass
class Plan:
    """One read of a branch, for all layers."""

    layers: list[Apart]
    kinds: list[str]  # of every layer
    prefixes: dict[str, Prefix]  # by kind of layer
    windows: dict[str, int | None]
    served: set[int] = field(default_factory=set)

    def attend(self, index: int | None, query: Tensor, key: Tensor, scaling: float) -> Tensor:
        if index is None:
            raise NotInTwoParts("its layers have no numbers")
        layer, kind = self.layers[index], self.kinds[index]
        if not layer.own or layer.own[-1][0] is not key:
            raise NotInTwoParts("its layers do not attend to what they put into the cache")
        self.served.add(index)
        own = [each for pair in layer.own for each in pair]
        return TwoPart.apply(query, *layer.text, scaling, self.prefixes[kind], self.windows[kind], *own)


def attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **given: Any
) -> tuple[Tensor, Tensor | None]:
    """What the library calls: `sdpa` whenever no branch is being read."""
    plan: Plan | None = given.pop("two_part", None)
    if plan is None:
        return AttentionInterface()["sdpa"](module, query, key, value, attention_mask, **given)
    if given.get("dropout"):
        raise NotInTwoParts(f"its attention drops {given['dropout']:.0%} of the weights while it trains")
    for name in ("softcap", "position_bias", "s_aux"):
        if given.get(name) is not None:
            raise NotInTwoParts(f"its attention changes the scores ({name})")
    scaling = given.get("scaling")
    out = plan.attend(
        getattr(module, "layer_idx", None), query, key, query.shape[-1] ** -0.5 if scaling is None else scaling
    )
    return out, None


AttentionInterface.register(TWO_PART, attention)
AttentionMaskInterface.register(TWO_PART, AttentionMaskInterface()["sdpa"])


class TwoPart(torch.autograd.Function):
    """Queries (B, Hq, W, D), a text (B · H, T, D) and own columns (B, H, C, N, D), of this read last -> (B, W, Hq, D)."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        scaling: float,
        prefix: Prefix,
        window: int | None,
        *own: Tensor,
    ) -> Tensor:
        _, H, _, n, _ = own[-1].shape
        ctx.scaling, ctx.prefix, ctx.window, ctx.dtype = scaling, prefix, window, query.dtype
        with torch.autocast(query.device.type, enabled=False):
            packed = _packed(query, H, n)
            scaled, text = _wide(packed) * scaling, (_wide(keys), _wide(values))
            out, top, total = prefix.attend(scaled, *text)
            lse = total.log().add_(top)
            for cells in _pieces(own, scaled.shape[3]):
                seen = list(_seen(own, cells, window))
                scores = [_scores(scaled[:, :, cells], k, mask) for _, k, _, mask in seen]
                upon = lse[:, :, cells]
                for each in scores:
                    torch.logaddexp(upon, each if each.shape[-1] == 1 else each.logsumexp(-1, True), out=upon)
                piece = out[:, :, cells].mul_((top[:, :, cells] - upon).exp_())
                for each, (_, _, v, _) in zip(scores, seen):
                    _add_weighted(piece, each.sub_(upon).exp_(), v)
            out = _unpacked(out.to(query.dtype), n)
        ctx.save_for_backward(packed, keys, values, out, lse, *own)
        return out

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        packed, keys, values, out, lse, *own = ctx.saved_tensors
        _, H, _, n, _ = own[-1].shape
        with torch.autocast(slope.device.type, enabled=False):
            mean = (_wide(slope) * _wide(out)).sum(-1, keepdim=True)
            mean, slope = (_packed(each.transpose(1, 2), H, n) for each in (mean, slope))
            slope, scaled = _wide(slope), _wide(packed) * ctx.scaling
            found, *text = ctx.prefix.gradients(scaled, _wide(keys), _wide(values), lse, slope, mean)
            made = [torch.zeros_like(each) for each in own]
            for cells in _pieces(own, scaled.shape[3]):
                mine, theirs, log, centre = (each[:, :, cells] for each in (scaled, slope, lse, mean))
                for index, k, v, mask in _seen(own, cells, ctx.window):
                    weight = _scores(mine, k, mask).sub_(log).exp_()
                    change = _scores(theirs, v, None).sub_(centre).mul_(weight)
                    _add_weighted(found[:, :, cells], change, k)
                    made[index][:, :, cells] = _gathered(change, mine)
                    made[index + 1][:, :, cells] = _gathered(weight, theirs)
            query = _unpacked(found.mul_(ctx.scaling), n).transpose(1, 2).to(ctx.dtype)
        return query, *(each.to(ctx.dtype) for each in text), None, None, None, *made


def _wide(tensor: Tensor) -> Tensor:
    """Sums are taken in float32 at least."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _packed(tensor: Tensor, H: int, n: int) -> Tensor:
    """(B, Hq, W, D) -> (B, H, C, M, D): what shares keys stands together."""
    return tensor.unflatten(1, (H, -1)).unflatten(3, (-1, n)).transpose(2, 3).flatten(3, 4).contiguous()


def _unpacked(tensor: Tensor, n: int) -> Tensor:
    """(B, H, C, M, D) -> (B, W, Hq, D)"""
    return tensor.unflatten(3, (-1, n)).permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(2, 3).contiguous()


def _pieces(own: Sequence[Tensor], M: int) -> Iterator[slice]:
    """Cells in portions whose scores of own columns are not too many."""
    B, H, C, _, _ = own[0].shape
    count = max(1, SCORES // (B * H * M * sum(k.shape[3] for k in own[::2])))
    return (slice(start, start + count) for start in range(0, C, count))


def _seen(
    own: Sequence[Tensor], cells: slice, window: int | None
) -> Iterator[tuple[int, Tensor, Tensor, Tensor | None]]:
    """Of each earlier read, and of this one: where it stands in `own`, some cells' keys and values, and who sees which."""
    sizes = [k.shape[3] for k in own[::2]]
    n, before = sizes[-1], sum(sizes) - sizes[-1]
    step = 0
    for index, m in enumerate(sizes):
        if window is None or before - (step + m - 1) < window:
            mask = masks.within(before, n, step, m, window, own[0].device)
            k, v = (_wide(each[:, :, cells]) for each in own[2 * index : 2 * index + 2])
            yield 2 * index, k, v, mask
        step += m


def _scores(query: Tensor, keys: Tensor, mask: Tensor | None) -> Tensor:
    """(…, M, D), (…, N, D) -> (…, M, N). Where there is one key for each cell, sums of products are faster than many tiny
    matrix products, here as in the two functions below."""
    single = keys.shape[-2] == 1
    scores = (query * keys).sum(-1, keepdim=True) if single else query @ keys.transpose(-1, -2)
    if mask is not None:
        scores.unflatten(-2, (-1, len(mask))).masked_fill_(~mask, -torch.inf)
    return scores


def _add_weighted(out: Tensor, weights: Tensor, values: Tensor) -> None:
    """(…, M, D) gets (…, M, N) times (…, N, D) on top."""
    if values.shape[-2] == 1:
        out.addcmul_(weights, values)
    else:
        out.add_(weights @ values)


def _gathered(weights: Tensor, rows: Tensor) -> Tensor:
    """(…, M, N), (…, M, D) -> (…, N, D)"""
    if weights.shape[-1] > 1:
        return weights.transpose(-1, -2) @ rows
    product = weights * rows
    return product if rows.shape[-2] == 1 else product.sum(-2, keepdim=True)
