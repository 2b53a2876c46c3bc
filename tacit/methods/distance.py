"""How far the student's states are from the teacher's, as settings. `tacit.methods.distilling` computes it."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tacit.settings import Settings

Block = Annotated[int, Field(ge=0)]


class Distance(Settings):
    """A distance in every layer, divided by the size of the teacher's states, then the mean over layers. The state of the
    last layer is taken behind the final norm, those of the others before it."""

    measure: Literal["smooth_l1", "l2"] = "smooth_l1"
    """smooth_l1: mean over rows and dimensions, quadratic below a difference of 1. l2: Euclidean length, mean over rows."""
    norm: Literal["layer_std", "layer_l2", "std", "l2", "none"] = "layer_std"
    """What a distance is divided by: the standard deviation of the teacher's numbers or the mean length of its states, in each
    layer or in all of them together."""
    blocks: tuple[Block, Block] | None = None
    """The first and the last layer that are compared, counted from 0; null compares all."""
    embedding: bool = False
    """Compare the output of the embedding too, as one layer more."""

    @model_validator(mode="after")
    def _ordered(self) -> "Distance":
        if self.blocks is not None and self.blocks[0] > self.blocks[1]:
            raise ValueError(f"blocks {list(self.blocks)} must be the first and the last layer, in this order")
        return self
