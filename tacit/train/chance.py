"""The random numbers of examples, and what they decide."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

T = TypeVar("T")

WORD = (1 << 64) - 1
MOST = 10_000
"""Outcomes that are remembered."""


def generators(seed: int, picks: Sequence[tuple[int, int]]) -> Iterator[np.random.Generator]:
    """Random numbers for each (epoch, index), whatever else is asked for.

    Philox is a function of a key and a counter, so a series begins where its key is set, which is a tenth of the cost of a
    new generator. The same object comes again and again: use it before the next.
    """
    bits = np.random.Philox(key=0)
    generator, start = np.random.Generator(bits), bits.state
    for epoch, index in picks:
        start["state"]["key"][:] = seed & WORD, epoch << 32 | index
        bits.state = start
        yield generator


class Forgettable(Exception):
    """What chance decides does not come again: a number was drawn that is not whole, or there are too many outcomes."""


class Decisions(Generic[T]):
    """The outcomes of a function of a generator. It is called once for each different series of numbers that it draws,
    which must be whole ones, since no other number is drawn twice."""

    def __init__(self, decide: Callable[[Any], T]):
        self.decide = decide
        self.outcomes: list[T] = []
        self._root: _Draw | int | None = None

    @property
    def certain(self) -> bool:
        """Whether nothing was left to chance."""
        return isinstance(self._root, int)

    def number(self, rng: np.random.Generator) -> int:
        """The number of the outcome that a generator leads to."""
        path: list[tuple[_Draw, int]] = []
        at = self._root
        while isinstance(at, _Draw):
            drawn = at.draw(rng)
            path.append((at, drawn))
            at = at.leads_to.get(drawn)
        return self._learn(rng, path) if at is None else at

    def _learn(self, rng: np.random.Generator, path: "list[tuple[_Draw, int]]") -> int:
        self.outcomes.append(self.decide(_Recorder(rng, path)))
        number = len(self.outcomes) - 1
        if number == MOST:
            raise Forgettable
        self._root = number
        for draw, drawn in reversed(path):
            draw.leads_to[drawn] = self._root
            self._root = draw
        return number


class _Draw:
    """A call of a generator, and what follows on each result: another draw, or the number of an outcome."""

    def __init__(self, name: str, args: tuple, words: dict[str, Any]):
        self.name, self.args, self.words = name, args, words
        self.leads_to: dict[int, _Draw | int] = {}

    def draw(self, rng: np.random.Generator) -> Any:
        return getattr(rng, self.name)(*self.args, **self.words)


class _Recorder:
    """A generator that first repeats what was drawn already, and notes what is drawn from then on."""

    def __init__(self, rng: np.random.Generator, path: list[tuple[_Draw, int]]):
        self._rng, self._path, self._repeated = rng, path, 0

    def __getattr__(self, name: str) -> Callable[..., int]:
        return lambda *args, **words: self._drawn(_Draw(name, args, words))

    def _drawn(self, draw: _Draw) -> int:
        if self._repeated == len(self._path):
            drawn = draw.draw(self._rng)
            if not isinstance(drawn, int | np.integer):
                raise Forgettable
            self._path.append((draw, int(drawn)))
        self._repeated += 1
        return self._path[self._repeated - 1][1]
