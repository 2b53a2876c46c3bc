"""How many thoughts go on, without waiting for the device that knows."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Sent(NamedTuple):
    """A number on its way from the device."""

    number: Tensor
    arrived: Callable[[], bool]


def send(number: Tensor) -> Sent:
    """To the host, without waiting where that can be avoided."""
    if number.device.type != "cuda":
        return Sent(number.cpu(), lambda: True)
    there = torch.empty((), dtype=number.dtype, pin_memory=True)
    there.copy_(number, non_blocking=True)
    event = torch.cuda.Event()
    event.record()
    return Sent(there, event.query)


class Going:
    """Rows that go on, in the model with most of them, as far as that is known. It only ever falls, so a number that is not the
    newest is never too small: some rows that have ended are then computed once more, and not counted."""

    def __init__(self, rows: int):
        self.known = rows
        self._coming: deque[Sent] = deque()

    def at_most(self, on: Tensor) -> int:
        """(S, M) bool: which rows go on now."""
        self._coming.append(send(on.sum(1).max()))
        while self._coming and self._coming[0].arrived():
            self.known = int(self._coming.popleft().number)
        return self.known
