"""Programs: a task in words or the head of a function, and the reference solution.

What is measured is how likely the reference solution is. Written programs are compared with it as text and never run: running
what a model made up needs a sandbox, which is out of scope here.
"""

from collections.abc import Iterable
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from tacit.errors import DataError
from tacit.example import Example, Template, check_text, fault
from tacit.tasks.base import Split, Task, check_split
from tacit.tasks.sources import Raw, file_rows, hub_rows


class Published(NamedTuple):
    """A data set of the hub: its splits by our names."""

    id: str
    config: str | None
    splits: dict[str, str]


HUB = {
    "mbpp": Published(
        "google-research-datasets/mbpp", "full", {"train": "train", "valid": "validation", "test": "test"}
    ),
    "humaneval": Published("openai/openai_humaneval", None, {"test": "test"}),
}


class Code(Task):
    """MBPP or HumanEval: prompt and reference solution, by likelihood; programs are not run."""

    template: Template = Template(question="{question}", cue="", answer="{answer}")
    """The words around prompt and solution: none."""
    extractor: str = "exact@1"
    """Written programs count as right where they are the reference solution."""
    variant: Literal["mbpp", "humaneval"] = "mbpp"
    """Which data set, when it comes from the hub."""
    path: str = ""
    """A local file with rows of either, all of which belong to the split that is asked for."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many rows of a split."""

    def examples(self, split: Split) -> Iterable[Example]:
        check_split(split)
        found = [parse(raw, f"{split}-{n}") for n, raw in enumerate(islice(self._raw(split), self.limit), 1)]
        if not found:
            raise DataError(f"{self.path or HUB[self.variant].id}: has no rows")
        return found

    def _raw(self, split: Split) -> Iterable[Raw]:
        if self.path:
            return file_rows(Path(self.path).expanduser())
        at = HUB[self.variant]
        if split not in at.splits:
            raise DataError(f"{at.id} has no {split} split; set eval.split (--split) to {' or '.join(at.splits)}")
        return hub_rows(at.id, at.config, at.splits[split], stream=False)


def parse(raw: Raw, id: str) -> Example:
    """prompt and canonical_solution (HumanEval), or text and code with tests (MBPP)."""
    row: Any = raw.row
    if not isinstance(row, dict):
        raise fault(raw.place, "row", f"expected a JSON object, got {type(row).__name__}")
    id = str(row.get("task_id", id))
    if "canonical_solution" in row:
        prompt = check_text(row.get("prompt"), "prompt", raw.place)
        return Example(id, prompt, (), check_text(row["canonical_solution"], "canonical_solution", raw.place))
    if "code" not in row:
        raise fault(raw.place, "code", f"missing, and canonical_solution too; the row has {', '.join(map(str, row))}")
    field = "text" if "text" in row else "prompt"
    words, tests = check_text(row.get(field), field, raw.place), row.get("test_list") or []
    told = "".join(f"\n{check_text(test, 'test_list', raw.place)}" for test in tests)
    return Example(id, f'"""\n{words.strip()}{told}\n"""\n', (), check_text(row["code"], "code", raw.place))
