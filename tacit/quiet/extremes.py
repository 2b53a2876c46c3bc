"""The ends of what is told of a step as means. They come as sums over cells, like all that is told of a micro-batch: so that
micro-batches can be added up, each end stands for every cell, and what is logged is the mean of the micro-batches' ends.

Shapes: S models, C cells, T thoughts of a cell.
"""

from torch import Tensor

from tacit.quiet.objective import Values


def extremes(name: str, low: Tensor, high: Tensor, real: Tensor) -> dict[str, Tensor]:
    """The smallest of numbers (S, C, T) and the greatest of others, over cells of text."""
    nothing, count = real[..., None] == 0, real.sum(-1)
    least = low.masked_fill(nothing, float("inf")).flatten(1).amin(1)
    most = high.masked_fill(nothing, float("-inf")).flatten(1).amax(1)
    return {f"{name}_min": least * count, f"{name}_max": most * count}


def of_gate(gate: Tensor, values: Values, variable: bool) -> dict[str, Tensor]:
    """How far predictions leave the base model (S, C, T): at least and at most; and where thoughts may be empty, with such
    thoughts and with others, to be divided by their shares."""
    found = extremes("gate", gate, gate, values.real)
    if variable:
        empty = (values.chosen == values.ended.long()).to(gate)
        for name, part in (("gate_empty", empty), ("gate_thinking", 1 - empty)):
            found[name] = ((gate * part).mean(-1) * values.real).sum(-1)
    return found
