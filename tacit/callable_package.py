"""Packages that can be called. `tacit.train` and `tacit.evaluate` are packages and, for their users, the functions in them; once
a package is imported, it hides any function of its name in its parent, so the package itself must answer the call."""

import sys
from types import ModuleType
from typing import Any


def let_call(package: str, name: str) -> None:
    """From now on, calling the package calls its function `name`."""

    class Callable(ModuleType):
        def __call__(self, *words: Any, **options: Any) -> Any:
            return getattr(self, name)(*words, **options)

    sys.modules[package].__class__ = Callable
