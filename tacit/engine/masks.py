"""Who may look at whom, as booleans. The only file that makes an attention mask.

Shapes: B rows, W columns being read, K columns that can be seen (those read before, then the W themselves). True means
"may look". A pad looks at itself: an empty softmax row is NaN, and NaN times a zero weight is still NaN.
"""

import torch
from torch import Tensor

from tacit.engine.door import SLIDING, Door


def order(keep: Tensor) -> Tensor:
    """(B, K) the number of each kept column within its row: windows count tokens, not columns."""
    return keep.long().cumsum(1) - 1


def causal(width: int, past: int, keep: Tensor | None, window: int | None, device) -> Tensor:
    """(B or 1, 1, W, K) for an ordinary read: earlier columns and oneself, no pads, inside the window if there is one."""
    if width == 1 and window is None and keep is not None:  # a decoding step: nothing is later than it
        see = keep.clone()
        see[:, -1] = True
        return see[:, None, None]
    total = past + width
    columns = torch.arange(total, device=device)
    own = columns[past:]
    see = columns[None, :] <= own[:, None]  # (W, K)
    if keep is None:
        if window is not None:
            see = see & (own[:, None] - columns[None, :] < window)
        return see[None, None]
    mask = see[None] & keep[:, None, :]  # (B, W, K)
    if window is not None:
        number = order(keep)
        mask = mask & (number[:, past:, None] - number[:, None, :] < window)
    mask = mask | (columns[None, :] == own[:, None])
    return mask[:, None]


def apart(document: Tensor, keep: Tensor | None, window: int | None) -> Tensor:
    """(B, 1, T, T) for rows of several documents (B, T), of which none sees another."""
    mask = causal(document.shape[1], 0, keep, window, document.device)
    return mask & (document[:, None, :, None] == document[:, None, None, :])


def branched(
    trunk: Tensor,
    at: Tensor,
    cell: Tensor,
    step: Tensor,
    keep: Tensor,
    width: int,
    group: Tensor | None,
    window: int | None,
) -> Tensor:
    """(B, 1, W, T + K) for private continuations of C columns of a trunk, the last W of whose K columns are being read.

    `trunk` (B, T) and `keep` (B, K) say what counts, `at` (B, C) which column each cell continues; `cell` (K,) and `step`
    (B, K) say where each further column belongs. A query sees its trunk up to `at`, and its own cell up to itself; with
    `group` (C,), also the cells of the same group that continue earlier columns, as far as it has come itself.
    """
    T, K = trunk.shape[1], len(cell)
    columns = torch.arange(K, device=trunk.device)
    mine, own_column = cell[K - width :], columns[K - width :, None]
    upto = torch.arange(T, device=trunk.device) <= at[:, mine, None]  # (B, W, T)
    to_trunk = upto & trunk[:, None]
    earlier = (cell == mine[:, None]) & (columns <= own_column)  # (W, K)
    if group is not None:
        alike = group[cell] == group[mine][:, None]
        before = at[:, None, cell] < at[:, mine, None]  # (B, W, K)
        earlier = earlier | (alike & before & (step[:, None] <= step[:, K - width :, None]))
    to_own = earlier & keep[:, None]
    if window is not None:
        number = order(trunk)  # (B, T)
        own = number.gather(1, at)[:, cell] + 1 + step  # (B, K)
        here = own[:, K - width :, None]  # (B, W, 1)
        to_trunk = to_trunk & (here - number[:, None] < window)
        to_own = to_own & (here - own[:, None] < window)
    return torch.cat([to_trunk, to_own | (columns == own_column)], -1)[:, None]


def beside(trunk: Tensor, at: Tensor, cell: Tensor, step: Tensor, keep: Tensor, window: int | None, device) -> Tensor:
    """(B, 1, T + K, T + K) for a trunk and private continuations of its columns, all being read: see `branched`. The trunk
    sees itself alone."""
    T, K = trunk.shape[1], len(cell)
    top = torch.nn.functional.pad(causal(T, 0, trunk, window, device), (0, K))
    return torch.cat([top, branched(trunk, at, cell, step, keep, K, None, window)], 2)


def between(at: Tensor, first: Tensor | None, keep: Tensor | None, keys: slice) -> Tensor:
    """(B, C, 1 or n, K) for a stretch of the trunk alone: cells see it up to the column `at` (B, C), and where there is a window,
    from the column `first` (B, C, n) of each query on."""
    columns = torch.arange(keys.start, keys.stop, device=at.device)
    see = columns <= at[..., None, None]
    if first is not None:
        see = see & (columns >= first[..., None])
    return see if keep is None else see & keep[:, None, None, keys]


def within(step: int, n: int, other: int, m: int, window: int | None, device) -> Tensor | None:
    """(n, m) for one cell alone: its n columns from `step` on, looking at its m columns from `other` on. None: at all."""
    if step >= other + m - 1 and (window is None or step + n - 1 - other < window):
        return None
    behind = torch.arange(step, step + n, device=device)[:, None] - torch.arange(other, other + m, device=device)
    return (behind >= 0) if window is None else (behind >= 0) & (behind < window)


def for_model(door: Door, make) -> Tensor | dict[str, Tensor | None] | None:
    """The mask argument that this model takes: one mask, or one for each kind of its layers. `make(window)` builds one."""
    masks = {kind: _as_argument(door, make(door.window if kind == SLIDING else None)) for kind in door.kinds}
    if len(masks) == 1:
        return next(iter(masks.values()))
    return masks if any(m is not None for m in masks.values()) else None


def _as_argument(door: Door, mask: Tensor | None) -> Tensor | None:
    """SDPA takes booleans; eager attention and the others add their mask to the scores."""
    if mask is None or door.attention == "sdpa":
        return mask
    added = torch.zeros(mask.shape, dtype=door.dtype, device=mask.device)
    return added.masked_fill(~mask, torch.finfo(door.dtype).min)
