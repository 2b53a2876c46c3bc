"""How every picture of the project looks: made from numbers, without a display, written whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tacit.whole import beside

INK, MUTED, FAINT = "#1f2933", "#7b8794", "#cbd2d9"
COLORS = ("#2f6fab", "#d1603d", "#4f9d69", "#8f5fa8", "#c7932b", "#5b7083")
STYLE: dict[Any, Any] = {
    "figure.dpi": 150,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#eef1f4",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}


@contextmanager
def figure(file: Path, rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> Iterator[Any]:
    """Axes to draw on; the picture is in the file when the block ends."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    with matplotlib.rc_context(STYLE):
        picture, axes = pyplot.subplots(rows, columns, figsize=size, **options)
        try:
            yield axes
            file.parent.mkdir(parents=True, exist_ok=True)
            with beside(file) as partial:
                picture.savefig(partial, format="png", metadata={"Software": None})
        finally:
            pyplot.close(picture)


def percent(axis: Any) -> None:
    """An axis of shares from none to all."""
    from matplotlib.ticker import PercentFormatter

    axis.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axis.set_ylim(-0.02, 1.02)


def thousands(axis: Any) -> None:
    """Steps are easier to read with their thousands set apart."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
