"""`tacit --version`: what a report of a fault should say."""

from typing import Annotated

import typer

LIBRARIES = ("torch", "transformers", "tokenizers", "accelerate", "peft", "datasets")


def told(asked: bool) -> None:
    """Versions are read from what is installed; nothing is imported."""
    if not asked:
        return
    from importlib.metadata import PackageNotFoundError, version
    from platform import python_version

    from tacit import __version__

    print(f"tacit {__version__}, python {python_version()}")
    for name in LIBRARIES:
        try:
            print(f"{name} {version(name)}")
        except PackageNotFoundError:
            print(f"{name} is not installed")
    raise typer.Exit


Version = Annotated[bool, typer.Option("--version", callback=told, is_eager=True, help="Show versions and exit.")]


def options(version: Version = False) -> None:
    """Language models that think without writing it down."""
