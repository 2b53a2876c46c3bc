"""`tacit bench`: our code against its floor, measured in the same run."""

from pathlib import Path
from typing import Annotated

import typer

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name from tacit ls bench.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the rows to a file.")]


def bench(name: Name, json: Json = None) -> None:
    """Run a benchmark."""
    from json import dumps

    from tacit.bench import run

    rows = run(name)
    if json:
        json.write_text(dumps(rows, indent=1) + "\n", encoding="utf-8")
