"""tacit: language models that think without writing it down."""

from typing import TYPE_CHECKING, Any

from tacit.errors import TacitError
from tacit.registry import resolve

if TYPE_CHECKING:
    from tacit.evaluate import evaluate
    from tacit.models.making import load
    from tacit.train import train

__version__ = "0.1.0"
__all__ = ["TacitError", "__version__", "evaluate", "load", "train"]

# Imported when first used, so that `import tacit` loads no torch.
_LAZY = {"evaluate": "tacit.evaluate:evaluate", "load": "tacit.models.making:load", "train": "tacit.train:train"}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return resolve(_LAZY, name, "name")
