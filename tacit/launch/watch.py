"""What runs in other processes are doing, told from their files: a table that moves in a terminal, lines elsewhere."""

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console as Terminal
from rich.live import Live
from rich.table import Table

from tacit.study.runs import METRICS, PREFIX, Run
from tacit.train.console import EVERY, duration

LOOK = 1.0
"""Seconds between looks at the files of runs."""


@contextmanager
def watching(runs: Mapping[str, Path]) -> Iterator[None]:
    """Show how far the runs are until the block ends."""
    over = threading.Event()
    watcher = threading.Thread(target=_watch, args=(runs, over), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _watch(runs: Mapping[str, Path], over: threading.Event) -> None:
    terminal = Terminal(stderr=True, highlight=False)
    if terminal.is_terminal:
        with Live(console=terminal, refresh_per_second=4, transient=True) as live:
            while not over.wait(LOOK):
                live.update(_table(runs))
        return
    said = time.monotonic()
    while not over.wait(LOOK):
        if time.monotonic() - said >= EVERY:
            said = time.monotonic()
            for name, folder in runs.items():
                terminal.print(f"{name}: {', '.join(standing(folder).values())}", soft_wrap=True)


def _table(runs: Mapping[str, Path]) -> Table:
    told = {name: standing(folder) for name, folder in runs.items()}
    names = list(dict.fromkeys(key for values in told.values() for key in values))
    table = Table("", *names, box=None, pad_edge=False, header_style="bold")
    for name, values in told.items():
        table.add_row(name, *(values.get(key, "") for key in names))
    return table


def standing(folder: Path) -> dict[str, str]:
    """Where a run is, in words."""
    run = Run(folder)
    if not (folder / METRICS).is_file() or not run.training:
        return {"step": "starting"}
    last, steps = run.training[-1], (run.recipe.get("train") or {}).get("steps")
    told = {"step": f"step {last['step']}/{steps or '?'}"}
    if last.get("stage") != run.training[0].get("stage"):  # the number of an only stage tells nothing
        told["stage"] = f"stage {last['stage']}"
    if run.answered:
        told["accuracy"] = f"accuracy {run.answered[-1][f'{PREFIX}accuracy']:.1%}"
    if steps:
        told["left"] = f"{duration(last['seconds'] / last['step'] * (steps - last['step']))} left"
    return told
