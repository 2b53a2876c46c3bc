"""The loss of a batch whose rows come in several renderings, and what was right in each of them.

A step may come in pieces, so what is counted are sums, `right/KIND/…` and `seen/KIND/…`; `accuracies` divides them once the
step is whole.
"""

from collections.abc import Sequence

import torch

from tacit.batch import Batch
from tacit.methods.base import Loss
from tacit.methods.watching import RIGHT, SEEN
from tacit.objectives import nll_and_hits


def loss_by_kind(thinker, batch: Batch, count, kinds: Sequence[str], known: Sequence[str]) -> Loss:
    """The loss of `nll`. `kinds` names that of each row; every known kind is counted, if only zero times."""
    trace = thinker(batch, end=batch.end)
    total, hits = nll_and_hits(thinker, trace.hidden, batch, count)
    right = hits.to(total.dtype)
    columns = batch.sources + 1
    kind = torch.tensor([known.index(name) for name in kinds], device=batch.device)[columns // batch.shape[1]]
    label = batch.mask("answer").flatten()[columns] & (batch.targets != thinker.vocab.eos)
    parts = {"nll": total.detach()}
    for number, name in enumerate(known):
        for part, where in ((f"{name}/tokens", kind == number), (f"{name}/answer", (kind == number) & label)):
            parts |= {RIGHT + part: (right * where).sum(), SEEN + part: where.sum().to(right)}
    return Loss(total, parts)


def accuracies(parts: dict[str, float]) -> dict[str, float]:
    """`KIND/tokens` and `KIND/answer` for each kind that was there: shares of learned tokens, and of the answers' tokens
    without the end, that were the likeliest. `token_accuracy` is over all kinds."""
    seen = {name[len(SEEN) :]: value for name, value in parts.items() if name.startswith(SEEN) and value}
    shares = {name: parts[RIGHT + name] / value for name, value in seen.items()}
    tokens = [name for name in seen if name.endswith("/tokens")]
    shares["token_accuracy"] = sum(parts[RIGHT + name] for name in tokens) / sum(seen[name] for name in tokens)
    return {name: value for name, value in parts.items() if not name.startswith((RIGHT, SEEN))} | shares
