"""Numbers that follow each other, such as accuracies round by round, as a picture: a line for each arm, a thin one a seed."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, MUTED, figure, percent

Rows = Mapping[str, Sequence[Sequence[float]]]
"""By arm, a row of numbers for each seed."""


def draw_series(
    title: str,
    corner: str,
    steps: Sequence[str],
    over: str,
    rows: Rows,
    beside: Mapping[str, float],
    metric: str,
    file: Path,
) -> Path:
    """`beside`: arms that have one number only, the mean of their seeds, as dashed lines."""
    shares = metric in ("accuracy", "choice")
    labels: list[tuple[float, str, str]] = []
    with figure(file, size=(8.5, 4.2)) as axis:
        places = range(len(steps))
        for number, (arm, seeds) in enumerate(rows.items()):
            color = COLORS[number % len(COLORS)]
            for row in seeds:
                axis.plot(places, row, color=color, linewidth=0.8, alpha=0.45, marker="o", markersize=2.5)
            means = [sum(column) / len(column) for column in zip(*seeds)]
            axis.plot(places, means, color=color, linewidth=2.2)
            labels.append((means[-1], arm, color))
        for arm, value in beside.items():
            axis.plot([0, len(steps) - 1], [value, value], color=MUTED, linewidth=1.2, linestyle="--", zorder=1)
            labels.append((value, arm, MUTED))
        axis.set_xticks(places, steps)
        axis.set(title=title, xlabel=over, ylabel=f"{metric}; a thin line is a seed")
        if shares:
            percent(axis)
        _name_lines(axis, labels, len(steps) - 1)
        axis.annotate(corner, (1, 1), xycoords="axes fraction", ha="right", va="bottom", fontsize=8, color=MUTED)
    return file


def _name_lines(axis: Any, labels: Sequence[tuple[float, str, str]], end: float) -> None:
    """Each line's name at its end, one above the other where lines are close."""
    low, high = axis.get_ylim()
    apart, above = 0.052 * (high - low), float("-inf")
    for value, name, color in sorted(labels):
        place = max(value, above + apart)
        above = place
        axis.annotate(
            f"{name} {value:.3g}", (end, place), xytext=(8, 0), textcoords="offset points", va="center", fontsize=8,
            color=color, annotation_clip=False,
        )  # fmt: skip
    axis.set_xlim(-0.05 * end, 1.01 * end)
