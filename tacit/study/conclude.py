"""What runs that belong together came to: a table of all, accuracy by stage, pictures. Made from their files alone."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit.study.compare import cell, compare, filled
from tacit.study.plot import plot_run
from tacit.study.runs import PREFIX, Run
from tacit.whole import write_whole

TABLE, TEST = "table.md", "test.json"


def conclude(folders: Sequence[Path], *, say: Callable[[str], None] = print) -> Path:
    """Draws the pictures of every run and writes the table into the folder of the last; the table's file."""
    runs = [Run(Path(folder)) for folder in folders]
    pictures = [picture for run in runs for picture in plot_run(run)]
    words = table(runs)
    file = runs[-1].folder / TABLE
    write_whole(file, words)
    say(words)
    say("written: " + ", ".join(map(str, [file, *pictures])))
    return file


def table(runs: Sequence[Run]) -> str:
    """The runs side by side, and the stages of each that has several, in Markdown."""
    rows = compare(runs)
    names = [name for name in filled(rows) if name != "stderr"]
    tested = [_test(run) for run in runs]
    more = ["test"] if any(tested) else []
    lines = [_row([*names, *more]), _row(["---"] * (len(names) + len(more)))]
    for row, test in zip(rows, tested):
        lines.append(_row([cell(name, row) for name in names] + ([test or "–"] if more else [])))
    for run in runs:
        lines += _stages(run)
    return "\n".join(lines) + "\n"


def _test(run: Run) -> str:
    file = run.folder / TEST
    if not file.is_file():
        return ""
    import json

    found = json.loads(file.read_text(encoding="utf-8"))
    if "accuracy" not in found:  # texts ask nothing
        return f"{found['nll']:.4f} nats"
    return f"{found['accuracy']:.1%} ± {found['stderr']:.1%}"


def _stages(run: Run) -> list[str]:
    """The last evaluation of every stage."""
    last: dict[int, dict[str, Any]] = {line["stage"]: line for line in run.answered if line.get("stage") is not None}
    if len(last) < 2:
        return []
    shown = ("accuracy", "latents_mean", "written_steps_mean", "thought_tokens_mean", "cot_match")
    names = [name for name in shown if any(f"{PREFIX}{name}" in line for line in last.values())]
    lines = ["", f"{run.name}, at the end of each stage:", "", _row(["stage", "step", *names])]
    lines.append(_row(["---"] * (2 + len(names))))
    for stage, line in last.items():
        cells = [f"{value:.3g}" if (value := line.get(f"{PREFIX}{name}")) is not None else "–" for name in names]
        lines.append(_row([str(stage), str(line["step"]), *cells]))
    return lines


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
