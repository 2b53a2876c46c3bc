"""What is sampled, scored and evaluated must be one policy, so there is no dropout in any of these."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


@contextmanager
def without_dropout(module: nn.Module) -> Iterator[None]:
    """In evaluation mode, and afterwards as it was. Nothing is touched where it is so already, since a walk through all modules
    of a model takes as long as a short prompt."""
    if not module.training:
        yield
        return
    module.eval()
    try:
        yield
    finally:
        module.train()
