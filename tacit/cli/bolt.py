"""`tacit bolt`: infer the thoughts behind text, learn from them, repeat."""

from pathlib import Path
from typing import Annotated

import typer

bolt = typer.Typer(
    name="bolt",
    help="Infer the thoughts behind text, learn from them, repeat.",
    no_args_is_help=True,
    add_completion=False,
)

Words = Annotated[
    list[str], typer.Argument(metavar="RECIPE [K=V]...", help="A recipe with a section bolt, and changes to it.")
]
Out = Annotated[Path, typer.Option("--out", help="The folder of the pipeline.")]
Workers = Annotated[int, typer.Option("--workers", min=1, help="Processes that infer.")]
Place = Annotated[Path, typer.Argument(metavar="ROUND", help="A round's folder, in which a plan lies.")]


@bolt.callback()
def _group() -> None:
    """Infer the thoughts behind text, learn from them, repeat."""


@bolt.command()
def run(words: Words, out: Out, workers: Workers = 1) -> None:
    """The whole pipeline: what is done already is not done again."""
    from tacit.bolt.pipeline import Pipeline

    Pipeline(words[0], words[1:], out, workers).run()


@bolt.command()
def work(place: Place) -> None:
    """Take shards of a round until none is left; start it as often as there are processors, anywhere that sees the folder."""
    from tacit.bolt.pipeline import work as take

    print(f"{take(place)} shards made here")
