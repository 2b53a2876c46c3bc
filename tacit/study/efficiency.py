"""How far examples go: what runs reached with so many training examples each, and how likely right answers became."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, figure, percent, thousands
from tacit.study.runs import PREFIX, Run

ACCURACY, NLL = f"{PREFIX}accuracy", f"{PREFIX}nll"


def examples_of(run: Run) -> int | None:
    """How many examples a run learned from at most, as its recipe says; None where the recipe sets no number."""
    set_ = [(run.recipe.get(part) or {}).get(name) for part, name in (("train", "limit"), ("task", "train_rows"))]
    return min((count for count in set_ if isinstance(count, int)), default=None)


def curves(runs: Sequence[Run]) -> dict[str, dict[int, list[dict[str, Any]]]]:
    """The last evaluations of runs that answered questions, by method and by number of training examples."""
    found: dict[str, dict[int, list[dict[str, Any]]]] = {}
    for run in runs:
        count = examples_of(run)
        if count is not None and run.answered:
            found.setdefault(run.method or run.name, {}).setdefault(count, []).append(run.answered[-1])
    return found


def draw_efficiency(runs: Sequence[Run], file: Path) -> list[Path]:
    """Accuracy, and where it was measured the likelihood of answers, against the number of examples; a curve for each method,
    through the means of its runs. Nothing where no method had several."""
    found = {method: counts for method, counts in curves(runs).items() if len(counts) > 1}
    if not found:
        return []
    every = [line for counts in found.values() for lines in counts.values() for line in lines]
    panels = [
        (ACCURACY, "accuracy"),
        *([(NLL, "nats of an answer's token")] if any(NLL in line for line in every) else []),
    ]
    with figure(file, 1, len(panels), size=(4.6 * len(panels) + 1, 3.8), squeeze=False) as axes:
        for axis, (key, title) in zip(axes[0], panels):
            for color, (method, counts) in zip(COLORS * len(found), sorted(found.items())):
                points = {n: [line[key] for line in lines if key in line] for n, lines in sorted(counts.items())}
                points = {n: values for n, values in points.items() if values}
                means = [sum(values) / len(values) for values in points.values()]
                axis.plot(list(points), means, color=color, marker="o", markersize=4, linewidth=1.6, label=method)
                each = [(n, value) for n, values in points.items() for value in values if len(values) > 1]
                axis.scatter([n for n, _ in each], [value for _, value in each], s=9, color=color, alpha=0.5)
            axis.set(title=title, xlabel="training examples", xscale="log")
            thousands(axis.xaxis)
            if key == ACCURACY:
                percent(axis)
        axes[0][0].legend()
    return [file]
