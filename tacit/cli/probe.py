"""`tacit probe`: where a model looks and what its thoughts hold while it searches a graph."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[Path, typer.Argument(metavar="RUN", help="A finished run on graphs in symbols.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="So many held-out graphs.")]
Hops = Annotated[int | None, typer.Option("--hops", min=1, help="Only graphs of so many hops.")]


def probe(run: Run, limit: Limit = 500, hops: Hops = None) -> None:
    """Look into the thoughts of a model that searches graphs."""
    from rich.console import Console
    from rich.table import Table

    from tacit.study.probes.graph import CLASSES
    from tacit.study.probes.page import probe

    folder, found = probe(run, limit=limit, hops=hops)
    console = Console(highlight=False)
    for name, title in (("attention", "attention on an edge"), ("thoughts", "thought · node")):
        table = Table("silent steps", *CLASSES, title=title, title_justify="left", box=None, header_style="bold")
        for line in found[name]:
            cells = [f"{line[kind]:.3f}" if kind in line else "–" for kind in CLASSES]
            table.add_row(str(line["thoughts"]), *cells)
        console.print(table)
    print(f"{folder}/graph.json, {folder}/graph.png")
