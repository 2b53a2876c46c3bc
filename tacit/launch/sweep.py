"""A grid of runs of one recipe: each in a folder of its own, resumable, and one table at the end."""

import csv
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit.errors import TacitError
from tacit.launch.grid import Point, grid
from tacit.launch.local import Job, run_local
from tacit.recipe import load
from tacit.registry import resolve
from tacit.study.compare import COLUMNS, compare
from tacit.study.runs import METRICS, Run

PLACES: dict[str, object] = {"local": run_local}
TABLE = "sweep"
FAILED = "failed"
INTERRUPTED = 130


def sweep(
    recipe: str,
    words: Sequence[str],
    *,
    out: Path | None = None,
    on: str = "local",
    at_once: int = 1,
    together: bool = False,
    say: Callable[[str], None] = print,
) -> list[dict[str, Any]]:
    """Train every point of the grid that is not trained yet; the table, also written as JSON and CSV.

    All recipes are checked before the first run starts. A run that fails is named in the end; the others go on. `together`:
    runs that differ in the seed only are one job, which trains them side by side.
    """
    launch = resolve(PLACES, on, "place to run")
    points = grid(words)
    folder = out or Path("runs") / f"sweep-{Path(recipe).with_suffix('').as_posix().strip('/').replace('/', '-')}"
    for point in points:
        wanted = load(recipe, list(point.words)).recipe
        Run(folder / point.name).check_made_by(wanted.model_dump(mode="json"))
    waiting = [point for point in points if not finished(folder / point.name)]
    say(f"{len(points)} runs in {folder}; {len(points) - len(waiting)} of them are there already")
    jobs = _teams(recipe, waiting, folder) if together else [_job(recipe, point, folder) for point in waiting]
    failed: dict[str, Path] = {}
    logs = {job.name: job.log for job in jobs}

    def done(name: str, code: int) -> None:
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        if code:
            failed[name] = logs[name]
        say(f"{name}: {'done' if code == 0 else f'{FAILED} with exit code {code}, see {logs[name]}'}")

    launch(jobs, at_once, done)
    rows = table(points, folder)
    write_table(rows, folder)
    if failed:
        listed = "".join(f"\n  {name}: {_last_line(log)}" for name, log in failed.items())
        raise TacitError(f"{len(failed)} of {len(points)} runs failed; the same command tries them again:{listed}")
    return rows


def _job(recipe: str, point: Point, folder: Path) -> Job:
    words = ["train", recipe, *point.words, "--out", str(folder / point.name), "--resume"]
    return Job(point.name, words, folder / "logs" / f"{point.name}.log")


SEED = "train.seed"


def _teams(recipe: str, points: Sequence[Point], folder: Path) -> list[Job]:
    """One job for all points that differ in the seed only."""
    groups: dict[tuple[str, ...], list[Point]] = {}
    for point in points:
        if SEED not in point.varied:
            raise TacitError(f"side by side stand runs of several seeds; write {SEED}=0,1,2 with --together")
        groups.setdefault(tuple(word for word in point.words if not word.startswith(f"{SEED}=")), []).append(point)
    jobs = []
    for words, members in groups.items():
        seeds = ",".join(point.varied[SEED] for point in members)
        name = _pattern(members)
        if name is None:  # a name so long that its seed is cut off
            jobs += [_job(recipe, point, folder) for point in members]
            continue
        command = ["train", recipe, *words, "--seeds", seeds, "--out", str(folder / name), "--resume"]
        jobs.append(Job(name, command, folder / "logs" / f"{name.replace('{seed}', seeds)}.log"))
    return jobs


def _pattern(members: Sequence[Point]) -> str | None:
    """The name that `{seed}` turns into that of every member: other settings may have a seed in theirs."""
    first = members[0]
    for found in re.finditer(rf"(?:^|_)(?:train\.)?seed=({re.escape(first.varied[SEED])})(?=_|~|$)", first.name):
        pattern = first.name[: found.start(1)] + "{seed}" + first.name[found.end(1) :]
        if all(pattern.replace("{seed}", point.varied[SEED]) == point.name for point in members):
            return pattern
    return None


def finished(folder: Path) -> bool:
    return (folder / "final").is_dir()


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"nothing was said; see {log}"


def table(points: Sequence[Point], folder: Path) -> list[dict[str, Any]]:
    """One row for each run that has begun, with what makes it different from the others."""
    begun = [point for point in points if (folder / point.name / METRICS).is_file()]
    rows = compare([Run(folder / point.name) for point in begun])
    return [{**row, "run": point.name, **point.varied} for point, row in zip(begun, rows)]


def write_table(rows: Sequence[dict[str, Any]], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{TABLE}.json").write_text(json.dumps(list(rows), indent=1) + "\n", encoding="utf-8")
    names = list(dict.fromkeys(name for row in rows for name in row)) or list(COLUMNS)
    with (folder / f"{TABLE}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
