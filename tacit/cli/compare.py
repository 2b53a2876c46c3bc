"""`tacit compare`: several runs in one table."""

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders, or folders with runs below them.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the table to a file.")]


def compare(runs: Runs, json: Json = None) -> None:
    """Compare runs."""
    from json import dumps

    from tacit.errors import TacitError
    from tacit.study.compare import compare, print_table
    from tacit.study.runs import METRICS, find_runs

    found = [run for place in runs for run in find_runs(place)]
    if not found:
        raise TacitError(f"no run with {METRICS} in {', '.join(runs)}")
    rows = compare(found)
    if json:
        json.write_text(dumps(rows, indent=1) + "\n", encoding="utf-8")
    print_table(rows)
