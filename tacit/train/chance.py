"""The random numbers of examples, and what they decide.

An example's numbers are those of `np.random.default_rng([seed, epoch, index])`. Making such a generator costs more than
laying a row out, nearly all of it for hashing the three numbers one by one. So the hash is computed here for many examples
at once; it is that of `np.random.SeedSequence`, which NumPy promises not to change.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.random.bit_generator import ISeedSequence

T = TypeVar("T")

WORD = (1 << 32) - 1
MOST = 10_000
"""Outcomes that are remembered."""


def generators(seed: int, picks: Sequence[tuple[int, int]]) -> Iterator[np.random.Generator]:
    """A generator for each (epoch, index)."""
    given = [seed >> shift & WORD for shift in range(0, max(1, seed.bit_length()), 32)]
    pairs = np.array(picks, dtype=np.uint32).reshape(-1, 2)
    entropy = [np.full(len(pairs), word, dtype=np.uint32) for word in given]
    for state in _states([*entropy, pairs[:, 0], pairs[:, 1]]):
        yield np.random.Generator(np.random.PCG64(_Hashed(state)))  # type: ignore[arg-type]


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


class _Hashed(ISeedSequence):
    """A seed whose hash is known."""

    def __init__(self, state: np.ndarray):
        self.state = state

    def generate_state(self, n_words, dtype=np.uint64):
        assert n_words == len(self.state) and dtype is np.uint64
        return self.state


def _states(entropy: list[np.ndarray]) -> np.ndarray:
    """(N, 4) uint64: what `SeedSequence.generate_state` says for each of N rows, whose words are columns of uint32."""
    scramble = _Scrambler(0x43B0D7E5, 0x931E8875)
    columns = entropy + [np.zeros_like(entropy[0])] * (4 - len(entropy))
    pool = [scramble(column) for column in columns[:4]]
    for source in range(4):
        for target in range(4):
            if source != target:
                pool[target] = _mixed(pool[target], scramble(pool[source]))
    for column in columns[4:]:
        pool = [_mixed(kept, scramble(column)) for kept in pool]
    scramble = _Scrambler(0x8B51F9DD, 0x58F38DED)
    halves = [scramble(pool[word % 4]).astype(np.uint64) for word in range(8)]
    return np.stack([low | high << np.uint64(32) for low, high in zip(halves[::2], halves[1::2])], axis=1)


class _Scrambler:
    """Each call scrambles with the next constant of a sequence."""

    def __init__(self, first: int, factor: int):
        self.constant, self.factor = first, factor

    def __call__(self, value: np.ndarray) -> np.ndarray:
        value = value ^ np.uint32(self.constant)
        self.constant = self.constant * self.factor & WORD
        value = value * np.uint32(self.constant)
        return value ^ value >> np.uint32(16)


def _mixed(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    value = one * np.uint32(0xCA01F9DD) - other * np.uint32(0x4973F715)
    return value ^ value >> np.uint32(16)
