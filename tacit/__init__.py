"""tacit: language models that think without writing it down."""

from tacit.errors import TacitError

__version__ = "0.1.0"
__all__ = ["TacitError", "__version__"]
