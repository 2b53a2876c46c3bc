"""`tacit probe`: where a model looks and what its thoughts hold while it searches a graph; what a model thinks before each token
of a text, and what that is worth; what several prompts change."""

from pathlib import Path
from typing import Annotated

import typer

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="A finished run on graphs in symbols, or of method quiet or prompted.")
]
Limit = Annotated[int, typer.Option("--limit", min=1, help="So many held-out graphs or texts.")]
Hops = Annotated[int | None, typer.Option("--hops", min=1, help="Only graphs of so many hops.")]
Prefaces = Annotated[
    str | None,
    typer.Option("--prefaces", help="Prompts to compare, such as full,brief,none; RUN may be a recipe, untrained."),
]


def probe(run: Run, limit: Limit = 500, hops: Hops = None, prefaces: Prefaces = None) -> None:
    """Look into the thoughts of a model that searches graphs, or thinks before every token."""
    if prefaces is not None:
        return _prefaces(run, prefaces, limit)
    from rich.console import Console
    from rich.table import Table

    from tacit.study.runs import Run as Trained

    if (Trained(run).recipe.get("method") or {}).get("name") == "quiet":
        return _thoughts(run, limit)
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


def _thoughts(run: Path, limit: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from tacit.study.probes.thoughts import probe_thoughts

    file, found = probe_thoughts(run, limit=limit)
    table = Table(
        "token", "thought", "gain", title="the first text", title_justify="left", box=None, header_style="bold"
    )
    for place in found["texts"][0]["places"]:
        table.add_row(repr(place["token"]), repr(place["thought"]), f"{place['gain']:+.3f}")
    Console(highlight=False).print(table)
    print(f"thoughts are used from step {found['starts']}" if found["starts"] else "thoughts are not used")
    print(file)


def _prefaces(run: Path, prefaces: str, limit: int) -> None:
    from rich.console import Console
    from rich.table import Table

    from tacit.study.probes.prefaces import TOLD, probe_prefaces

    file, lines = probe_prefaces(run, prefaces.split(","), limit=limit)
    table = Table("preface", *TOLD, box=None, header_style="bold")
    for line in lines:
        table.add_row(line["preface"], *(f"{line[name]:.4f}" for name in TOLD))
    Console(highlight=False).print(table)
    if file is not None:
        print(file)
