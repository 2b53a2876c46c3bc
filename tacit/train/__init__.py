"""Training: one loop for every method.

`train` goes from a recipe's name to a run folder; `fit.fit` is the loop itself, for callers that bring their own model,
method and examples. The loop knows nothing about any method and nothing about any task.
"""

from tacit.callable_package import let_call
from tacit.train.session import train

__all__ = ["train"]

let_call(__name__, "train")
