"""More positions for models that keep a table of them. Rotary positions are computed, so there is no table to grow."""

from typing import Any

import torch
from torch import nn

from tacit.errors import ModelError


def position_table(model: Any) -> nn.Embedding | None:
    """The learned vectors of the positions, where the model has them."""
    limit = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    for table in model.base_model.modules():
        learned = isinstance(table, nn.Embedding) and table is not model.get_input_embeddings()
        # Some families keep a few rows in front of the first position.
        if limit is not None and learned and table.num_embeddings == limit + getattr(table, "offset", 0):
            return table
    return None


def grow_positions(model: Any, wanted: int) -> None:
    """Give a learned position table at least `wanted` rows; each new one starts as a copy of the last."""
    table, config = position_table(model), model.config.get_text_config()
    if table is None:
        raise ModelError(
            f"model.positions: {wanted} grows a learned position table, and {type(model).__name__} has none: its positions "
            "are computed (rotations, say), so leave model.positions out"
        )
    more = wanted - config.max_position_embeddings
    if more <= 0:
        return
    old = table.weight.detach()
    table.weight = nn.Parameter(torch.cat([old, old[-1:].repeat(more, 1)]))
    table.num_embeddings = len(table.weight)
    config.max_position_embeddings = wanted
