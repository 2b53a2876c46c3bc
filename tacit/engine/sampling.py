"""How a token is chosen from logits.

Every row has random numbers of its own, drawn from (seed, row): what a prompt gets does not depend on which other prompts
happen to be in the batch, nor on when its slot became free.

Shapes: B rows, V vocabulary.
"""

from collections.abc import Iterator
from functools import cached_property

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from tacit.settings import Settings


class Sampling(Settings):
    """Greedy by default."""

    max_tokens: int = Field(default=128, ge=1)
    """Written tokens of one completion. Silent steps and their markers are not counted, but twice as many markers as this end
    a completion too."""
    temperature: float = Field(default=0.0, ge=0.0)
    """0 takes the likeliest token."""
    top_k: int = Field(default=0, ge=0)
    """Sample among the k likeliest tokens only; 0 for all."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    """Sample among the likeliest tokens that together hold this much probability."""
    banned: tuple[int, ...] = ()
    """Tokens that are never chosen; the others share their probability."""
    stop: tuple[str, ...] = ()
    """Strings that end a completion; they are not part of it."""
    stop_tokens: tuple[int, ...] = ()
    """Tokens that end a completion; the one that did is its last."""
    ends: int = Field(default=1, ge=1)
    """How many end-of-text tokens end a completion; more than one where such a token also ends the steps."""
    seed: int = Field(default=0, ge=0)
    logprobs: bool = True
    """Record the log-probability of every chosen token, at this temperature and before top-k and top-p."""
    thoughts: bool = False
    """Record the vectors that were fed back."""

    @cached_property
    def rule(self) -> "Sampling":
        """What decides the choice of one token; rows with the same rule are drawn together."""
        names = ("temperature", "top_k", "top_p", "banned", "logprobs")
        return Sampling(**{name: getattr(self, name) for name in names})


def uniforms(seed: int, row: int) -> Iterator[float]:
    """The random numbers that belong to one row of one call, without end."""
    generator = np.random.default_rng([seed, row])
    while True:
        yield from generator.random(64).tolist()


def choose(logits: Tensor, sampling: Sampling, chance: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """(B, V) -> ids (B,) and, if asked for, their log-probabilities (B,). `chance` (B,) are the rows' random numbers."""
    if sampling.banned:
        logits = logits.index_fill(-1, torch.tensor(sampling.banned, device=logits.device), float("-inf"))
    if sampling.temperature == 0.0:
        ids = logits.argmax(-1)
        return ids, log_probability(logits, ids, 1.0) if sampling.logprobs else None
    assert chance is not None
    scaled = logits.to(torch.double, copy=True).div_(
        sampling.temperature
    )  # a copy of our own, to be worked on in place
    ids = _draw(_truncate(scaled, sampling), chance)
    return ids, log_probability(logits, ids, sampling.temperature) if sampling.logprobs else None


def log_probability(logits: Tensor, ids: Tensor, temperature: float) -> Tensor:
    """(B,) log-probability of `ids` at a temperature; scoring a finished row uses the same function."""
    scaled = logits if temperature in (0.0, 1.0) else logits / temperature
    scaled = scaled.float() if scaled.dtype in (torch.bfloat16, torch.float16) else scaled
    return scaled.gather(-1, ids[:, None])[:, 0] - scaled.logsumexp(-1)


def _truncate(scaled: Tensor, sampling: Sampling) -> Tensor:
    if 0 < sampling.top_k < scaled.shape[-1]:
        floor = scaled.topk(sampling.top_k, -1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < floor, float("-inf"))
    if sampling.top_p < 1.0:
        ordered, order = scaled.softmax(-1).sort(-1, descending=True)
        # A token stays if those before it hold less than top_p; so the likeliest always stays.
        drop = ordered.cumsum(-1) - ordered >= sampling.top_p
        scaled = scaled.masked_fill(torch.zeros_like(drop).scatter(-1, order, drop), float("-inf"))
    return scaled


def _draw(scaled: Tensor, chance: Tensor) -> Tensor:
    """Invert the distribution function at each row's own random number. `scaled` is used up: with a large vocabulary, what a
    choice costs is the memory it touches."""
    heap = scaled.sub_(scaled.amax(-1, keepdim=True)).exp_().cumsum_(-1)
    ids = torch.searchsorted(heap, (chance.to(heap)[:, None] * heap[:, -1:]), right=True)[:, 0]
    return ids.clamp(max=scaled.shape[-1] - 1)
