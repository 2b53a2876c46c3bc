"""`tacit repro`: rebuild a published claim with its controls."""

from pathlib import Path
from typing import Annotated

import typer

ClaimName = Annotated[str, typer.Argument(metavar="CLAIM", help="A name from tacit ls claims.")]
Scale = Annotated[str, typer.Option("--scale", help="smoke, cpu, gpu or paper; a claim says which it has.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where the runs go; those that are there are not trained again.")]
Out = Annotated[Path, typer.Option("--out", help="Where the page goes.")]


def repro(
    claim: ClaimName, scale: Scale = "cpu", runs: Runs = Path("runs/repro"), out: Out = Path("docs/results")
) -> None:
    """Rebuild a claim: train, judge, write the page."""
    from tacit.study.repro import reproduce

    reproduce(claim, scale, runs=runs, results=out)
