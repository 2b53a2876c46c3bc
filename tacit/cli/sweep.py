"""`tacit sweep`: a grid of runs."""

from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A name from tacit ls, or a YAML file.")]
Words = Annotated[
    list[str], typer.Argument(metavar="K=A,B", help="Values with commas between them; seed=1..5 for a range.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Where the runs go; else runs/sweep-RECIPE.")]
On = Annotated[str, typer.Option("--on", help="Where they run: local.")]
Together = Annotated[
    bool, typer.Option("--together", help="Runs that differ in the seed only are trained side by side.")
]
Jobs = Annotated[int, typer.Option("--jobs", min=1, help="Runs at the same time.")]


def sweep(
    recipe: RecipeName, words: Words, out: Out = None, on: On = "local", jobs: Jobs = 1, together: Together = False
) -> None:
    """Train a grid of runs, resumable, and compare them."""
    from tacit.launch.grid import grid
    from tacit.launch.sweep import sweep
    from tacit.study.compare import print_table

    rows = sweep(recipe, words, out=out, on=on, at_once=jobs, together=together)
    print_table(rows, list(grid(words)[0].varied))
