"""Losses as plain functions of tensors. Every one is a sum divided by counts of the whole optimizer step, so that a step
means the same however it is cut into micro-batches and processes.

Shapes: N learned tokens, V vocabulary.
"""

from functools import partial

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tacit.batch import Batch
from tacit.engine.sampling import log_probability
from tacit.errors import DataError

CHUNK = 1 << 27
"""Logits kept at once (512 MiB in float32); beyond, they are made again in the backward pass, chunk by chunk."""


def token_nll(thinker, hidden: Tensor, batch: Batch) -> Tensor:
    """(N,) negative log-probability of every learned token. The head is applied where something is learned and nowhere else."""
    return state_nll(thinker, *learned_states(hidden, batch), batch.targets)


def learned_states(hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(N, H) the states of a trace that must predict the learned tokens, and (N,) the ids of their columns."""
    states = hidden.flatten(0, 1).index_select(0, _rows(hidden, batch))
    return states, batch.ids.flatten().index_select(0, batch.sources)


def state_nll(thinker, states: Tensor, said: Tensor, targets: Tensor) -> Tensor:
    """(N,) negative log-probability of `targets` given states (N, H) and the ids that stand in their columns."""
    return in_chunks(_nll, thinker, states, said, targets)


def state_choices(thinker, states: Tensor, said: Tensor, targets: Tensor, temperature: float) -> tuple[Tensor, Tensor]:
    """(N,) log-probability of `targets` at a temperature, as the sampler computes it, and (N,) the entropy of the choice,
    which carries no gradient."""
    score = partial(_choice, temperature=temperature)
    likely, entropy = in_chunks(score, thinker, states, said, targets).unbind(1)
    return likely, entropy.detach()


def _choice(thinker, states: Tensor, said: Tensor, targets: Tensor, temperature: float) -> Tensor:
    logits = thinker.logits(states, said)
    likely = log_probability(logits, targets, temperature)
    with torch.no_grad():
        entropy = torch.special.entr((logits.to(likely.dtype) / temperature).softmax(-1)).sum(-1)
    return torch.stack([likely, entropy], 1)


def in_chunks(score, thinker, states: Tensor, said: Tensor, targets: Tensor) -> Tensor:
    """`score` of rows (N, …), whose logits are made again in the backward pass where they would be too many at once."""
    size = thinker.vocabulary
    if len(states) * size <= CHUNK:
        return score(thinker, states, said, targets)
    pieces = zip(*(t.split(max(1, CHUNK // size)) for t in (states, said, targets)))
    return torch.cat([checkpoint(score, thinker, *piece, use_reentrant=False) for piece in pieces])  # type: ignore[arg-type]


def _rows(hidden: Tensor, batch: Batch) -> Tensor:
    """Flat indices into a trace, which may have stopped before the batch's last columns."""
    T, W = batch.shape[1], hidden.shape[1]
    return batch.sources if T == W else batch.sources // T * W + batch.sources % T


def nll_and_hits(thinker, hidden: Tensor, batch: Batch, count: float | Tensor) -> tuple[Tensor, Tensor]:
    """The loss of `nll`, and (N,) whether each learned token was the likeliest."""
    each, hits = token_nll_and_hits(thinker, hidden, batch)
    return mean(each, batch.weights, count), hits


def token_nll_and_hits(thinker, hidden: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """(N,) negative log-probability of every learned token, and (N,) whether it was the likeliest."""
    each, hits = in_chunks(_nll_and_hit, thinker, *learned_states(hidden, batch), batch.targets).unbind(1)
    return each, hits.detach() > 0


def _nll(thinker, states: Tensor, said: Tensor, targets: Tensor) -> Tensor:
    return _cross_entropy(thinker.logits(states, said), targets)


def _nll_and_hit(thinker, states: Tensor, said: Tensor, targets: Tensor) -> Tensor:
    logits = thinker.logits(states, said)
    each = _cross_entropy(logits, targets)
    return torch.stack([each, (logits.argmax(-1) == targets).to(each)], 1)


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    # Float32 for half-precision heads; float64 stays what it is.
    logits = logits.float() if logits.dtype in (torch.bfloat16, torch.float16) else logits
    return torch.nn.functional.cross_entropy(logits, targets, reduction="none")


def nll(thinker, hidden: Tensor, batch: Batch, count: float | Tensor) -> Tensor:
    """Mean negative log-likelihood per learned token of the whole step, of which `batch` is a part."""
    return mean(token_nll(thinker, hidden, batch), batch.weights, count)


def mean(each: Tensor, weights: Tensor | None, count: float | Tensor) -> Tensor:
    """The part of a step's mean that these tokens contribute; `count` is the sum of weights over the whole step."""
    if not isinstance(count, Tensor) and count == 0:
        raise DataError(
            "nothing is learned in this step: no token has a label behind another token, so there is no mean to take. "
            "Give at least one segment a weight (learn=1.0), and rows more than one token"
        )
    return (each if weights is None else each * weights).sum() / count
