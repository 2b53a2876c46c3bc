"""`tacit train`: a recipe becomes a run folder."""

import os
from pathlib import Path
from typing import Annotated

import typer

from tacit.cli.arguments import Overrides, Tiny
from tacit.cli.stopped import told_when_stopped
from tacit.stopping import INTERRUPTED

RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="A name from tacit ls, or a YAML file.")]
Out = Annotated[str | None, typer.Option("--out", metavar="DIR", help="The run folder.")]
# An option whose value may be left out is beyond the library: the step is picked out of the words.
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on from the newest checkpoint, or from STEP: --resume 2000. Begins if new.")
]
From = Annotated[str | None, typer.Option("--from", metavar="RUN", help="Start from the weights of a run or a folder.")]
Seeds = Annotated[
    str | None,
    typer.Option("--seeds", metavar="0,1,2", help="Several seeds side by side; --out has {seed} in its name."),
]
Limit = Annotated[float | None, typer.Option("--time-limit", metavar="MIN", help="Minutes until it saves and stops.")]


def train(
    recipe: RecipeName,
    overrides: Overrides = None,
    out: Out = None,
    resume: Resume = False,
    from_run: From = None,
    tiny: Tiny = False,
    time_limit: Limit = None,
    seeds: Seeds = None,
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
    from tacit.train.session import train_together

    at = int(step) if step is not None else resume or None
    with told_when_stopped():
        if seeds is None:
            folders = [
                run(words[0], words[1:], out=out, resume=at, from_run=from_run, tiny=tiny, time_limit=time_limit)
            ]
        else:
            given = [*words[1:], *([f"model.path={from_run}"] if from_run else [])]
            chosen = _seeds(seeds)
            folders = _folders(words[0], out, chosen)
            train_together(words[0], given, chosen, folders, resume=at, tiny=tiny, time_limit=time_limit)
    if os.environ.get("RANK", "0") == "0":
        print(*folders, sep="\n")
    if any(RunFolder(folder).manifest().get("status") != "finished" for folder in folders):
        raise typer.Exit(INTERRUPTED)


def _seeds(given: str) -> list[int]:
    words = [word.strip() for word in given.split(",")]
    if not all(word.isdecimal() for word in words) or len(set(words)) < len(words):
        raise typer.BadParameter(f"{given}: write different whole numbers with commas between them, such as 0,1,2")
    return [int(word) for word in words]


def _folders(recipe: str, out: str | None, seeds: list[int]) -> list[Path]:
    from tacit.recipe.sources import default_folder

    pattern = out or f"{default_folder(Path(recipe).with_suffix('').as_posix())}-{{seed}}"
    if "{seed}" not in pattern:
        raise typer.BadParameter(f"--out {pattern}: several seeds need several folders; write {pattern}-{{seed}}")
    return [Path(pattern.replace("{seed}", str(seed))) for seed in seeds]
