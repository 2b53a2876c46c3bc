"""The three published figures, from the result files under a folder: nothing is typed in, nothing is trained.

kinds.png        accuracy against training tokens, and against tokens of the original text, for each kind of data
rounds.png       held-out bound and accuracy against tokens for each round and baseline, with the warm start as a line;
                 against rounds where each model was evaluated once
finetuned.png    accuracy of fine-tuned models, round by round, with the baselines as bands
"""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from tacit.bolt.finetune import RESULT, TASKS, mean, standard_error
from tacit.errors import TacitError
from tacit.study.figures import COLORS, FAINT, figure, percent
from tacit.study.runs import METRICS, Run

PLOTS = "plots"
SEED = re.compile(r"-seed-\d+$")
ROUND, LEARNED = re.compile(r"round-(\d+)/"), re.compile(r"round-(\d+)/learn")
WARM, BY_ROUND = "warm", "round (0 is the warm start)"
RATIOS = {"latent_thoughts": 3.3, "wrap_baseline": 0.48, "wrap_cot": 0.70}
"""Tokens that are read for each token of the original, as published: a thought is 2.3 and comes with the text itself."""
BOUND = "eval/bound_4"
MEASURES = {"eval/accuracy": "accuracy ± standard error", "eval/ppl": "perplexity of held-out text"}
"""What a run may be judged by; where it has answered questions, by these."""
Curve = list[tuple[float, float]]


def plot(place: str | Path) -> list[Path]:
    """Every figure that the files of a pipeline's folder are enough for."""
    folder = Path(place)
    files = [file for draw in (_kinds, _rounds, _finetuned) for file in draw(folder)]
    if not files:
        raise TacitError(f"{folder} holds no warm starts, rounds or fine-tuned models yet: nothing to draw")
    return files


def _trials(folder: Path, names: Sequence[str]) -> dict[str, list[Run]]:
    """Runs by name, those of several seeds together."""
    found: defaultdict[str, list[Run]] = defaultdict(list)
    for name in names:
        for run in sorted(folder.glob(name)):
            if (run / METRICS).is_file() and any(curve(Run(run), value) for value in MEASURES):
                label = SEED.sub("", str(run.relative_to(folder)))
                found[label].append(Run(run))
    return dict(found)


def curve(run: Run, value: str = "eval/accuracy") -> Curve:
    """(tokens, value) of every evaluation that has it. Tokens are those of all steps before."""
    found: Curve = []
    tokens = 0.0
    for line in run.lines:
        tokens = line.get("tokens", tokens)
        if value in line:
            found.append((tokens, line[value]))
    return found


def envelope(points: Curve, best_of: Callable[[float, float], float] = max) -> Curve:
    """The best so far; `min` where less is better."""
    values = accumulate((value for _, value in points), best_of)
    return [(tokens, value) for (tokens, _), value in zip(points, values)]


def _measure(found: Mapping[str, Sequence[Run]]) -> str:
    """What all of these runs have."""
    runs = [run for some in found.values() for run in some]
    return next((value for value in MEASURES if all(curve(run, value) for run in runs)), "eval/ppl")


def _scale(axis: Any, value: str) -> None:
    """Published accuracies are far from 100 %, so the axis ends where the curves do."""
    if value == "eval/accuracy":
        percent(axis)
        axis.margins(y=0.08)
        axis.autoscale(axis="y")
        axis.set_ylim(bottom=0.0)


def _count_tokens(axis: Any, log: bool = False) -> None:
    from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

    if log:
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))


def _band(trials: Sequence[Curve]) -> tuple[list[float], list[float], list[float]]:
    """Tokens, mean and standard error over trials, as far as all of them go."""
    length = min(map(len, trials))
    tokens = [trials[0][n][0] for n in range(length)]
    values = [[trial[n][1] for trial in trials] for n in range(length)]
    return tokens, [mean(one) for one in values], [standard_error(one) for one in values]


def _line(axis: Any, trials: Sequence[Curve], label: str, color: str, shrink: float = 1.0) -> None:
    tokens, means, errors = _band(trials)
    places = [max(t, 1.0) / shrink for t in tokens]
    low, high = ([m + sign * e for m, e in zip(means, errors)] for sign in (-1, 1))
    axis.fill_between(places, low, high, color=color, alpha=0.15, linewidth=0)
    axis.plot(places, means, color=color, linewidth=1.6, marker="o", markersize=3.5, label=label)


def _kinds(folder: Path) -> list[Path]:
    """Which kind of data teaches most: by all tokens, and by those of the original text in them."""
    trials = _trials(folder, ["warm-*"])
    found = {name.removeprefix("warm-"): runs for name, runs in trials.items() if name != "warm"}
    if len(found) < 2:
        return []
    file, value = folder / PLOTS / "kinds.png", _measure(found)
    with figure(file, 1, 2, size=(9.5, 3.8), sharey=True) as (left, right):
        for n, (name, runs) in enumerate(found.items()):
            curves = [curve(run, value) for run in runs]
            _line(left, curves, name, COLORS[n % len(COLORS)])
            _line(right, curves, name, COLORS[n % len(COLORS)], RATIOS.get(name, 1.0))
        left.set(title="by kind of data", xlabel="tokens", ylabel=MEASURES[value])
        right.set(title="by tokens of the original text", xlabel="tokens of the original text")
        _count_tokens(left, log=True)
        _count_tokens(right, log=True)
        _scale(left, value)
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return [file]


def _rounds(folder: Path) -> list[Path]:
    """What each round brought, beside models that spent as much on plain text."""
    found = _trials(folder, ["round-*/learn", "round-*/learn-seed-*", "raw_*", "round-*/raw_*"])
    rounds = {name: runs for name, runs in found.items() if name.endswith("learn")}
    if not rounds:
        return []
    file, value = folder / PLOTS / "rounds.png", _measure(found)
    best = max if value == "eval/accuracy" else min
    with figure(file, 1, 2, size=(10.5, 3.9)) as (left, right):
        _bounds(folder, left)
        warm = [Run(run) for run in sorted(folder.glob("warm*")) if SEED.sub("", run.name) == "warm"]
        results = [curve(run, value)[-1][1] for run in warm if (run.folder / METRICS).is_file() and curve(run, value)]
        if all(len(curve(run, value)) == 1 for runs in found.values() for run in runs):
            ends = {name: [curve(run, value)[0][1] for run in runs] for name, runs in found.items()}
            _by_round(right, ends | ({WARM: results} if results else {}))
            right.set(title="at the end of each round", xlabel=BY_ROUND)
        else:
            for n, (name, runs) in enumerate(sorted(found.items())):
                _line(right, [envelope(curve(run, value), best) for run in runs], _told(name), COLORS[n % len(COLORS)])
            if results:
                _level(right, results, "warm start", FAINT)
            right.set(title="the best so far", xlabel="tokens")
            _count_tokens(right)
        right.set_ylabel(MEASURES[value])
        _scale(right, value)
        right.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return [file]


def _told(name: str) -> str:
    """A model's folder in words."""
    place, _, kind = name.replace("round-", "round ").replace("_", " ").rpartition("/")
    return place if kind == "learn" else f"{kind}, {place}" if place else kind


def missing_nats(folder: Path, samples: int) -> dict[int, list[float]]:
    """The held-out bound of so many samples after each round, of every trial that was judged, as nats that are missing."""
    found: defaultdict[int, list[float]] = defaultdict(list)
    for name in ("*-judged", "round-*", "round-*/*-judged"):
        for judged in sorted(folder.glob(f"{name}/judged.json")):
            told = json.loads(judged.read_text(encoding="utf-8"))
            place = ROUND.match(str(judged.relative_to(folder)))
            if f"bound_{samples}" in told:
                found[int(place[1]) if place else 0].append(-told[f"bound_{samples}"])
    return dict(found)


def _bounds(folder: Path, axis: Any) -> None:
    """The held-out bound after each round, over trials."""
    from matplotlib.ticker import LogFormatter, MultipleLocator

    for n, samples in enumerate((1, 4, 16)):
        points = missing_nats(folder, samples)
        if points:
            places = sorted(points)
            means, errors = ([of(points[place]) for place in places] for of in (mean, standard_error))
            axis.errorbar(
                places, means, errors, color=COLORS[n], linewidth=1.6, marker="o", markersize=4, label=f"K = {samples}"
            )
    axis.set(title="held-out bound", xlabel=BY_ROUND, ylabel="−bound, nats a document", yscale="log")
    axis.xaxis.set_major_locator(MultipleLocator(1))
    for which in (axis.yaxis.set_major_formatter, axis.yaxis.set_minor_formatter):
        which(LogFormatter(labelOnlyBase=False, minor_thresholds=(2, 0.5)))
    if axis.lines:
        axis.legend()


def _level(axis: Any, values: Sequence[float], label: str, color: str) -> None:
    """A baseline that has no place on the axis: a line with its standard error as a band."""
    _, [mean], [error] = _band([[(0.0, value)] for value in values])
    axis.axhspan(mean - error, mean + error, color=color, alpha=0.3, linewidth=0)
    axis.axhline(mean, color=color, linestyle=(0, (4, 3)), linewidth=1.4, label=label)


def _by_round(axis: Any, models: Mapping[str, Sequence[float]]) -> None:
    """Rounds as a curve, the warm start in front of them; other models as bands. `models`: values by the run's folder."""
    rounds = {int(found[1]): models[name] for name in models if (found := LEARNED.fullmatch(name))}
    others = {name: values for name, values in models.items() if not LEARNED.fullmatch(name)}
    if rounds and WARM in others:
        rounds[0] = others.pop(WARM)
    for n, (name, values) in enumerate(sorted(others.items())):
        _level(axis, values, _told(name), COLORS[(n + 1) % len(COLORS)])
    if rounds:
        numbers = sorted(rounds)
        means, errors = ([of(rounds[number]) for number in numbers] for of in (mean, standard_error))
        axis.errorbar(numbers, means, yerr=errors, color=COLORS[0], marker="o", capsize=3, label="rounds")
        axis.set_xticks(numbers)


def accuracies(folder: Path, task: str) -> dict[str, list[float]]:
    """Every fine-tuned model's accuracy by the folder of what it began with: all trials, and all seeds of each, together."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for result in sorted(folder.rglob(f"*-{task}/{RESULT}")):
        name = SEED.sub("", str(result.parent.relative_to(folder)).removesuffix(f"-{task}"))
        seeds = json.loads(result.read_text(encoding="utf-8"))["seeds"]
        found[name] += [one["accuracy"] for one in seeds.values()]
    return dict(found)


def _finetuned(folder: Path) -> list[Path]:
    """Fine-tuned accuracy, round by round; other models as bands."""
    files = []
    for task in TASKS:
        models = accuracies(folder, task)
        if not models:
            continue
        files.append(folder / PLOTS / f"finetuned-{task}.png")
        with figure(files[-1], size=(6.8, 3.8)) as axis:
            _by_round(axis, models)
            axis.set(title=f"fine-tuned on {task}", xlabel=BY_ROUND, ylabel="accuracy ± standard error")
            _scale(axis, "eval/accuracy")
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return files
