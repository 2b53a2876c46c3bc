"""MATH: competition problems with written solutions; answers are formulas, and equal when they mean the same."""

from collections.abc import Iterable
from itertools import islice
from threading import current_thread, main_thread
from typing import Any

from pydantic import Field

from tacit.answers import extract
from tacit.errors import DataError
from tacit.example import Example
from tacit.tasks.base import Grade, Split, Task, check_split, home
from tacit.tasks.rows import Rows
from tacit.tasks.sources import Raw, hub_rows

HUB = "EleutherAI/hendrycks_math"
SUBJECTS = (
    "algebra", "counting_and_probability", "geometry", "intermediate_algebra", "number_theory", "prealgebra", "precalculus",
)  # fmt: skip
HELD_OUT = 0.05
SECONDS = 5
"""After which a formula that a model made up is given up as wrong."""


class Math(Task):
    """MATH from the hub, all seven subjects, or rows of a local file. The steps are the solution, as one."""

    extractor: str = "boxed@1"
    """How the answer is found in what the model wrote; whether it is right, math-verify says."""
    path: str = ""
    """A local file or folder in any published format instead of the hub."""
    subjects: list[str] = Field(default=list(SUBJECTS))
    """Which subjects, when it comes from the hub."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many rows of a split."""

    def examples(self, split: Split) -> Iterable[Example]:
        check_split(split)
        if self.path:
            return list(islice(Rows(path=self.path).examples(split), self.limit))
        return list(islice(self._published(split), self.limit))

    def _published(self, split: Split) -> Iterable[Example]:
        """The published train split without 5 % for valid, or the published test split."""
        for subject in self.subjects:
            rows = hub_rows(HUB, subject, "test" if split == "test" else "train", stream=False)
            for number, raw in enumerate(rows):
                example = parse(raw, f"{subject}-{split}-{number}")
                if split == "test" or home(example.question, {"valid": HELD_OUT}) == split:
                    yield example

    def grade(self, example: Example, text: str) -> Grade:
        """The last box, or what follows the cue; compared as formulas."""
        cue = self.template.cue.strip()
        found = extract(self.extractor, text.rsplit(cue, 1)[-1] if cue else text)
        return Grade(found is not None and same(found, example.answer), found, "math-verify")


def parse(raw: Raw, id: str) -> Example:
    """A published row: problem, and a solution that ends in a box."""
    row: Any = raw.row
    answer = extract("boxed@1", row["solution"]) if "\\boxed{" in row.get("solution", "") else None
    if not answer or not row.get("problem"):
        raise DataError(
            f"{raw.place}: expected problem, and solution with \\boxed{{…}} in it; the row has {', '.join(row)}"
        )
    return Example(id, row["problem"], (row["solution"],), answer)


def same(found: str, gold: str) -> bool:
    """Whether two formulas mean the same."""
    from math_verify import parse as read
    from math_verify import verify

    if found.strip() == gold.strip():
        return True
    # Its limits of time are alarms of the process, which only the main thread may set.
    seconds = SECONDS if current_thread() is main_thread() else 0
    right, said = (read(f"${text}$", parsing_timeout=seconds) for text in (gold, found))
    return bool(right and said and verify(right, said, timeout_seconds=seconds))
