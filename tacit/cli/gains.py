"""`tacit gains`: tokens helped by scale against tokens helped by thinking."""

from pathlib import Path
from typing import Annotated

import typer

Thinking = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--thinking", metavar="WITHOUT WITH", help="Of one model, as tacit eval RUN --rows FILE writes them."),
]
Scale = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--scale", metavar="SMALL LARGE", help="Of two models without thoughts, likewise."),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Where gains.json and gains.png go.")]


def gains(thinking: Thinking = None, scale: Scale = None, out: Out = Path("gains")) -> None:
    """What each token of the same texts gains from a larger model, and what from thoughts."""
    from tacit.study.gains import gains

    pairs = {name: files for name, files in (("scale", scale), ("thinking", thinking)) if files}
    for name, value in gains(pairs, out)["all"].items():
        print(f"{name:<16} {'–' if value is None else f'{value:,.0f}' if name == 'tokens' else f'{value:.4f}'}")
    print(f"{out}/gains.json, {out}/gains.png")
