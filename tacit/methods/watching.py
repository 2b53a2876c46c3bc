"""A loss that also says what it got right, place by place, so that a gate can watch the worst of them.

A step may come in pieces, so what is counted here are sums: `right/PLACE` and `seen/PLACE`. `ratios` makes accuracies of them
when the step is whole.
"""

import torch

from tacit.batch import Batch
from tacit.methods.base import Loss
from tacit.methods.gated import REPEATED
from tacit.objectives import nll_and_hits

RIGHT, SEEN = "right/", "seen/"
PLACES = 32
"""Places told apart, the same in every process; what stands farther from the end shares the last."""


def watched_loss(thinker, batch: Batch, count) -> Loss:
    """The loss of `nll`, and hits at the frontier (the first written token still there), at every place from the cue to the
    end, and over all learned tokens. Rows that repeat an earlier stage are learned from but not watched."""
    trace = thinker(batch, end=batch.end)
    total, hits = nll_and_hits(thinker, trace.hidden, batch, count)
    right = hits.to(total.dtype)
    columns = batch.sources + 1
    fresh = ~batch.has(REPEATED)[columns // batch.shape[1]]  # rows of the current stage
    frontier = batch.mask("frontier").flatten()[columns] & fresh
    parts = {"nll": total.detach(), RIGHT + "tokens": right.sum(), SEEN + "tokens": right.new_tensor(len(right))}
    parts |= {RIGHT + "frontier": right[frontier].sum(), SEEN + "frontier": frontier.sum().to(right)}
    hit, seen = _places(right, columns, batch, fresh)
    for place in range(PLACES):
        parts |= {f"{RIGHT}end-{place}": hit[place], f"{SEEN}end-{place}": seen[place]}
    return Loss(total, parts)


def _places(right: torch.Tensor, columns: torch.Tensor, batch: Batch, fresh: torch.Tensor):
    """Hits and tokens at each place of the cue and the answer, counted from the end of the row."""
    mask = (batch.mask("answer") | batch.mask("cue")).flatten()[columns] & fresh
    T = batch.shape[1]
    last = (batch.keep * torch.arange(T, device=batch.device)).argmax(1)  # (B,) the last kept column
    place = (last[columns // T] - columns % T)[mask].clamp(max=PLACES - 1)
    zero = torch.zeros(PLACES, dtype=right.dtype, device=right.device)
    return zero.index_add(0, place, right[mask]), zero.index_add(0, place, torch.ones_like(right[mask]))


def ratios(parts: dict[str, float]) -> dict[str, float]:
    """`token_accuracy`, `frontier`, `answer_worst` (the worst place of both) and `watched`, the smaller of the two. What no row
    of the step shows is absent: all of them may repeat earlier stages."""
    share = {n[len(SEEN) :]: parts[RIGHT + n[len(SEEN) :]] / v for n, v in parts.items() if n.startswith(SEEN) and v}
    out = {n: v for n, v in parts.items() if not n.startswith((RIGHT, SEEN))}
    if "tokens" in share:
        out["token_accuracy"] = share["tokens"]
    if places := [v for n, v in share.items() if n.startswith("end-")]:
        out["answer_worst"] = min(places)
    if "frontier" in share:
        out["frontier"] = share["frontier"]
    watched = [out[name] for name in ("answer_worst", "frontier") if name in out]
    return out | ({"watched": min(watched)} if watched else {})
