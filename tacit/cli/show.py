"""`tacit show`: the resolved recipe and where each value came from; the schema and the help of its fields."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tacit.cli.arguments import Overrides, Tiny

if TYPE_CHECKING:
    from tacit.recipe import Loaded

RecipeName = Annotated[str | None, typer.Argument(metavar="RECIPE", help="A name from tacit ls, or a YAML file.")]
Schema = Annotated[bool, typer.Option("--schema", help="Print the JSON schema of recipes, for editors.")]
Field = Annotated[
    str | None,
    typer.Option(
        "--help-field", help="Explain a field or a group: train.lr, method.cot; with RECIPE also method.length."
    ),
]
Batch = Annotated[bool, typer.Option("--batch", help="Print the first batch token by token.")]
Estimate = Annotated[bool, typer.Option("--estimate", help="Estimate memory and time of a step.")]
Options = Annotated[
    Path | None, typer.Option("--options", metavar="FILE", help="A block of option variables instead of a recipe.")
]
Yaml = Annotated[bool, typer.Option("--yaml", help="Print YAML that runs again.")]


def show(
    recipe: RecipeName = None,
    overrides: Overrides = None,
    tiny: Tiny = False,
    batch: Batch = False,
    estimate: Estimate = False,
    options: Options = None,
    yaml: Yaml = False,
    schema: Schema = False,
    help_field: Field = None,
) -> None:
    """Show a recipe as it will run, and where each value was set."""
    import json

    from tacit.recipe import load
    from tacit.recipe.fields import help_text, json_schema

    if schema:
        print(json.dumps(json_schema(), indent=2))
    elif help_field:
        print(help_text(help_field, load(recipe, overrides or [], disk=False).recipe if recipe else None))
    elif recipe is None and options is None:
        raise typer.BadParameter("name a recipe; tacit ls recipes lists them")
    else:
        words = [recipe, *(overrides or [])] if recipe else []
        loaded = load(words[0], words[1:], tiny=tiny, disk=False) if options is None else of_block(options, words, tiny)
        if batch:
            from tacit.train.preview import first_batch

            print(first_batch(loaded.recipe))
        elif estimate:
            print_estimate(loaded)
        elif yaml:
            print(loaded.dump(), end="")
        else:
            print_table(loaded)


def of_block(file: Path, words: list[str], tiny: bool) -> "Loaded":
    """The recipe of a block of option variables, with overrides on top."""
    from tacit.compat.adaptive.plan import as_file, plan
    from tacit.compat.adaptive.variables import from_file
    from tacit.recipe import load

    made, loaded = plan(from_file(file), words)
    for note in made.notes:
        print(note, file=sys.stderr)
    if not tiny:
        return loaded
    with as_file(loaded) as whole:
        return load(whole, words, tiny=True, disk=False)


def print_estimate(loaded: "Loaded") -> None:
    from tacit.train import preview

    facts = preview.estimate(loaded.recipe)
    wide = max(map(len, facts))
    print("\n".join(f"{name:<{wide}}  {value}" for name, value in facts.items()))


def print_table(loaded: "Loaded") -> None:
    """One row per value, section by section; what nobody set is dim."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from tacit.recipe.faults import brief

    table = Table("field", "value", "set in", box=None, pad_edge=False, header_style="bold")
    last = ""
    for path, setting in loaded.values().items():
        section, _, field = path.partition(".")
        if field and section != last:
            table.add_row(Text(section, style="bold"))
        last = section
        style = "dim" if setting.origin == "default" else ""
        name, value = f"  {field}" if field else section, brief(setting.value, limit=100)
        table.add_row(Text(name, style), Text(value, style), Text(setting.origin, style))
    # A file or a pipe has no width to fit into; cutting values there would only lose them.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
