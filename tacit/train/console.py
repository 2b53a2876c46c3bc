"""What a run says while it trains, on stderr: one line that moves in a terminal, a line now and then elsewhere."""

import sys
import time

from rich.console import Console as Terminal
from rich.live import Live
from rich.text import Text

QUIET = 5.0
"""Seconds of silence: runs shorter than this need no progress line."""
EVERY = 30.0
"""Seconds between lines where the output is a file or a pipe."""


class Console:
    """Prints in one process and is silent in the others."""

    def __init__(self, steps: int, speaks: bool = True):
        self.steps, self.begin, self.speaks = steps, 0, speaks
        self.terminal = Terminal(stderr=True, highlight=False)
        self.started = time.monotonic()
        self.shown = self.started + QUIET - EVERY
        self.tokens = 0
        self.live: Live | None = None
        self.prefix = ""
        """Before every sentence, where several runs speak."""

    def __enter__(self) -> "Console":
        return self

    def __exit__(self, *_: object) -> None:
        if self.live is not None:
            self.live.stop()

    def say(self, sentence: str) -> None:
        """One line that stays."""
        if self.speaks:
            self.terminal.print(Text(self.prefix + sentence), soft_wrap=True)

    def step(self, step: int, loss: float, tokens: int) -> None:
        """A step is done; show where the run stands if it is time."""
        self.tokens += tokens
        now = time.monotonic()
        if not self.speaks or now - self.started < QUIET:
            return
        if self.terminal.is_terminal:
            if self.live is None:
                self.live = Live(console=self.terminal, refresh_per_second=4, transient=True)
                self.live.start()
            self.live.update(Text(self.line(step, loss, now - self.started)))
        elif now - self.shown >= EVERY:
            self.shown = now
            print(self.line(step, loss, now - self.started), file=sys.stderr, flush=True)

    def line(self, step: int, loss: float, seconds: float) -> str:
        """Loss, speed and time left."""
        left = seconds / max(1, step - self.begin) * (self.steps - step)
        speed = self.tokens / max(seconds, 1e-9)
        return f"{self.prefix}step {step}/{self.steps}  loss {loss:.4f}  {speed:,.0f} tokens/s  {duration(left)} left"


def duration(seconds: float) -> str:
    """Hours and minutes, or minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes}:{rest:02d}"
