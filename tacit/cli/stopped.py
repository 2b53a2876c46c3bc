"""How a verb ends that a signal has stopped."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from tacit.stopping import INTERRUPTED, Interrupted


@contextmanager
def told_when_stopped() -> Iterator[None]:
    """What can go on later says so, on one line, and exits with the code of a signal."""
    try:
        yield
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
