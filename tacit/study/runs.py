"""A run folder as its files tell it: recipe, metrics, evaluations, graded rows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from tacit.errors import DataError, TacitError
from tacit.recipe.reader import flatten

METRICS, SAMPLES, PREFIX = "metrics.jsonl", "samples.jsonl", "eval/"
MARGIN = 0.01
"""Nats by which thoughts must beat their absence to count as used."""


@dataclass(frozen=True)
class Run:
    """One run folder."""

    folder: Path

    @property
    def name(self) -> str:
        return (self.recipe.get("run") or {}).get("name") or self.folder.name

    @cached_property
    def recipe(self) -> dict[str, Any]:
        file = self.folder / "recipe.yaml"
        return yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}

    def check_made_by(self, recipe: Mapping[str, Any]) -> None:
        """Refuse to take the run for one of another recipe: a folder may be left from an earlier attempt."""
        there, asked = ({p: s.value for p, s in flatten(dict(tree), "").items()} for tree in (self.recipe, recipe))
        other = [
            f"{path} is {there.get(path)!r} there and {asked.get(path)!r} here"
            for path in dict.fromkeys([*there, *asked])
            if path.partition(".")[0] not in ("run", "about") and there.get(path) != asked.get(path)
        ]
        if there and other:
            raise TacitError(
                f"{self.folder} holds a run with other settings: {'; '.join(other[:3])}{'; …' * (len(other) > 3)}. "
                "Name another folder, or remove this one"
            )

    @property
    def method(self) -> str:
        return (self.recipe.get("method") or {}).get("name", "")

    @cached_property
    def lines(self) -> list[dict[str, Any]]:
        return read_lines(self.folder / METRICS)

    @property
    def training(self) -> list[dict[str, Any]]:
        """The lines of optimizer steps."""
        return [line for line in self.lines if "loss" in line]

    @property
    def evaluations(self) -> list[dict[str, Any]]:
        """The lines of evaluations."""
        return [line for line in self.lines if any(key.startswith(PREFIX) for key in line)]

    @property
    def answered(self) -> list[dict[str, Any]]:
        """Those in which questions were answered; texts ask none."""
        return [line for line in self.evaluations if f"{PREFIX}accuracy" in line]

    def result(self) -> dict[str, float]:
        """The numbers of the last evaluation, without their prefix."""
        if not self.evaluations:
            raise TacitError(f"{self.folder} has no evaluation in {METRICS}: evaluate it, or train it to its end")
        return {key.removeprefix(PREFIX): v for key, v in self.evaluations[-1].items() if key.startswith(PREFIX)}

    def traced(self, wanted: Mapping[str, tuple[str, int]]) -> dict[str, float]:
        """Numbers of training at a step, under names of their own; what was not logged there is left out."""
        at = {line["step"]: line for line in self.training}
        return {name: at[step][key] for name, (key, step) in wanted.items() if key in at.get(step, {})}

    def starts(self, margin: float = MARGIN) -> int | None:
        """The first evaluation from which on thoughts are worth at least so much more than none; None where there is none."""
        first = None
        for line in self.evaluations:
            if f"{PREFIX}null_nll" in line:
                used = line[f"{PREFIX}null_nll"] - line[f"{PREFIX}nll"] >= margin
                first = (first or line["step"]) if used else None
        return first

    def verdicts(self) -> dict[str, list[bool]]:
        """For each question of the last evaluation, which of its answers were right; empty where rows were not kept."""
        file = self.folder / SAMPLES
        found: dict[str, list[bool]] = {}
        for row in read_lines(file) if file.is_file() else ():
            found.setdefault(row["id"], []).append(row["correct"])
        return found


def read_lines(file: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file. A last line that was cut off while it was written is left out."""
    # Strings may contain what str.splitlines takes for the end of a line.
    rows = file.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    found = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(json.loads(row))
        except json.JSONDecodeError as error:
            if number == len(rows):
                break
            raise DataError(f"{file}:{number}: not a JSON object: {error.msg}") from error
    return found


def find_runs(place: str | Path) -> list[Run]:
    """The run in a folder, or all runs below it."""
    folder = Path(place).expanduser()
    if not folder.is_dir():
        raise TacitError(f"there is no folder {place}")
    if (folder / METRICS).is_file():
        return [Run(folder)]
    return [Run(file.parent) for file in sorted(folder.rglob(METRICS))]
