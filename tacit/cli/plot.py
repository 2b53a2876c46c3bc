"""`tacit plot`: every picture again, from result files."""

from pathlib import Path
from typing import Annotated

import typer

Place = Annotated[Path, typer.Argument(metavar="RUN|DIR", help="A run, a folder with runs, or one with result pages.")]


def plot(place: Place) -> None:
    """Draw the pictures of a run or of a folder."""
    from tacit.study.plot import plot

    for file in plot(place):
        print(file)
