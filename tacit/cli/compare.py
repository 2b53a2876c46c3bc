"""`tacit compare`: several runs in one table."""

from pathlib import Path
from typing import Annotated

import typer

Runs = Annotated[list[str], typer.Argument(metavar="RUN…", help="Run folders, or folders with runs below them.")]
By = Annotated[str | None, typer.Option("--by", metavar="stage", help="A row for each stage of the runs' curricula.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the table to a file.")]


def compare(runs: Runs, by: By = None, json: Json = None) -> None:
    """Compare runs, or the stages of their curricula."""
    from json import dumps

    from tacit.errors import TacitError
    from tacit.study.compare import compare, compare_stages, print_table
    from tacit.study.runs import METRICS, find_runs
    from tacit.study.stages import COLUMNS as STAGES

    found = [run for place in runs for run in find_runs(place)]
    if not found:
        raise TacitError(f"no run with {METRICS} in {', '.join(runs)}")
    if by not in (None, "stage"):
        raise TacitError(f"runs can be compared whole or by stage, not by {by!r}; leave --by out, or give --by stage")
    rows = compare_stages(found) if by else compare(found)
    if json:
        json.write_text(dumps(rows, indent=1) + "\n", encoding="utf-8")
    told = [name for name in STAGES if any(row[name] not in (None, []) for row in rows)] if by else None
    print_table(rows, columns=told)
