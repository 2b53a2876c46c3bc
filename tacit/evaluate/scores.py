"""How likely is what a layout learns, as a whole? Scored as it would be trained, without the gradient."""

from collections.abc import Sequence

import torch

from tacit.batch import Batch
from tacit.engine.dropout import without_dropout
from tacit.engine.run import run
from tacit.layout import Layout
from tacit.objectives import token_nll


@torch.inference_mode()
def log_probabilities(thinker, layouts: Sequence[Layout], batch: int) -> list[float]:
    """The log-probability of the learned tokens of every layout. Rows of like length are read together, since they need little
    padding."""
    order = sorted(range(len(layouts)), key=lambda n: len(layouts[n]))
    scores = [0.0] * len(layouts)
    with without_dropout(thinker):
        for start in range(0, len(order), batch):
            rows = order[start : start + batch]
            part = Batch.of([layouts[n] for n in rows], thinker.vocab).to(thinker.device)
            each = token_nll(thinker, run(thinker, part, end=part.end).hidden, part).double()  # a number for each token
            totals = torch.zeros(len(rows), dtype=each.dtype, device=each.device)
            totals.index_add_(0, part.sources // part.shape[1], each)
            for n, total in zip(rows, totals.tolist()):
                scores[n] = -total
    return scores
