"""Names to classes. A registry is a plain dict from a name to "module:Class", resolved when used: listing imports nothing."""

import difflib
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any

from tacit.errors import TacitError


def nearest(word: str, words: Iterable[str]) -> str:
    """'; did you mean X?' for the closest of the words, or an empty string."""
    close = difflib.get_close_matches(word, list(words), n=1, cutoff=0.5)
    return f"; did you mean {close[0]}?" if close else ""


def resolve(registry: Mapping[str, Any], name: str, kind: str) -> Any:
    """The class behind a name. Values may be classes already: that is how other packages register theirs."""
    if name not in registry:
        raise TacitError(
            f"there is no {kind} called {name!r}{nearest(name, registry)}. Known: {', '.join(sorted(registry))}"
        )
    target = registry[name]
    if not isinstance(target, str):
        return target
    module, _, attribute = target.partition(":")
    return getattr(import_module(module), attribute)
