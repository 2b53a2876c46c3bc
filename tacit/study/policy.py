"""Two pictures of learning how long to think: what a policy does from step to step, and how long it thinks about what."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, FAINT, figure, percent
from tacit.study.runs import Run

KIND = "latents/"
"""Before the kind of a question, in the numbers of an evaluation."""
PANELS: tuple[tuple[str, dict[str, str], str], ...] = (
    ("reward of an answer", {"reward": "mean ± deviation within a group"}, "reward_std"),
    ("length of thought", {"latents": "silent steps", "length": "silent and written"}, "length_std"),
    ("share of answers", {"right": "right", "well_formed": "in the asked form", "cut_off": "cut off"}, ""),
    (
        "nats",
        {"entropy": "entropy of a choice", "stop_entropy": "entropy of stopping", "kl": "from the start (KL)"},
        "",
    ),
    (
        "share of groups",
        {"all_alike": "all rewards alike", "none_right": "no answer right", "all_right": "all right"},
        "",
    ),
    ("of an update", {"grad_norm": "norm of the gradient", "clipped": "share of choices clipped"}, ""),
)
"""What each panel shows; groups that teach nothing, entropy near zero and a large distance are how a policy collapses."""


def has_policy(run: Run) -> bool:
    """Whether answers were rewarded."""
    return any("reward" in line for line in run.training)


def draw_policy(run: Run, file: Path) -> Path:
    lines = [line for line in run.training if "reward" in line]
    steps = [line["step"] for line in lines]
    shape = {"sharex": True}
    with figure(file, 3, 2, size=(9.4, 7.6), **shape) as axes:
        for axis, (title, names, spread) in zip(axes.flat, PANELS):
            shown = [(name, words) for name, words in names.items() if name in lines[0]]
            for number, (name, words) in enumerate(shown[:3]):
                values = [line.get(name, 0.0) for line in lines]
                axis.plot(steps, values, color=COLORS[number], linewidth=1.4, label=words)
                if number == 0 and spread in lines[0]:
                    around = [line.get(spread, 0.0) for line in lines]
                    low, high = ([v + sign * a for v, a in zip(values, around)] for sign in (-1, 1))
                    axis.fill_between(steps, low, high, color=COLORS[0], alpha=0.15, linewidth=0)
            axis.set_ylabel(title)
            axis.margins(y=0.12)
            axis.set_ylim(bottom=min(0.0, axis.get_ylim()[0]))
            if title.startswith("share"):
                percent(axis)
            if shown:
                axis.legend(fontsize=8)
        for axis in axes[-1]:
            axis.set_xlabel("optimizer step")
        axes[0][0].set_title(f"{run.name}: answers and what they earn")
    return file


def kinds(run: Run) -> list[str]:
    """The kinds of questions for which lengths were told, shorter names before longer ones."""
    if not run.answered:
        return []
    return sorted((key.removeprefix(KIND) for key in run.result() if key.startswith(KIND)), key=lambda k: (len(k), k))


def draw_lengths(runs: Sequence[Run], file: Path) -> Path:
    """Silent steps by kind of question above, accuracy below: one line for each run."""
    shape: dict[str, Any] = {"height_ratios": [3, 2]}
    with figure(file, 2, 1, size=(7.4, 5.2), sharex=True, gridspec_kw=shape) as (above, below):
        for number, run in enumerate(runs):
            found, names = run.result(), kinds(run)
            color = COLORS[number] if number < len(COLORS) else FAINT
            style: dict[str, Any] = {"color": color, "marker": "o", "markersize": 4, "linewidth": 1.6}
            above.plot(names, [found[f"{KIND}{name}"] for name in names], label=run.name, **style)
            right = [found.get(f"accuracy/{name}", float("nan")) for name in names]
            below.plot(names, right, **style)
        above.set(title="length of thought by kind of question", ylabel="silent steps")
        above.set_ylim(bottom=0)
        above.legend(fontsize=8)
        below.set(xlabel="kind of question", ylabel="accuracy")
        percent(below)
    return file
