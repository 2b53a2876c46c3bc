"""Runs on this machine, as processes of their own: one that fails or is stopped takes no other with it."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

from tacit.whole import make_folder


class Job(NamedTuple):
    """One command and where its output goes."""

    name: str
    words: Sequence[str]
    """Arguments of `tacit`."""
    log: Path


def run_local(jobs: Sequence[Job], at_once: int, done: Callable[[str, int], None]) -> None:
    """Run commands, `at_once` at a time. `done(name, exit code)` is called as each ends.

    An interrupt reaches the processes that are under way, which save and stop; those that wait are not started.
    """
    with ThreadPoolExecutor(at_once) as pool:
        started = {pool.submit(_run, job, at_once): job for job in jobs}
        try:
            for future in as_completed(started):
                done(started[future].name, future.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise


def _run(job: Job, at_once: int) -> int:
    threads = str(max(1, (os.cpu_count() or 1) // at_once))
    environment = {"OMP_NUM_THREADS": threads, **os.environ} if at_once > 1 else dict(os.environ)
    make_folder(job.log.parent)
    with job.log.open("a", encoding="utf-8") as log:
        command = [sys.executable, "-m", "tacit", *job.words]
        return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, env=environment).returncode
