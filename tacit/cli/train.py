"""`tacit train`: a recipe becomes a run folder."""

import os
import sys
from typing import Annotated

import typer

from tacit.cli.arguments import Overrides, Tiny

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A name from tacit ls, or a YAML file.")]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help="The run folder.")]
# An option whose value may be left out is beyond the library: the step is picked out of the words.
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint, or from STEP: --resume 2000. Begins if new.")
]
From = Annotated[str | None, typer.Option("--from", metavar="RUN", help="Start from the weights of a run or a folder.")]
Limit = Annotated[float | None, typer.Option("--time-limit", metavar="MIN", help="Minutes until it saves and stops.")]

INTERRUPTED = 130


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    from_run: From = None,
    tiny: Tiny = False,
    time_limit: Limit = None,
) -> None:
    """Train by a recipe; the run folder is printed last."""
    words = [recipe, *(overrides or [])]
    step = next((word for word in words if resume and word.isdecimal()), None)
    if step is not None:
        words.remove(step)
    if not words:
        raise typer.BadParameter("name a recipe; tacit ls recipes lists them")

    from tacit.train import train as run
    from tacit.train.folder import RunFolder
    from tacit.train.stopping import Interrupted

    at = int(step) if step is not None else resume or None
    try:
        folder = run(words[0], words[1:], out=out, resume=at, from_run=from_run, tiny=tiny, time_limit=time_limit)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None
    if os.environ.get("RANK", "0") == "0":
        print(folder)
    if RunFolder(folder).manifest().get("status") != "finished":
        raise typer.Exit(INTERRUPTED)
