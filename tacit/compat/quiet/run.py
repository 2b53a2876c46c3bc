"""The published command: its runs are listed, or trained one after the other, seeds side by side."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit.compat.outcome import INTERRUPTED, exit_code
from tacit.compat.quiet.command import Command, read, refuse
from tacit.compat.quiet.plan import BASE, Plan, folder, plan
from tacit.recipe import Loaded, load
from tacit.recipe.faults import FaultyRecipe


def main(words: Sequence[str]) -> int:
    """Run a command line; the exit code."""
    return exit_code(lambda: _run(read(words)))


def resolved(command: Command) -> tuple[list[Plan], Loaded]:
    """Every run as a plan, and the first as a recipe. All faults of all runs are raised in one error."""
    plans, faults, judged = [], [], {}
    for options in command.runs:
        made = plan(options, command.same_widths)
        told = ", ".join(f"{name}={options[name]}" for name in command.varied if name != "seed")
        found = made.faults
        made.notes += [
            f"{name}: no effect with model_type={options['model_type']} and these options"
            for name in command.asked
            if name in made.unread
        ]
        made.values["run.folder"] = str(folder(made.values))
        made.values = {name: value for name, value in made.values.items() if value is not None or name in KEPT}
        plans.append(made)
        if not found and (same := _but_seed(made.values)) not in judged:
            try:
                judged[same] = load(BASE, made.values, disk=False)
            except FaultyRecipe as wrong:
                judged[same] = None
                found = [f"{fault.path}: {fault.sentence}" for fault in wrong.faults]
        faults += [f"{fault}{f' ({told})' if told else ''}" for fault in found]
    refuse(list(dict.fromkeys(faults)))
    return plans, next(iter(judged.values()))


PARTS = "model.parts"
KEPT = ("train.clip", "task.path")
"""Settings for which null is a value."""


def _run(command: Command) -> int:
    plans, first = resolved(command)
    for note in dict.fromkeys([*command.notes, *(note for made in plans for note in made.notes)]):
        print(note, file=sys.stderr)
    if command.dry_run:
        refuse(_missing(plans, inferred=False))
        _list(command, plans, first)
        return 0
    refuse(_missing(plans, inferred=True))
    for group in _in_order(_by_seed(plans)):
        if (code := _train(group)) != 0:
            return code
    return 0


def _missing(plans: Sequence[Plan], inferred: bool) -> list[str]:
    """What this machine lacks for any of the runs, but what earlier ones of them make: parts that are not there or do not
    fit. Without `inferred`, only parts that the command names are looked at."""
    own, judged, faults = {made.values["run.folder"] for made in plans}, set(), []
    for made in plans:
        skipped = {
            f"{PARTS}.{part}"
            for part, place in _parts(made).items()
            if place in own or (not inferred and part in made.inferred)
        }
        values = {name: value for name, value in made.values.items() if name not in skipped}
        parts = [name for name in values if name.startswith(PARTS)]
        same = _but_seed(values)
        if same in judged or not (parts or inferred):
            continue
        judged.add(same)
        try:
            load(BASE, values)
        except FaultyRecipe as wrong:
            faults += [f"{fault.path}: {fault.sentence}" for fault in wrong.faults if inferred or fault.path in parts]
    return list(dict.fromkeys(faults))


def _parts(made: Plan) -> dict[str, str]:
    return {name.rpartition(".")[2]: value for name, value in made.values.items() if name.startswith(PARTS)}


def _in_order(groups: Sequence[list[Plan]]) -> list[list[Plan]]:
    """Runs that others take their parts from come first."""
    own = {made.values["run.folder"] for group in groups for made in group}
    return sorted(groups, key=lambda group: any(place in own for made in group for place in _parts(made).values()))


def _list(command: Command, plans: Sequence[Plan], first: Loaded) -> None:
    """One line for each run; the whole recipe where there is but one."""
    for number, (options, made) in enumerate(zip(command.runs, plans), 1):
        told = " ".join(f"{name}={options[name]}" for name in command.varied)
        print(f"{number}/{len(plans)} {made.values['run.folder']} {told}".rstrip())
    if len(plans) == 1:
        print(first.dump(), end="")


def _but_seed(values: Mapping[str, Any]) -> str:
    return str({name: value for name, value in values.items() if name not in ("train.seed", "run.folder")})


def _by_seed(plans: Sequence[Plan]) -> list[list[Plan]]:
    groups: dict[str, list[Plan]] = {}
    for made in plans:
        groups.setdefault(_but_seed(made.values), []).append(made)
    return list(groups.values())


def _train(group: Sequence[Plan]) -> int:
    from tacit.train import train
    from tacit.train.folder import RunFolder
    from tacit.train.session import train_together

    folders = [Path(made.values["run.folder"]) for made in group]
    if len(group) > 1 and group[0].values["method.name"] == "quiet":
        seeds = [made.values["train.seed"] for made in group]
        train_together(BASE, _shared(group[0].values), seeds, folders, resume=True)
    else:
        for made in group:
            train(BASE, made.values, resume=True)
    print(*folders, sep="\n")
    done = all(RunFolder(place).manifest().get("status") == "finished" for place in folders)
    return 0 if done else INTERRUPTED


def _shared(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in ("train.seed", "run.folder")}
