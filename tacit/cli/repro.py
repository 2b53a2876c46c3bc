"""`tacit repro`: rebuild a published claim with its controls."""

from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Overrides

ClaimName = Annotated[str, typer.Argument(metavar="CLAIM", help="A name from tacit ls claims.")]
Scale = Annotated[str, typer.Option("--scale", help="smoke, cpu, gpu or paper; a claim says which it has.")]
Runs = Annotated[Path, typer.Option("--runs", help="Where the runs go; those that are there are not trained again.")]
Out = Annotated[Path, typer.Option("--out", help="Where the page goes.")]


def repro(
    claim: ClaimName,
    words: Overrides = None,
    scale: Scale = "cpu",
    runs: Runs = Path("runs/repro"),
    out: Out = Path("docs/results"),
) -> None:
    """Rebuild a claim: train, judge, write the page."""
    from tacit.study.repro import reproduce

    reproduce(claim, scale, runs=runs, results=out, overrides=_mapping(words or []))


def _mapping(words: list[str]) -> dict[str, object]:
    from tacit.recipe.faults import FaultyRecipe
    from tacit.recipe.reader import read_words

    layer, faults = read_words(words)
    if faults:
        raise FaultyRecipe("the overrides", faults)
    return {path: setting.value for path, setting in layer.items()}
