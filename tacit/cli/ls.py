"""`tacit ls`: what there is, by name, with one line each. Nothing that is listed gets imported."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

import typer


class Kind(StrEnum):
    """What can be listed."""

    recipes = "recipes"
    methods = "methods"
    tasks = "tasks"
    bench = "bench"
    claims = "claims"


OneKind = Annotated[Kind | None, typer.Argument(help="One kind only.")]
Json = Annotated[bool, typer.Option("--json", help="A list of kind, name and about, for programs.")]


def ls(kind: OneKind = None, json: Json = False) -> None:
    """List names with one line each."""
    if json:
        from json import dumps

        kinds = [kind] if kind else list(Kind)
        rows = [{"kind": k, "name": name, "about": about} for k in kinds for name, about in listed(k).items()]
        print(dumps(rows, indent=1))
        return
    for chosen in [kind] if kind else Kind:
        rows = listed(chosen)
        indent = "" if kind else "  "
        if not kind:
            print(f"{chosen}:")
        width = max((len(name) for name in rows), default=0)
        for name, about in rows.items():
            print(f"{indent}{name:<{width}}  {about}".rstrip())


def listed(kind: Kind) -> Mapping[str, str]:
    """Names of a kind with what each is, in a line."""
    from tacit.bench import benchmarks
    from tacit.methods import METHODS
    from tacit.recipe.sources import abouts
    from tacit.registry import resolve
    from tacit.study.claims import CLAIMS
    from tacit.tasks import TASKS

    if kind is Kind.recipes:
        return abouts()
    if kind is Kind.bench:
        return benchmarks()
    if kind is Kind.claims:
        return {name: resolve(CLAIMS, name, "claim").expected for name in sorted(CLAIMS, key=_counted)}
    registry = {Kind.methods: METHODS, Kind.tasks: TASKS}[kind]
    return {name: summary(target) for name, target in sorted(registry.items())}


def _counted(name: str) -> list[tuple[int, str]]:
    """Sorts numbers in names by what they count: 2 before 10."""
    import re

    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]


def summary(target: Any) -> str:
    """The first line of a class's docstring. The source is parsed and not run: listing methods loads no torch."""
    import ast
    import inspect
    from importlib.util import find_spec
    from pathlib import Path

    if not isinstance(target, str):
        return (inspect.getdoc(target) or "").partition("\n")[0]
    module, _, name = target.partition(":")
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        return f"(module {module} is not installed)"
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name]
    docs = [ast.get_docstring(node) for node in [*classes, tree]]
    return next((doc for doc in docs if doc), "").partition("\n")[0]
