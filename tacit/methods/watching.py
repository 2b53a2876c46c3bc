"""A loss that also says what it got right, place by place, so that a gate can watch the worst of them."""

import torch

from tacit.batch import Batch
from tacit.methods.base import Loss
from tacit.objectives import nll_and_hits


def watched_loss(thinker, batch: Batch, count) -> Loss:
    """Parts: `token_accuracy`, `frontier` (the first written token still there), `answer_worst` (the worst place of the
    answer and of the words before it) and `watched`, the smaller of the last two."""
    trace = thinker(batch, end=batch.end)
    total, hits = nll_and_hits(thinker, trace.hidden, batch, count)
    right = hits.double()
    parts = {"nll": total.detach(), "token_accuracy": right.mean()}
    columns = batch.sources + 1
    frontier = batch.mask("frontier").flatten()[columns]
    answer = (batch.mask("answer") | batch.mask("cue")).flatten()[columns]
    parts["answer_worst"] = _worst_place(right, columns, answer, batch)
    watched = parts["answer_worst"]
    if bool(frontier.any()):
        parts["frontier"] = right[frontier].mean()
        watched = torch.minimum(watched, parts["frontier"])
    return Loss(total, parts | {"watched": watched})


def _worst_place(right: torch.Tensor, columns: torch.Tensor, mask: torch.Tensor, batch: Batch) -> torch.Tensor:
    """Accuracy at each place of the answer, counted from the end of its row, and of these the smallest."""
    last = batch.keep.long().cumsum(1).argmax(1)  # (B,) the last kept column
    T = batch.shape[1]
    place = (last[columns // T] - columns % T)[mask]
    total = torch.zeros(int(place.max()) + 1, dtype=right.dtype, device=right.device)
    seen = total.index_add(0, place, torch.ones_like(right[mask]))
    return (total.index_add(0, place, right[mask])[seen > 0] / seen[seen > 0]).min()
