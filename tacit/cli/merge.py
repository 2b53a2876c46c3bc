"""`tacit merge`: a run with adapters becomes one plain model, here or on the hub."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, a checkpoint, a model folder or a hub id.")]
Folder = Annotated[Path | None, typer.Argument(metavar="[DIR]", help="Where the merged model goes.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Another way to write DIR.")]
Push = Annotated[str | None, typer.Option("--push", metavar="OWNER/NAME", help="Upload it, tokenizer included.")]
Public = Annotated[bool, typer.Option("--public", help="A repository that is new is public; else it is private.")]


def merge(run: Run, folder: Folder = None, out: Out = None, push: Push = None, public: Public = False) -> None:
    """Add a run's adapters to its base, in fp32, and save the whole model."""
    place = folder or out
    if (folder and out and folder != out) or not (place or push):
        raise typer.BadParameter("name one folder, DIR or --out DIR, or a repository, --push OWNER/NAME")

    from tacit.publish import check_repository, merge, needs_tacit
    from tacit.publish import push as upload

    if push:
        check_repository(push)
    with TemporaryDirectory() as temporary:
        target = place or Path(temporary) / "model"
        notes = [*merge(run, target), needs_tacit(target)]
        print("".join(f"{note}\n" for note in notes if note), end="", file=sys.stderr)
        if place:
            print(place)
        if push:
            print(upload(target, push, public))
