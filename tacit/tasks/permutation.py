"""Permutations: follow a mapping again and again, or one mapping after the other. A shallow model that answers at once has no
room for many hops; with the values on the way written down, each step is one look.

In words, with one mapping of three symbols: `2 0 1 | 0 =` asks where two hops lead from 0 (its mapping sends 0 to 2, 1 to 0
and 2 to 1), `2` is where the first one leads, and `#### 1` answers.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from tacit.example import Template
from tacit.tasks.blocks import BLOCK, Arrays, InBlocks, Solution


class Permutation(InBlocks):
    """Where a start leads after `hops` applications of random permutations; the steps are the values on the way."""

    template: Template = Template(
        kind="symbolic", question="{question} =", step="{step}", cue="####", answer="{answer}"
    )
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote: one symbol."""
    size: int = Field(default=8, ge=2, le=100)
    """Symbols that are permuted."""
    hops: int = Field(default=3, ge=1, le=100)
    """Applications, and one step less."""
    mappings: Literal["one", "many"] = "one"
    """one: the same permutation in each hop. many: a permutation of its own for each, all of them in the question."""

    def words(self) -> list[str]:
        return [*map(str, range(self.size)), "|", "=", "####"]

    def draw(self, rng: np.random.Generator) -> Arrays:
        """Mappings (N, one or hops, size), and starts."""
        count = 1 if self.mappings == "one" else self.hops
        sorted_rows = np.tile(np.arange(self.size), (BLOCK, count, 1))
        return rng.permuted(sorted_rows, axis=2), rng.integers(self.size, size=BLOCK)

    def questions(self, drawn: Arrays) -> list[str]:
        symbols = np.array([str(i) for i in range(self.size)], dtype=object)
        rows = symbols[drawn[0]].tolist()
        starts = symbols[drawn[1]].tolist()
        return [" | ".join([*map(" ".join, tables), start]) for tables, start in zip(rows, starts)]

    def solutions(self, drawn: Arrays, rng: np.random.Generator) -> Sequence[Solution]:
        mappings, here = drawn
        values = []
        for hop in range(self.hops):
            here = mappings[np.arange(len(mappings)), hop % mappings.shape[1], here]
            values.append(here)
        rows = np.stack(values, axis=1).tolist()
        return [(tuple(map(str, row[:-1])), str(row[-1])) for row in rows]
