"""`tacit data make`: the examples of a generated task as rows in a file."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

data = typer.Typer(name="data", help="Make data files.", no_args_is_help=True, add_completion=False)


class Format(StrEnum):
    """How an example is written."""

    rows = "rows"
    icot = "icot"


TaskName = Annotated[str, typer.Argument(metavar="TASK", help="A generated task, from tacit ls tasks.")]
Fields = Annotated[list[str] | None, typer.Argument(metavar="K=V", help="Fields of the task: left=9 right=9.")]
Count = Annotated[int, typer.Option("--rows", min=1, help="How many.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Other seeds give other rows.")]
Split = Annotated[str, typer.Option("--split", help="train, valid or test; they share no question.")]
Out = Annotated[Path, typer.Option("--out", help="The file.")]
Kind = Annotated[
    Format, typer.Option("--format", help="rows: one JSON object a line. icot: lines `question||steps #### answer`.")
]


@data.callback()
def _group() -> None:
    """Make data files."""


@data.command()
def make(
    task: TaskName,
    out: Out,
    fields: Fields = None,
    rows: Count = 1000,
    seed: Seed = 0,
    split: Split = "train",
    format: Kind = Format.rows,
) -> None:
    """Write rows of a generated task to a file."""
    from json import dumps

    from tacit.errors import TacitError
    from tacit.example import to_row
    from tacit.registry import resolve
    from tacit.tasks import TASKS
    from tacit.tasks.base import check_split
    from tacit.tasks.formats import icot_line
    from tacit.whole import whole

    check_split(split)
    cls = resolve(TASKS, task, "task")
    if not {"seed", f"{split}_rows"} <= cls.model_fields.keys():
        able = [name for name in sorted(TASKS) if f"{split}_rows" in resolve(TASKS, name, "task").model_fields]
        raise TacitError(f"{task} reads its examples and makes none up; take one of: {', '.join(able)}")
    examples = list(_task(task, {"seed": seed, f"{split}_rows": rows}, fields or []).examples(split))
    if len(examples) < rows:
        raise TacitError(f"{task} has only {len(examples)} different questions for {split}; ask for at most so many")
    out.parent.mkdir(parents=True, exist_ok=True)
    with whole(out) as file:
        for example in examples:
            line = icot_line(example) if format is Format.icot else dumps(to_row(example), ensure_ascii=False)
            file.write(line + "\n")
    print(f"{rows} rows in {out}")


def _task(name: str, asked: dict[str, Any], words: list[str]) -> Any:
    """The task with its fields, which are read and judged as those of a recipe are."""
    from pydantic import ValidationError

    from tacit.errors import TacitError
    from tacit.recipe.choice import choose
    from tacit.recipe.faults import FaultyRecipe
    from tacit.recipe.reader import read_words, tree

    layer, faults = read_words(words)
    if faults:
        raise FaultyRecipe(name, faults)
    try:
        return choose("task", {"name": name, **asked, **tree(layer)}).settings
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'its fields'}: {fault['msg']}" for fault in error.errors()
        )
        raise TacitError(f"task {name} cannot be made like this: {told}") from error
