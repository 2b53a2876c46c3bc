"""Many numbers of many arms as a picture: a row for each arm, a column for each number, the darker the more."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, INK, MUTED, figure

Cells = Mapping[str, Mapping[str, Sequence[float]]]
"""By column and row, a value for each seed."""


def draw_grid(title: str, corner: str, cells: Cells, rows: Sequence[str], shares: bool, file: Path) -> Path:
    """Each cell tells its mean, and under it the least and the greatest where seeds differ."""
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    shade = LinearSegmentedColormap.from_list("share", ["#ffffff", COLORS[0]])
    names = list(cells)
    everything = [value for column in cells.values() for values in column.values() for value in values]
    scale = Normalize(0, 1) if shares else Normalize(min(everything), max(everything))
    size = (max(4.4, 2.2 + 1.25 * len(names)), 1.1 + 0.46 * len(rows))
    with figure(file, size=size) as axis:
        for x, name in enumerate(names):
            for y, row in enumerate(rows):
                _cell(axis, x, y, cells[name].get(row, ()), shade, scale, shares)
        axis.set(title=title, xlim=(-0.5, len(names) - 0.5), ylim=(len(rows) - 0.5, -0.5))
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(rows)), rows)
        axis.xaxis.tick_top()
        axis.tick_params(length=0)
        axis.grid(False)
        axis.spines[:].set_visible(False)
        axis.set_xlabel(corner, fontsize=8, color=MUTED, loc="right")
    return file


def _cell(axis: Any, x: int, y: int, values: Sequence[float], shade: Any, scale: Any, shares: bool) -> None:
    if not values:
        axis.annotate("–", (x, y), ha="center", va="center", color=INK)
        return
    mean, told = sum(values) / len(values), _share if shares else _number
    axis.fill(
        [x - 0.48, x + 0.48, x + 0.48, x - 0.48], [y - 0.46, y - 0.46, y + 0.46, y + 0.46], color=shade(scale(mean))
    )
    ink = "white" if scale(mean) > 0.6 else INK
    least, most = told(min(values)), told(max(values))
    apart = least != most
    axis.annotate(told(mean), (x, y - 0.14 * apart), ha="center", va="center", color=ink)
    if apart:
        axis.annotate(f"{least} to {most}", (x, y + 0.26), ha="center", va="center", color=ink, fontsize=7)


def _share(value: float) -> str:
    return f"{value:.1%}"


def _number(value: float) -> str:
    return f"{value:.3g}"
