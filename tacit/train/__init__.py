"""Training: one loop for every method.

`train` goes from a recipe's name to a run folder; `fit.fit` is the loop itself, for callers that bring their own model,
method and examples. The loop knows nothing about any method and nothing about any task.
"""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from tacit.train.session import train

__all__ = ["train"]


class _Callable(ModuleType):
    """`tacit.train` is this package and, for its users, the function in it; a package that is imported hides any function
    of its name, so the package can be called."""

    def __call__(self, *words: Any, **options: Any) -> Path:
        return train(*words, **options)


sys.modules[__name__].__class__ = _Callable
