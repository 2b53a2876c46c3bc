"""Reasons to stop early: a signal, or a limit on time. Both wait for the step to end."""

import signal
import threading
import time
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = 130
"""The exit code of a command that a signal has ended."""


class Interrupted(KeyboardInterrupt):
    """A signal ended what can go on later: nothing is lost, and the sentence says how."""


class Stopping:
    """Watches for signals and the clock while it is open. A second signal does what signals do: it ends at once."""

    def __init__(self, minutes: float | None):
        self.deadline = None if minutes is None else time.monotonic() + 60 * minutes
        self.signal = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stopping":
        # Only the main thread may set handlers; elsewhere signals stay the business of whoever runs the thread.
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._put_back()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self._put_back()

    def _put_back(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    @property
    def late(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline
