"""Two pictures of a run that stand for themselves: accuracy while written thoughts disappear, and which places of the answer
are hard."""

from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, FAINT, INK, figure, percent, thousands
from tacit.study.runs import PREFIX, Run
from tacit.study.stages import KINDS, places, stage_starts

ACCURACY, WRITTEN, SILENT, OTHER = COLORS[0], COLORS[1], COLORS[2], COLORS[3]
NAMES = {"thought_tokens": "tokens written", "pauses": "pauses", "latents": "silent steps"}
ROOM = 1.3
"""The axis of tokens reaches so much higher than they do, so that most of the accuracy is drawn above them."""


def has_story(run: Run) -> bool:
    """Whether there is a curriculum, an evaluation, and a log that says what was written."""
    told = any("thought_tokens" in line for line in run.training)
    return told and bool(run.answered) and len(stage_starts(run)) > 1


def draw_story(run: Run, file: Path, control: Run | None = None) -> Path:
    """Accuracy by step before the staircase of tokens that are still written; that of a control beside it."""
    with figure(file, size=(8.6, 4.2)) as axis:
        beside = axis.twinx()
        axis.set_zorder(beside.get_zorder() + 1)  # the curve before the staircase
        axis.patch.set_visible(False)
        _thoughts(beside, run)
        if control is not None:
            _accuracy(axis, control, OTHER)
            at = (run.training[-1]["step"] * 0.985, control.result()["accuracy"])
            label(axis, f"{control.name}: {at[1]:.1%}", at, OTHER, offset=(0, -9), ha="right", va="top")
        _accuracy(axis, run, ACCURACY)
        last = run.result()
        axis.set_title(run.name)
        words = f"{last['accuracy']:.1%} right at the end, {_asked(last)}"
        label(axis, words, (1, 1), ACCURACY, offset=(0, 6), transform=axis.transAxes, ha="right", va="bottom")
        axis.set_xlabel("optimizer step")
        axis.set_xlim(0, run.training[-1]["step"])
        thousands(axis.xaxis)
    return file


def _asked(last: dict[str, float]) -> str:
    written, silent = last.get("thought_tokens_mean", 0.0), last.get("latents_mean", 0.0)
    words = f"{written:.3g} written tokens of thought" if written >= 0.05 else "no thought written"
    return words + (f", {silent:.3g} silent" if silent else "")


def _thoughts(axis: Any, run: Run) -> None:
    lines = [line for line in run.training if "thought_tokens" in line]
    steps = [line["step"] for line in lines]
    most = max(line.get(kind, 0.0) for line in lines for kind in KINDS) or 1.0
    written = [line["thought_tokens"] for line in lines]
    axis.fill_between(steps, written, step="post", color=WRITTEN, alpha=0.16, linewidth=0)
    axis.step(steps, written, where="post", color=WRITTEN, linewidth=1.2)
    label(axis, NAMES["thought_tokens"], (steps[-1] * 0.015, written[0] * 0.45), WRITTEN, va="center")
    for kind in KINDS[1:]:
        if any(line.get(kind) for line in lines):
            values = [line.get(kind, 0.0) for line in lines]
            axis.step(steps, values, where="post", color=SILENT, linewidth=1.2, linestyle=(0, (5, 2)))
            label(axis, NAMES[kind], (steps[-1], values[-1]), SILENT, offset=(-5, -5), ha="right", va="top")
    axis.set_ylim(-0.02 * most * ROOM, 1.02 * most * ROOM)  # its zero beside that of the accuracy
    axis.set_ylabel("tokens of thought in an example", color=WRITTEN)
    axis.set_yticks([tick for tick in axis.get_yticks() if 0 <= tick <= most * 1.001])
    axis.tick_params(axis="y", colors=WRITTEN, length=0)
    axis.grid(False)


def _accuracy(axis: Any, run: Run, color: str) -> None:
    lines = run.answered
    steps, shares = [line["step"] for line in lines], [line[f"{PREFIX}accuracy"] for line in lines]
    errors = [line.get(f"{PREFIX}stderr", 0.0) for line in lines]
    low, high = ([share + sign * error for share, error in zip(shares, errors)] for sign in (-1, 1))
    axis.axhline(shares[-1], color=color, linewidth=0.9, linestyle=(0, (1, 2)))
    axis.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    axis.plot(steps, shares, color=color, linewidth=1.8, marker="o" if len(steps) <= 30 else "", markersize=3.5)
    axis.plot(steps[-1:], shares[-1:], color=color, marker="o", markersize=6.5, clip_on=False)
    percent(axis)
    axis.set_ylabel("accuracy", color=ACCURACY)
    axis.tick_params(axis="y", colors=ACCURACY, length=0)


def label(
    axis: Any, words: str, at: tuple[float, float], color: str, offset=(0, 0), transform=None, **place: str
) -> None:
    """Words beside what they name, in its colour."""
    where = axis.transData if transform is None else transform
    white = {"boxstyle": "round,pad=0.15", "facecolor": "white", "alpha": 0.75, "linewidth": 0}
    axis.annotate(
        words, at, xycoords=where, xytext=offset, textcoords="offset points", color=color, fontweight="bold",
        fontsize=9, bbox=white, **place,
    )  # fmt: skip


def has_places(run: Run) -> bool:
    """Whether the places of answers were graded more than once."""
    return sum(bool(places(line)) for line in run.answered) > 1


def draw_places(run: Run, file: Path) -> Path:
    """A row for each place of the answer, a column for each evaluation; the last accuracy of each at the right."""
    from matplotlib.colors import LinearSegmentedColormap

    lines = [line for line in run.answered if places(line)]
    shares = [places(line) for line in lines]
    steps, count = [line["step"] for line in lines], len(shares[-1])
    edges = [max(0.0, 2 * steps[0] - steps[1]), *steps]
    grid = [[column[place] if place < len(column) else float("nan") for column in shares] for place in range(count)]
    between = 0.4 if len(lines) <= 60 else 0.0
    shades = LinearSegmentedColormap.from_list("accuracy", [WRITTEN, "#f6f1ea", ACCURACY, "#1c4670"])
    with figure(file, size=(8.6, max(2.6, 1.4 + 0.26 * count))) as axis:
        cells = axis.pcolormesh(
            edges, range(count + 1), grid, cmap=shades, vmin=0, vmax=1, edgecolors="white", linewidth=between
        )
        axis.invert_yaxis()
        middles = [place + 0.5 for place in range(count)]
        axis.set_yticks(middles, [str(place) for place in range(count)])
        axis.set(title=f"{run.name}: accuracy of each place of the answer, from first to last", xlabel="optimizer step")
        axis.set_ylabel("place")
        last = axis.secondary_yaxis("right")
        last.set_yticks(middles, [f"{share:.1%}" for share in shares[-1]])
        for side in (axis, last):
            side.tick_params(axis="y", length=0)
            side.spines[:].set_visible(False)
        axis.grid(False)
        axis.set_xlim(0, edges[-1])
        thousands(axis.xaxis)
        bar = axis.figure.colorbar(cells, ax=axis, pad=0.015, aspect=12, shrink=min(1.0, 2.2 / (0.26 * count)))
        percent(bar.ax)
        bar.ax.set_ylim(0, 1)
        bar.outline.set_edgecolor(FAINT)
        last.tick_params(axis="y", colors=INK)
    return file
