"""`tacit check`: every fault of every recipe, before anything runs."""

import sys
from typing import Annotated

import typer

RecipesAndOverrides = Annotated[
    list[str], typer.Argument(metavar="RECIPE|K=V", help="Names or YAML files, and overrides for all of them.")
]


def check(words: RecipesAndOverrides) -> None:
    """Find all faults of recipes without running them."""
    from tacit.errors import TacitError
    from tacit.recipe import load

    recipes = [word for word in words if "=" not in word]
    overrides = [word for word in words if "=" in word]
    if not recipes:
        raise typer.BadParameter("name at least one recipe")
    good = True
    for recipe in recipes:
        try:
            load(recipe, overrides)
            print(f"ok  {recipe}")
        except TacitError as error:
            good = False
            print(error, file=sys.stderr)
    if not good:
        raise typer.Exit(1)
