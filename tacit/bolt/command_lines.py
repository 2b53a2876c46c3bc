"""Command lines of tacit: printed, or run. What `--mode cat` prints is what `--mode run` runs."""

import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from tacit.errors import TacitError


class Mode(StrEnum):
    """What becomes of a step."""

    cat = "cat"
    run = "run"
    launch = "launch"


@dataclass(frozen=True)
class Line:
    """A command line of tacit, in one process or in several that share the work."""

    words: tuple[str, ...]
    processes: int = 1

    def shown(self) -> str:
        told = shlex.join(["tacit", *self.words])
        return told if self.processes == 1 else "\n".join([f"{told} &"] * self.processes + ["wait"])


def line(*words: object, processes: int = 1) -> Line:
    return Line(tuple(map(str, words)), processes)


def do(lines: Sequence[Line], mode: Mode) -> None:
    """Print the lines, or run them one after the other."""
    if mode is Mode.launch:
        raise TacitError(
            "launch gives a step to a cluster, and tacit cannot talk to one yet; run does it here, and the lines of cat can "
            "stand in a job script of your own (tacit bolt work takes shards on any machine that sees the folder)"
        )
    for one in lines:
        if mode is Mode.cat:
            print(one.shown())
        else:
            _run(one)


@cache
def tacit() -> Any:
    """The command `tacit`. It takes longer to be made than a line to be read, so it is made once for all lines."""
    from typer.main import get_command

    from tacit.cli import app

    return get_command(app)


def _run(one: Line) -> None:
    if one.processes == 1:
        code = tacit().main(list(one.words), prog_name="tacit", standalone_mode=False)
        if isinstance(code, int) and code:
            raise SystemExit(code)
        return
    running = [subprocess.Popen([sys.executable, "-m", "tacit", *one.words]) for _ in range(one.processes)]
    try:
        codes = [process.wait() for process in running]
    except KeyboardInterrupt:  # they were told too, and end what they have begun
        for process in running:
            process.wait()
        raise
    # One that dies is missed by nobody: the others take its shards over.
    if all(codes):
        raise TacitError(f"all {one.processes} worker processes failed (exit codes {codes}); the reason stands above")
