"""The benchmarks of the repository. They are scripts beside the package, not part of it: an installed wheel has none."""

import ast
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from tacit.errors import TacitError
from tacit.registry import nearest

FOLDER = Path(__file__).resolve().parent.parent / "benchmarks"
ENTRY = "report"
"""The function of a benchmark that measures and returns its rows."""


def benchmarks() -> dict[str, str]:
    """Names with one line each. The scripts are parsed and not run."""
    found = {}
    for file in sorted(FOLDER.glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == ENTRY for node in tree.body):
            found[file.stem.replace("_", "-")] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def run(name: str) -> list[dict[str, Any]]:
    """The rows of a benchmark: name, size, ours, floor, ratio, unit, threads. It prints them as they come."""
    known = benchmarks()
    if name not in known:
        where = f"Known: {', '.join(known)}" if known else f"There are none in {FOLDER}; use a clone of the repository"
        raise TacitError(f"there is no benchmark called {name!r}{nearest(name, known)}. {where}")
    if str(FOLDER.parent) not in sys.path:
        sys.path.insert(0, str(FOLDER.parent))
    return getattr(import_module(f"{FOLDER.name}.{name.replace('-', '_')}"), ENTRY)()
