"""The picture of a run over texts: how well it predicts them, behind thoughts and without, from evaluation to evaluation."""

from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, figure
from tacit.study.runs import PREFIX, Run

NLL = f"{PREFIX}nll"
LABEL = "nats a token"
CURVES = {
    "nll": "nll",
    "mixed_nll": "mixed_nll: behind a mixture of thoughts",
    "steady_nll": "steady_nll: no state is drawn",
    "null_nll": "null_nll: behind no thought",
    "swapped_nll": "swapped_nll: behind another place's thought",
    "base_nll": "base_nll: the text alone",
}
"""What a curve shows, in the order of the legend."""


def has_nats(run: Run) -> bool:
    """Whether texts were predicted at two steps, so that there is a curve."""
    return len({line["step"] for line in _read(run)}) > 1


def _read(run: Run) -> list[dict[str, Any]]:
    return [line for line in run.evaluations if NLL in line]


def nats_curve(axis: Any, run: Run, color: str, label: str = "", name: str = "nll") -> None:
    lines = [line for line in _read(run) if f"{PREFIX}{name}" in line]
    steps, values = [line["step"] for line in lines], [line[f"{PREFIX}{name}"] for line in lines]
    axis.plot(steps, values, color=color, linewidth=1.6, marker="o", markersize=3.5, label=label)
    axis.set_xlim(left=0)


def draw_nats(run: Run, file: Path) -> Path:
    told = {key.removeprefix(PREFIX) for line in _read(run) for key in line}
    shown = [name for name in CURVES if name in told]
    with figure(file, size=(7, 3.8)) as axis:
        for color, name in reversed(list(zip(COLORS, shown))):  # nll above all others
            nats_curve(axis, run, color, CURVES[name], name)
        axis.set(title=f"{run.name}: texts of the evaluation", xlabel="optimizer step", ylabel=LABEL)
        if len(shown) > 1:
            handles, labels = axis.get_legend_handles_labels()
            axis.legend(handles[::-1], labels[::-1], fontsize=8)
    return file
