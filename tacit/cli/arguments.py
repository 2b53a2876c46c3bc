"""Arguments that several verbs share."""

from typing import Annotated

import typer

Overrides = Annotated[list[str] | None, typer.Argument(metavar="K=V", help="Dotted overrides: train.lr=1e-4")]
Tiny = Annotated[
    bool, typer.Option("--tiny", help="Two layers, 32 examples, two steps: the whole recipe in seconds, on a CPU.")
]
