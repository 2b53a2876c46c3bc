"""What a model expects next, teacher-forced: distributions over the vocabulary, and the likelihood of what did come.

Shapes: B rows, T columns, n learned tokens of a row, V vocabulary, H hidden size.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.dropout import without_dropout
from tacit.engine.run import run
from tacit.example import Encoded
from tacit.layout import Layout, Segment, targets
from tacit.objectives import learned_states

if TYPE_CHECKING:
    from tacit.methods.base import Method


@torch.no_grad()
def predict(thinker, rows: Sequence[Layout], batch: int) -> Iterator[Tensor]:
    """(n, V) log-probabilities for each row: the body reads a batch at once, the head one row at a time."""
    # What the other exact schedule reads again and again is only of use for gradients.
    schedule = "jacobi" if thinker.thinking.schedule == "jacobi" else "cached"
    for start in range(0, len(rows), batch):
        part = Batch.of(rows[start : start + batch], thinker.vocab).to(thinker.device)
        if not len(part.sources):
            yield from (torch.empty(0, thinker.vocabulary, device=thinker.device) for _ in part.layouts)
            continue
        states, said = learned_states(run(thinker, part, schedule=schedule, end=part.end).hidden, part)
        counts = torch.bincount(part.sources // part.shape[1], minlength=part.shape[0]).tolist()
        for some, ids in zip(states.split(counts), said.split(counts)):
            logits = thinker.logits(some, ids)
            # Float32 for half-precision heads; float64 stays what it is.
            yield (logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits).log_softmax(-1)


@torch.no_grad()
def token_nll(method: "Method", thinker, rows: Sequence[Layout], batch: int) -> list[list[float]]:
    """For each row, the negative log-probability of each of its learned tokens. Rows of like length are read together,
    since they need little padding."""
    order = sorted(range(len(rows)), key=lambda n: len(rows[n]))
    found: list[list[float]] = [[]] * len(rows)
    with without_dropout(thinker):
        for n, told in zip(order, method.predict(thinker, [rows[n] for n in order], batch)):
            ids = torch.tensor(targets(rows[n]), dtype=torch.long, device=told.device)
            found[n] = (-told.gather(1, ids[:, None])[:, 0]).double().tolist()
    return found


def text_rows(encoded: Sequence[Encoded], limit: int | None) -> list[Layout]:
    """Texts as plain rows, cut off where the model has no more positions."""
    rows = []
    for one in encoded:
        ids = one.answer if limit is None else one.answer[: limit - len(one.question)]
        rows.append(Layout(Segment("question", one.question), Segment("text", ids, 1.0)))
    return rows
