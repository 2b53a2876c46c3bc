"""Tokens from features: drawn or given, with their log-probabilities and entropies, without keeping a distribution.

A distribution over the vocabulary for every token of every thought is by far the largest thing there is. It is made block by
block, used, and made again where gradients ask for it.

Shapes: S models, N rows, T draws of a row, F features, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor

BLOCK = 1 << 17
"""Numbers of a distribution that are there at once."""


class Chosen(NamedTuple):
    tokens: Tensor
    """(S, N, T)"""
    logp: Tensor
    """(S, N, T) of the tokens."""
    entropy: Tensor
    """(S, N) of the distribution, in nats."""


def draw(features: Tensor, weight: Tensor, bias: Tensor, chance: Tensor) -> Chosen:
    """T tokens for each row by uniform random numbers `chance` (S, N, T): features (S, N, F), weight (S, V, F), bias (S, V)."""
    return Chosen(*_Choose.apply(features, weight, bias, chance, None))  # type: ignore[misc]


def score(features: Tensor, weight: Tensor, bias: Tensor, tokens: Tensor) -> Tensor:
    """The log-probability (S, N, T) of given tokens."""
    return _Choose.apply(features, weight, bias, None, tokens)[1]  # type: ignore[index]


def _blocks(features: Tensor, vocabulary: int) -> list[slice]:
    count, rows = features.shape[:2]
    width = max(1, BLOCK // (count * vocabulary))
    return [slice(start, min(start + width, rows)) for start in range(0, rows, width)]


class _Choose(torch.autograd.Function):
    @staticmethod
    def forward(ctx, features, weight, bias, chance, tokens):
        shape = (chance if tokens is None else tokens).shape
        logp, entropy = features.new_empty(shape), features.new_zeros(shape[:2])
        drawn = torch.empty(shape, dtype=torch.long, device=features.device) if tokens is None else tokens
        for block in _blocks(features, bias.shape[-1]):
            told = torch.baddbmm(bias[:, None], features[:, block], weight.mT).log_softmax(-1)
            if tokens is None:
                p = told.exp()
                below = p.cumsum(-1)
                # Never more than the whole, whatever rounding made of it, so that no token without probability is taken.
                wanted = chance[:, block] * below[..., -1:]
                drawn[:, block] = torch.searchsorted(below, wanted, right=True).clamp_(max=bias.shape[-1] - 1)
                entropy[:, block] = torch.special.entr(p).sum(-1)
            logp[:, block] = told.gather(-1, drawn[:, block])
        ctx.save_for_backward(features, weight, bias, drawn)
        ctx.mark_non_differentiable(drawn)
        ctx.set_materialize_grads(False)
        return drawn, logp, entropy

    @staticmethod
    def backward(ctx, *grads):
        _, by_logp, by_entropy = grads
        features, weight, bias, drawn = ctx.saved_tensors
        to_features = torch.empty_like(features)
        to_weight, to_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        by_logp = features.new_zeros(drawn.shape) if by_logp is None else by_logp
        for block in _blocks(features, bias.shape[-1]):
            told = torch.baddbmm(bias[:, None], features[:, block], weight.mT).log_softmax(-1)
            p = told.exp()
            back = p * -by_logp[:, block].sum(-1, keepdim=True)
            back.scatter_add_(-1, drawn[:, block], by_logp[:, block])
            if by_entropy is not None:
                surprise = torch.where(p > 0, told, 0.0) + torch.special.entr(p).sum(-1, keepdim=True)
                back -= by_entropy[:, block, None] * p * surprise
            to_features[:, block] = back @ weight
            to_weight.baddbmm_(back.mT, features[:, block])
            to_bias += back.sum(1)
        return to_features, to_weight, to_bias, None, None
