"""A recurrent layer of many small models at once, over rows that may be very many.

Shapes: W columns, S models, N rows of each, H hidden size, V rows of a table. Columns stand in front, so that one column of
all rows is one piece of memory. What a layer adds to its gates for a token depends on the token alone, so it is looked up
in a table (S, V, 3H) instead of being multiplied out for every column.

The numbers are those of torch.nn.GRU, and so are the gradients. They are written down here because rows come by the ten
thousand: autograd would keep and walk through some fifteen arrays of all rows for every column, where this keeps four and
works through rows in blocks that stay in the cache of a core.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

BLOCK = 1 << 15
"""Numbers of one gate that are worked on together."""


def token_table(embedding: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(S, V, E), (S, G, E), (S, G) -> (S, V + 1, G): what each token adds to the gates of a GRU. The last row is that of no
    token at all, which shuts the gate, so that the state stays exactly what it was."""
    table = torch.baddbmm(bias[:, None], embedding, weight.mT)
    size = bias.shape[1] // 3
    nothing = table.new_zeros(len(table), 1, bias.shape[1])
    nothing[..., size : 2 * size] = float("inf")
    return torch.cat([table, nothing], 1)


def gru(
    table: Tensor, ids: Tensor, before: Tensor, weight: Tensor, bias: Tensor, active: Sequence[int] | None = None
) -> Tensor:
    """The states after each column: ids (W, S, N), before (S, N, H), weight (S, 3H, H), bias (S, 3H) -> (W, S, N, H).

    `active` says how many of the first rows read something in each column, no more than in the column before; the others have
    nothing there, and cost nothing.
    """
    active = active or [ids.shape[2]] * len(ids)
    return _GRU.apply(table, ids, before, weight, bias, active)  # type: ignore[return-value]


def rows_of(table: Tensor, ids: Tensor) -> Tensor:
    """Each model's own rows of its table: (S, V, G), (S, N) -> (S, N, G)."""
    if len(table) == 1:
        return torch.nn.functional.embedding(ids[0], table[0])[None]
    offset = torch.arange(len(table), device=ids.device)[:, None] * table.shape[1]
    return torch.nn.functional.embedding(ids + offset, table.flatten(0, 1))


def _blocks(count: int, size: int, rows: int) -> list[slice]:
    """Rows cut so that one gate of a block, over all models, is no more than BLOCK numbers."""
    width = max(1, BLOCK // (count * size))
    return [slice(start, min(start + width, rows)) for start in range(0, rows, width)]


class _GRU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, table, ids, before, weight, bias, active):
        W, S, N = ids.shape
        H = before.shape[-1]
        states = before.new_empty(W + 1, S, N, H)
        states[0] = before
        learns = any(ctx.needs_input_grad)
        # Reset and update gate, the new state, and what the reset gate scales: all that the way back needs.
        gates = before.new_empty(W if learns else 1, 4, S, N, H)
        turned = weight.mT
        for block in _blocks(S, H, N):
            for t in range(W):
                rows = slice(block.start, max(block.start, min(block.stop, active[t])))
                if rows.stop < block.stop:
                    states[t + 1, :, rows.stop : block.stop] = states[t, :, rows.stop : block.stop]
                if rows.start == rows.stop:
                    continue
                old = states[t, :, rows]
                reset, update, new, scaled = gates[t if learns else 0, :, :, rows]
                given = rows_of(table, ids[t, :, rows])
                own = torch.baddbmm(bias[:, None], old, turned)
                torch.add(given[..., :H], own[..., :H], out=reset).sigmoid_()
                torch.add(given[..., H : 2 * H], own[..., H : 2 * H], out=update).sigmoid_()
                scaled.copy_(own[..., 2 * H :])
                torch.addcmul(given[..., 2 * H :], reset, scaled, out=new).tanh_()
                torch.lerp(new, old, update, out=states[t + 1, :, rows])
        if learns:
            ctx.save_for_backward(ids, states, gates, weight)
            ctx.rows, ctx.active = table.shape[1], active
        return states[1:]

    @staticmethod
    def backward(ctx, *grads):
        (grad,) = grads
        ids, states, gates, weight = ctx.saved_tensors
        W, _, S, N, H = gates.shape
        to_table = grad.new_zeros(S * ctx.rows, 3 * H)
        to_before = torch.empty_like(states[0])
        to_weight, to_bias = torch.zeros_like(weight), grad.new_zeros(S, 3 * H)
        offset = torch.arange(S, device=ids.device)[:, None] * ctx.rows
        for block in _blocks(S, H, N):
            n = block.stop - block.start
            back = grad.new_zeros(S, n, H)
            columns = [max(0, min(n, count - block.start)) for count in ctx.active]
            given, own, before, places = [], [], [], []
            for t in reversed(range(W)):
                back = back + grad[t, :, block]
                if not columns[t]:
                    continue
                rows = slice(block.start, block.start + columns[t])
                reset, update, new, scaled = gates[t, :, :, rows]
                old, here = states[t, :, rows], back[:, : columns[t]]
                inputs, scaled_inputs = here.new_empty(2, S, columns[t], 3 * H)
                to_new = inputs[..., 2 * H :]
                torch.mul(here, 1 - update, out=to_new)
                to_new.addcmul_(to_new * new, new, value=-1)
                torch.mul(here * (old - new), update - update * update, out=inputs[..., H : 2 * H])
                torch.mul(to_new * scaled, reset - reset * reset, out=inputs[..., :H])
                scaled_inputs[..., : 2 * H] = inputs[..., : 2 * H]
                torch.mul(to_new, reset, out=scaled_inputs[..., 2 * H :])
                passed = torch.baddbmm(here * update, scaled_inputs, weight)
                back = passed if columns[t] == n else torch.cat([passed, back[:, columns[t] :]], 1)
                given.append(inputs)
                own.append(scaled_inputs)
                before.append(old)
                places.append(ids[t, :, rows] + offset)
            to_before[:, block] = back
            if not own:
                continue
            # One product over all columns of the block.
            flat = torch.cat(own, 1)
            to_weight.baddbmm_(flat.mT, torch.cat(before, 1))
            to_bias += flat.sum(1)
            to_table += torch.ops.aten.embedding_dense_backward(
                torch.cat(given, 1).view(-1, 3 * H), torch.cat(places, 1).view(-1), len(to_table), -1, False
            )
        return to_table.view(S, ctx.rows, 3 * H), None, to_before, to_weight, to_bias, None
