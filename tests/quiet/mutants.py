"""A module with one place of its source changed: what a test of a formula must notice."""

import inspect
import sys
from types import ModuleType


def mutant(module: ModuleType, written: str, instead: str) -> ModuleType:
    """The module anew, in which `written`, which stands there once, is replaced."""
    source = inspect.getsource(module)
    assert source.count(written) == 1, f"{written!r} stands {source.count(written)} times in {module.__name__}"
    other = ModuleType(f"{module.__name__}_mutant")
    other.__file__ = module.__file__
    sys.modules[other.__name__] = other
    exec(compile(source.replace(written, instead), str(module.__file__), "exec"), other.__dict__)
    return other
