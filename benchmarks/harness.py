"""Compare contenders fairly: each in a fresh process on one thread, in turn, several rounds; CPU time, medians, ratios.

A fresh process each time, because the allocator's state after one contender changes the page faults of the next.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path


def timed(step: Callable[[], object], *, warmup: int = 3, steps: int = 9) -> dict[str, float]:
    """Median CPU and wall seconds of a step, and the peak memory of this process so far."""
    cpu, wall = [], []
    for i in range(warmup + steps):
        c, w = time.process_time(), time.perf_counter()
        step()
        if i >= warmup:
            cpu.append(time.process_time() - c)
            wall.append(time.perf_counter() - w)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu": statistics.median(cpu), "wall": statistics.median(wall), "peak_mb": peak}


def compare(script: str, size: str, contenders: Sequence[str], rounds: int = 3) -> dict[str, dict[str, float]]:
    """Run `script --one size contender` for every contender, in turn; the median of each figure."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    environment = dict(os.environ, OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    environment["PYTHONPATH"] = os.pathsep.join([str(Path(script).parent.parent), environment.get("PYTHONPATH", "")])
    for _ in range(rounds):
        for name in contenders:
            command = [sys.executable, script, "--one", size, name]
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            if done.returncode or not lines:
                raise RuntimeError(f"{name} at {size} failed:\n{done.stderr[-2000:]}")
            found[name].append(json.loads(lines[-1]))
    return {name: {k: statistics.median(r[k] for r in runs) for k in runs[0]} for name, runs in found.items()}


def row(
    name: str, size: str, ours: float, floor: float, unit: str, goal: float | None = None, more: bool = False
) -> dict:
    """One line of `tacit bench --json`. `more`: a larger ratio is better."""
    ratio = ours / floor
    out = {"name": name, "size": size, "ours": ours, "floor": floor, "ratio": ratio, "unit": unit, "threads": 1}
    if goal is not None:
        out |= {"goal": goal, "met": ratio >= goal if more else ratio <= goal}
    verdict = "" if goal is None else f"  goal {'≥' if more else '≤'} {goal:g}: {'met' if out['met'] else 'MISSED'}"
    print(f"{name:<34} {size:<26} {ours:>10.4g} / {floor:>10.4g} {unit:<14} = {ratio:6.3f}{verdict}", flush=True)
    return out


def main(
    about: str | None, report: Callable[..., list[dict]], one: Callable[[str, str], dict[str, float]], rounds: int = 3
) -> None:
    """The command line of a benchmark: the whole report, or one contender at one size in this process."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--one", nargs=2)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    if options.one:
        print(json.dumps(one(*options.one)))
        return
    rows = report(options.rounds)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1) + "\n")
