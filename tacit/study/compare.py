"""Several runs side by side."""

from collections.abc import Sequence
from typing import Any

from tacit.study.runs import Run
from tacit.study.stages import by_stage

COLUMNS = (
    "run", "method", "steps", "accuracy", "stderr", "nll", "null_nll", "used", "thoughts", "forwards", "flops", "seconds"
)  # fmt: skip
"""nll and what follows, of texts: nats of a token, behind no thought, and how much worse behind another's; thoughts: silent and
written, of an answer, or the tokens of one before a token of a text; forwards and FLOPs of an answer; seconds of training."""
NATS = ("nll", "null_nll", "used")


def compare(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row for each run; None where a run does not say. Runs that share a name are told apart by their folders."""
    return [_row(run, name) for run, name in zip(runs, _names(runs))]


def compare_stages(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """One row for each stage of each run, and one for its end: the columns of `tacit.study.stages`."""
    return [row for run, name in zip(runs, _names(runs)) for row in by_stage(run, name)]


def _names(runs: Sequence[Run]) -> list[str]:
    names = [run.name for run in runs]
    return [name if names.count(name) == 1 else str(run.folder) for run, name in zip(runs, names)]


def _row(run: Run, name: str) -> dict[str, Any]:
    found = run.result() if run.evaluations else {}
    n = found.get("n")
    return {
        "run": name,
        "method": run.method or None,
        "steps": max((line["step"] for line in run.lines if "step" in line), default=None),
        "accuracy": found.get("accuracy"),
        "stderr": found.get("stderr"),
        **{name: found.get(name) for name in NATS},
        "thoughts": _thoughts(found),
        "forwards": found["forwards"] / n if n and "forwards" in found else None,
        "flops": found["flops"] / n if n and "flops" in found else None,
        "seconds": run.training[-1].get("seconds") if run.training else None,
    }


def _thoughts(found: dict[str, float]) -> float | None:
    if "latents_mean" in found:
        return found["latents_mean"] + found.get("thought_tokens_mean", 0)
    return found.get("thought_tokens")


def filled(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns that some row fills: questions and texts are judged by different ones."""
    return [name for name in COLUMNS if name == "run" or any(row.get(name) is not None for row in rows)]


def print_table(rows: Sequence[dict[str, Any]], more: Sequence[str] = (), columns: Sequence[str] | None = None) -> None:
    """The rows on the screen; `more` are columns of their own between the run and the rest, which are those that are filled."""
    import sys

    from rich.console import Console
    from rich.table import Table

    names = ["run", *more, *(name for name in (columns or filled(rows))[1:] if name != "stderr")]
    table = Table(*names, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(cell(name, row) for name in names))
    # A file or a pipe has no width to fit into.
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def cell(name: str, row: dict[str, Any]) -> str:
    value = row.get(name)
    if value is None:
        return "–"
    if name == "accuracy":
        return f"{value:.1%}" + (f" ± {row['stderr']:.1%}" if row.get("stderr") is not None else "")
    if name == "token_accuracy":
        return f"{value:.1%}"
    if name == "places":
        return " ".join(f"{share:.2f}" for share in value)
    if name in NATS:
        return f"{value:.4f}"
    if name == "ppl":
        return f"{value:.4g}"
    if isinstance(value, float):
        return f"{value:.3g}" if name == "flops" else f"{value:.1f}"
    return str(value)
