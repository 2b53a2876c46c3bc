"""The documents of a recipe by their numbers. Those that come from files are read as they are wanted, so a corpus may be larger
than memory; generated ones are made at once."""

from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

from tacit.errors import DataError
from tacit.example import Example
from tacit.recipe.schema import Recipe
from tacit.tasks.rows import Rows


class Listed:
    """Documents in memory."""

    def __init__(self, documents: Sequence[Example]):
        self.documents = documents

    def __len__(self) -> int:
        return len(self.documents)

    def part(self, start: int, stop: int) -> Sequence[Example]:
        """The documents from one number up to another."""
        return self.documents[start:stop]


class Streamed:
    """Documents of files. Parts are mostly asked for in order, so what lies between two of them is passed over, and only who goes
    back begins again."""

    def __init__(self, task: Rows, limit: int | None):
        self.task, self.limit = task, limit
        self.coming, self.at = self._all(), 0

    def _all(self) -> Iterator[Example]:
        return islice(self.task.one_by_one("train"), self.limit)

    def __len__(self) -> int:
        return sum(1 for _ in self._all())

    def part(self, start: int, stop: int) -> Sequence[Example]:
        """The documents from one number up to another."""
        if start < self.at:
            self.coming, self.at = self._all(), 0
        deque(islice(self.coming, start - self.at), maxlen=0)
        found = list(islice(self.coming, stop - start))
        self.at = stop
        if len(found) < stop - start:
            raise DataError(
                f"documents {start} to {stop} are planned, and there are fewer now; put the corpus back as it was, or plan in "
                "another folder"
            )
        return found


def numbered(recipe: Recipe) -> Listed | Streamed:
    """The documents that thoughts are inferred for."""
    task = recipe.resolved_task()
    if isinstance(task, Rows):
        return Streamed(task, recipe.train.limit)
    return Listed(list(islice(task.examples("train"), recipe.train.limit)))
