"""Initial weights by part, for small models whose first circuit appears late or never from the usual ones.

Attention that looks for equal contents is the first thing a graph search needs. Keys that begin as a copy of the queries give
every head that, and larger embeddings make contents differ enough to be told apart.
"""

import math
from typing import Any, Literal

from pydantic import Field

from tacit.settings import Settings


class Initial(Settings):
    """How weights are drawn, normal everywhere; what is left out is the family's own."""

    embeddings: float | None = Field(default=None, gt=0)
    """Standard deviation of token embeddings."""
    positions: float | None = Field(default=None, gt=0)
    """Standard deviation of position embeddings."""
    weights: float | Literal["fan_in"] | None = None
    """Standard deviation of the matrices; fan_in: one over the root of a matrix's inputs. Those that write into the residual
    stream are scaled down by the root of their number, and an output layer of its own is √3 smaller, as torch draws it."""
    keys: Literal["own", "queries"] = "own"
    """queries: the key matrix begins as a copy of the query matrix, so that every head looks for its own contents."""


def draw_weights(model: Any, initial: Initial) -> None:
    """Draw a GPT-2's weights anew, in place, from torch's global random numbers."""
    import torch
    from torch import nn

    body = model.transformer
    layers = len(body.h)
    with torch.no_grad():
        for table, deviation in ((body.wte, initial.embeddings), (body.wpe, initial.positions)):
            if deviation is not None:
                nn.init.normal_(table.weight, std=deviation)
        for block in body.h:
            width = block.attn.c_attn.weight.shape[0]
            for matrix in (block.attn.c_attn, block.mlp.c_fc, block.attn.c_proj, block.mlp.c_proj):
                writes = matrix in (block.attn.c_proj, block.mlp.c_proj)
                if initial.weights is not None:
                    deviation = _deviation(initial.weights, matrix.weight.shape[0])
                    nn.init.normal_(matrix.weight, std=deviation / math.sqrt(2 * layers if writes else 1))
            if initial.keys == "queries":
                block.attn.c_attn.weight[:, width : 2 * width] = block.attn.c_attn.weight[:, :width]
        if initial.weights is not None and model.lm_head.weight is not body.wte.weight:
            deviation = _deviation(initial.weights, model.lm_head.weight.shape[1])
            nn.init.normal_(model.lm_head.weight, std=deviation / math.sqrt(3))


def _deviation(weights: float | Literal["fan_in"], inputs: int) -> float:
    return 1 / math.sqrt(inputs) if weights == "fan_in" else weights
