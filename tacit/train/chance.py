"""The random numbers of examples: for each of them those of `np.random.default_rng([seed, epoch, index])`.

Making such a generator costs more than laying a row out, nearly all of it for hashing the three numbers one by one. So the
hash is computed here for many examples at once; it is that of `np.random.SeedSequence`, which NumPy promises not to change.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.random.bit_generator import ISeedSequence

WORD = (1 << 32) - 1


def generators(seed: int, picks: Sequence[tuple[int, int]]) -> Iterator[np.random.Generator]:
    """A generator for each (epoch, index)."""
    given = [seed >> shift & WORD for shift in range(0, max(1, seed.bit_length()), 32)]
    pairs = np.array(picks, dtype=np.uint32).reshape(-1, 2)
    entropy = [np.full(len(pairs), word, dtype=np.uint32) for word in given]
    for state in _states([*entropy, pairs[:, 0], pairs[:, 1]]):
        yield np.random.Generator(np.random.PCG64(_Hashed(state)))


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
