"""Tasks that draw thousands of problems at once as arrays, because one at a time would take minutes."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np

from tacit.example import Example
from tacit.tasks.base import Drawn, Split, home

BLOCK = 2048
"""Problems drawn at once. It is part of the data: another number gives other examples."""

Arrays = tuple[np.ndarray, ...]
Solution = tuple[tuple[str, ...], str]
"""Steps and answer."""


class InBlocks(Drawn):
    """Draws blocks of problems. What lives in another split is thrown away before it is solved in words."""

    @abstractmethod
    def draw(self, rng: np.random.Generator) -> Arrays:
        """BLOCK problems as arrays, one problem in each place of their first axis."""

    @abstractmethod
    def questions(self, drawn: Arrays) -> list[str]:
        """The problems in words."""

    @abstractmethod
    def solutions(self, drawn: Arrays, rng: np.random.Generator) -> Sequence[Solution]:
        """Steps and answer of each problem."""

    def candidates(self, split: Split, rng: np.random.Generator) -> Iterator[Example | None]:
        while True:
            drawn = self.draw(rng)
            questions = self.questions(drawn)
            mine = np.array([home(question) == split for question in questions])
            solved = iter(self.solutions(tuple(array[mine] for array in drawn), rng))
            for question, here in zip(questions, mine.tolist()):
                yield _example(question, next(solved)) if here else None


def _example(question: str, solution: Solution) -> Example:
    steps, answer = solution
    return Example(question=question, steps=steps, answer=answer)
