"""The pictures of a run, of several runs, and of a claim: always from result files, so they can be made again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tacit.errors import TacitError
from tacit.study.efficiency import draw_efficiency
from tacit.study.figures import COLORS, FAINT, INK, figure, percent
from tacit.study.nats import LABEL, draw_nats, has_nats, nats_curve
from tacit.study.policy import draw_lengths, draw_policy, has_policy, kinds
from tacit.study.runs import PREFIX, Run, find_runs
from tacit.study.stages import last_evaluations, stage_name, stage_starts
from tacit.study.story import draw_places, draw_story, has_places, has_story

FOLDER = "plots"
NAMED, MARKED = 16, 64
"""So many stages can be named in a picture, and so many can be marked."""


def plot(place: str | Path) -> list[Path]:
    """Every picture of a run folder, of all runs below a folder, or of the result pages in it, with their index; the files."""
    from tacit.study.index import write_index
    from tacit.study.page import draw, pages

    folder = Path(place).expanduser()
    runs = find_runs(folder)
    files = [file for run in runs for file in plot_run(run)]
    if len(runs) > 1:
        files += _together([run for run in runs if run.answered], folder / FOLDER / "accuracy.png", _curve)
        files += _together([run for run in runs if has_nats(run)], folder / FOLDER / "nll.png", nats_curve)
        files += draw_efficiency(runs, folder / FOLDER / "examples.png")
        thinking = [run for run in runs if kinds(run)]
        files += [draw_lengths(thinking, folder / FOLDER / "lengths.png")] if len(thinking) > 1 else []
    found = list(pages(folder))
    files += [draw(page, file.with_suffix(".png")) for file, page in found]
    files += [write_index(folder)] if any(file.parent == folder for file, _ in found) else []
    if not files:
        raise TacitError(f"{place} holds no run with metrics.jsonl and no result page of a claim: nothing to draw")
    return files


def plot_run(run: Run) -> list[Path]:
    """The story of a curriculum, loss and learning rate, accuracy by step, by stage and by place, nats of texts, what a policy
    earns, how long thoughts are: what the run's metrics hold of these."""
    folder, files = run.folder / FOLDER, []
    if has_story(run):
        files.append(draw_story(run, folder / "story.png"))
    if run.training:
        files.append(_loss(run, folder / "loss.png"))
    if run.answered:
        files.append(_accuracy(run, folder / "accuracy.png"))
    if has_nats(run):
        files.append(draw_nats(run, folder / "nll.png"))
    if len({line["stage"] for line in run.answered if line.get("stage") is not None}) > 1:
        files.append(_stages(run, folder / "stages.png"))
    if has_places(run):
        files.append(draw_places(run, folder / "places.png"))
    if has_policy(run):
        files.append(draw_policy(run, folder / "policy.png"))
    if kinds(run):
        files.append(draw_lengths([run], folder / "lengths.png"))
    return files


def _loss(run: Run, file: Path) -> Path:
    lines = run.training
    steps = [line["step"] for line in lines]
    shape: dict[str, Any] = {"height_ratios": [3, 1]}
    with figure(file, 2, 1, size=(7, 4.6), sharex=True, gridspec_kw=shape) as (above, below):
        above.plot(steps, [line["loss"] for line in lines], color=COLORS[0], linewidth=1.2)
        above.set(title=f"{run.name}: loss", ylabel="loss of a learned token")
        if min(line["loss"] for line in lines) > 0:
            above.set_yscale("log")
        below.plot(steps, [line.get("lr") for line in lines], color=COLORS[1], linewidth=1.2)
        below.set(xlabel="optimizer step", ylabel="learning rate", ylim=(0, None))
        _mark_stages(run, above, below)
    return file


def _accuracy(run: Run, file: Path) -> Path:
    with figure(file, size=(7, 3.8)) as axis:
        _curve(axis, run, COLORS[0])
        axis.set(title=f"{run.name}: accuracy", xlabel="optimizer step", ylabel="accuracy ± standard error")
        percent(axis)
        _mark_stages(run, axis)
    return file


def _together(runs: Sequence[Run], file: Path, curve: Callable[..., None]) -> list[Path]:
    """One curve for each run that was evaluated; more than a handful share a colour by their method."""
    if len(runs) < 2:
        return []
    called = [run.name for run in runs]
    if len(set(called)) < len(runs):  # a grid of one recipe
        called = [run.folder.relative_to(file.parent.parent).as_posix() for run in runs]
    names = called if len(runs) <= len(COLORS) else [run.method for run in runs]
    kinds = list(dict.fromkeys(names))
    with figure(file, size=(8.5, 4.0)) as axis:
        for run, name in zip(runs, names):
            curve(axis, run, COLORS[kinds.index(name) % len(COLORS)], label=name)
        handles = dict(zip(*reversed(axis.get_legend_handles_labels())))
        axis.legend(handles.values(), handles.keys(), loc="upper left", bbox_to_anchor=(1.0, 1.0))
        if curve is nats_curve:
            axis.set(title="texts of the evaluation", xlabel="optimizer step", ylabel=LABEL)
        else:
            axis.set(title="accuracy", xlabel="optimizer step", ylabel="accuracy ± standard error")
            percent(axis)
    return [file]


def _curve(axis: Any, run: Run, color: str, label: str = "") -> None:
    lines = run.answered
    steps = [line["step"] for line in lines]
    shares = [line[f"{PREFIX}accuracy"] for line in lines]
    errors = [line.get(f"{PREFIX}stderr", 0.0) for line in lines]
    low, high = ([share + sign * error for share, error in zip(shares, errors)] for sign in (-1, 1))
    axis.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
    axis.plot(steps, shares, color=color, linewidth=1.6, marker="o", markersize=3.5, label=label)
    axis.set_xlim(left=0)


def _mark_stages(run: Run, *axes: Any) -> None:
    """A line where each stage of the curriculum begins, named on the first of the axes. Where there are many, lines alone
    must do; where the stage changes all the time, nothing is marked."""
    starts = stage_starts(run)[1:]
    if len(starts) > MARKED:
        return
    crowded = len(starts) > 3  # short names, and low or high by turns, so that neighbours do not meet
    for number, (step, stage) in enumerate(starts):
        for axis in axes:
            axis.axvline(step, color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        if len(starts) > NAMED:
            continue
        axes[0].annotate(
            stage_name(stage) if crowded and number else f"stage {stage_name(stage)}", (step, 1),
            xycoords=("data", "axes fraction"),
            xytext=(4, -2 - 12 * (crowded and number % 2)), textcoords="offset points",
            fontsize=8, va="top", color="#7b8794",
        )  # fmt: skip


def _stages(run: Run, file: Path) -> Path:
    """The last accuracy of every stage, and that after training."""
    evaluated, over = last_evaluations(run)
    last = {stage_name(stage): line for stage, line in evaluated.items()} | ({"end": over} if over else {})
    shares = [line[f"{PREFIX}accuracy"] for line in last.values()]
    errors = [line.get(f"{PREFIX}stderr", 0.0) for line in last.values()]
    with figure(file, size=(min(11.0, max(4.4, 1.4 + 0.6 * len(last))), 3.8)) as axis:
        colors = [COLORS[0]] * len(evaluated) + [COLORS[2]] * (over is not None)
        error: dict[str, Any] = {"ecolor": INK, "capsize": 3 if len(last) <= NAMED else 0, "linewidth": 0.8}
        axis.bar(range(len(last)), shares, yerr=errors, color=colors, width=0.7, error_kw=error)
        apart = 1 + len(last) // 32
        shown = [place for place in range(len(last)) if place % apart == 0 or place == len(last) - 1]
        axis.set_xticks(shown, [list(last)[place] for place in shown])
        axis.set(
            title=f"{run.name}\naccuracy at the end of each stage", xlabel="stage", ylabel="accuracy ± standard error"
        )
        percent(axis)
    return file
