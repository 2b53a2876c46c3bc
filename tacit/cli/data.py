"""`tacit data make`: the examples of a generated task as rows in a file."""

from pathlib import Path
from typing import Annotated

import typer

data = typer.Typer(name="data", help="Make data files.", no_args_is_help=True, add_completion=False)

TaskName = Annotated[str, typer.Argument(metavar="TASK", help="A generated task, from tacit ls tasks.")]
Count = Annotated[int, typer.Option("--rows", min=1, help="How many.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Other seeds give other rows.")]
Split = Annotated[str, typer.Option("--split", help="train, valid or test; they share no question.")]
Out = Annotated[Path, typer.Option("--out", help="The file, one JSON object a line.")]


@data.callback()
def _group() -> None:
    """Make data files."""


@data.command()
def make(task: TaskName, out: Out, rows: Count = 1000, seed: Seed = 0, split: Split = "train") -> None:
    """Write rows of a generated task to a file."""
    from json import dumps

    from tacit.errors import TacitError
    from tacit.example import to_row
    from tacit.registry import resolve
    from tacit.tasks import TASKS
    from tacit.tasks.base import check_split

    check_split(split)
    cls = resolve(TASKS, task, "task")
    if not {"seed", f"{split}_rows"} <= cls.model_fields.keys():
        able = [name for name in TASKS if f"{split}_rows" in resolve(TASKS, name, "task").model_fields]
        raise TacitError(f"{task} reads its examples and makes none up; take one of: {', '.join(sorted(able))}")
    examples = list(cls(seed=seed, **{f"{split}_rows": rows}).examples(split))
    if len(examples) < rows:
        raise TacitError(f"{task} has only {len(examples)} different questions for {split}; ask for at most so many")
    beside = out.with_name(out.name + ".part")
    out.parent.mkdir(parents=True, exist_ok=True)
    lines = (dumps(to_row(example), ensure_ascii=False) + "\n" for example in examples)
    beside.write_text("".join(lines), encoding="utf-8")
    beside.replace(out)
    print(f"{rows} rows in {out}")
