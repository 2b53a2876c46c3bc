"""A trained run is asked once more in other ways: with a given number of silent steps, with the thoughts of other questions."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from tacit.study.runs import Run
from tacit.whole import write_whole

FILE = "asked.json"
Evaluate = Callable[..., Any]
"""(run folder, options of tacit.evaluate) -> a report."""


def asked(run: Run, ways: Mapping[str, Mapping[str, Any]], evaluate: Evaluate) -> dict[str, dict[str, float]]:
    """The numbers of every way of asking, by its name. They are kept in the run folder one by one, so nothing is asked
    twice, also when this was interrupted."""
    file = run.folder / FILE
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    for name, options in ways.items():
        if known.get(name, {}).get("options") == dict(options):
            continue
        known[name] = {"options": dict(options), "metrics": evaluate(run.folder, **options).metrics()}
        write_whole(file, json.dumps(known, indent=1) + "\n")
    return {name: known[name]["metrics"] for name in ways}
