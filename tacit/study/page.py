"""The result page of a claim: `CLAIM.json` with everything in it, `CLAIM.md` to read, `CLAIM.png` to look at.

The text and the picture are made from the JSON alone, so they can be made again from it.
"""

import json
import math
import shlex
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tacit.study.claim import SIZES, Claim
from tacit.study.figures import COLORS, INK, MUTED, figure, percent
from tacit.study.grid import draw_grid
from tacit.study.rules import Verdict
from tacit.study.series import draw_series
from tacit.whole import write_whole

KEYS = ("claim", "source", "expected", "runs", "verdict", "interval", "scale", "seconds")
SHOWN = ("accuracy", "stderr", "latents_mean", "thought_tokens_mean", "answer_tokens_mean", "forwards", "flops")
BARS = 24
"""So many bars can be told apart in one picture."""
Page = dict[str, Any]


def make_page(
    claim: Claim,
    scale: str,
    runs: Sequence[Mapping[str, Any]],
    verdict: Verdict,
    seconds: float,
    given: Mapping[str, Any] | None = None,
) -> Page:
    """`runs`: arm, recipe, overrides, seed and metrics of each, and what it said when it was asked in other ways. `given`: fields
    of every recipe that whoever rebuilt the claim has set."""
    interval = {key: _finite(value) for key, value in asdict(verdict.interval).items()}
    return {
        "claim": claim.name,
        "source": claim.source,
        "expected": claim.expected,
        "smaller": claim.scale(scale).smaller,
        "metric": claim.metric,
        "shown": list(claim.shown),
        "over": claim.over,
        "listed": [*claim.listed, *claim.traced],
        "compared": list(claim.compared),
        "runs": [dict(run) for run in runs],
        "verdict": verdict.word,
        "sentence": verdict.sentence,
        "interval": interval,
        "scale": scale,
        "given": dict(given or {}),
        "seconds": round(seconds, 1),
    }


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_page(page: Page, folder: Path) -> list[Path]:
    """The three files. A page of a larger scale is never overwritten: the smaller one then carries its scale's name."""
    file = folder / f"{page['claim']}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    if file.is_file():
        there = json.loads(file.read_text(encoding="utf-8")).get("scale")
        if there in SIZES and SIZES.index(there) > SIZES.index(page["scale"]):
            file = folder / f"{page['claim']}-{page['scale']}.json"
    write_whole(file, json.dumps(page, indent=1, ensure_ascii=False) + "\n")
    words = file.with_suffix(".md")
    write_whole(words, text(page, file.with_suffix(".png").name))
    return [file, words, draw(page, file.with_suffix(".png"))]


def pages(folder: Path) -> Iterator[tuple[Path, Page]]:
    """The result pages in a folder."""
    for file in sorted(folder.rglob("*.json")):
        page = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(page, dict) and page.keys() >= set(KEYS):
            yield file, page


def text(page: Page, picture: str) -> str:
    """The page in Markdown."""
    names = [
        name
        for name in dict.fromkeys([page["metric"], *page.get("shown", ()), *page.get("listed", ()), *SHOWN])
        if any(name in r["metrics"] for r in page["runs"])
    ]
    lines = [
        f"# {page['claim']}: {page['verdict']}",
        "",
        f"**Source.** {page['source']}",
        "",
        f"**Expected.** {page['expected']}.",
        "",
        *([f"**Smaller than published.** {page['smaller']}.", ""] if page.get("smaller") else []),
        f"**Found.** {page['sentence']}.",
        "",
        f"![{page['claim']}]({picture})",
        "",
        "| arm | seed | " + " | ".join(names) + " |",
        "|---|---|" + "---|" * len(names),
    ]
    for run in page["runs"]:
        cells = [_number(run["metrics"].get(name)) for name in names]
        lines.append(f"| {run['arm']} | {run['seed']} | " + " | ".join(cells) + " |")
    lines += _asked(page)
    lines += [
        "",
        f"Scale {page['scale']}; {page['seconds']:.0f} seconds of training. Again, from nothing:",
        "",
        "    " + " ".join(["tacit repro", page["claim"], "--scale", page["scale"], *_words(page.get("given", {}))]),
        "",
    ]
    return "\n".join(lines)


def _words(given: Mapping[str, Any]) -> list[str]:
    """Settings as words of a command line."""
    return [shlex.quote(f"{path}={_word(value)}") for path, value in given.items()]


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _asked(page: Page) -> list[str]:
    """A table of the runs that were asked in other ways too: in each cell the numbers by which ways are compared."""
    runs = [run for run in page["runs"] if run.get("asked")]
    ways = list(dict.fromkeys(way for run in runs for way in run["asked"]))
    if not ways:
        return []
    shown = page.get("compared") or page.get("shown") or [page["metric"]]
    lines = ["", f"Asked in other ways: {', '.join(shown)}.", "", f"| arm | seed | as trained | {' | '.join(ways)} |"]
    lines.append("|---|---|---|" + "---|" * len(ways))
    for run in runs:
        found = [run["metrics"], *(run["asked"].get(way, {}) for way in ways)]
        cells = [" / ".join(f"{one[name]:.2f}" for name in shown if name in one) or "–" for one in found]
        lines.append(f"| {run['arm']} | {run['seed']} | {' | '.join(cells)} |")
    return lines


def _number(value: Any) -> str:
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def by_arm(page: Page, metric: str) -> dict[str, list[float]]:
    """A number of every run, by arm; arms that do not have it are left out."""
    arms: dict[str, list[float]] = {}
    for run in page["runs"]:
        if metric in run["metrics"]:
            arms.setdefault(run["arm"], []).append(run["metrics"][metric])
    return arms


def draw(page: Page, file: Path) -> Path:
    """Each arm's mean as a bar, each seed as a point; a bar for each of the numbers that the page shows, or the metric. Nats have
    no meaningful zero: of these, means are lines, on a scale that shows their differences. Too many bars become a grid."""
    if page.get("over"):
        return _draw_over(page, file)
    shown = page.get("shown") or [page["metric"]]
    arms = list(dict.fromkeys(run["arm"] for run in page["runs"]))
    shares = all(name.partition("/")[0] in ("accuracy", "choice") for name in shown)
    nats = all(name.endswith("nll") for name in shown)
    if len(arms) * len(shown) > BARS:
        corner, cells = f"{_corner(page)}; mean, least and greatest of its seeds", {n: by_arm(page, n) for n in shown}
        return draw_grid(f"{page['claim']}: {page['verdict']}", corner, cells, arms, shares, file)
    width = 0.6 if len(shown) == 1 else 0.86 / len(shown)
    with figure(file, size=(max(4.4, 1.6 + 1.1 * len(arms) * max(1, 0.5 * len(shown))), 3.8)) as axis:
        for number, name in enumerate(shown):
            color = COLORS[number % len(COLORS)]
            for arm, values in by_arm(page, name).items():
                place = arms.index(arm) + (number - (len(shown) - 1) / 2) * width
                color = color if len(shown) > 1 else COLORS[arms.index(arm) % len(COLORS)]
                _bar(axis, place, width, values, color, shares, small=len(shown) > 1, line=nats)
            if len(shown) > 1:
                axis.bar(0, 0, color=color, label=name)
        axis.set_xticks(range(len(arms)), arms)
        axis.set(title=f"{page['claim']}: {page['verdict']}", ylabel=_unit(shown, shares) + "a point is a seed")
        axis.margins(y=0.14)  # room for the labels
        if shares:
            percent(axis)
            axis.set_ylim(0, 1.12)
            axis.set_yticks([0, 0.25, 0.5, 0.75, 1.0])
        if len(shown) > 1:
            axis.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
        axis.annotate(_corner(page), (1, 1), xycoords="axes fraction", ha="right", va="bottom", fontsize=8, color=MUTED)
    return file


def _draw_over(page: Page, file: Path) -> Path:
    """A line for each arm over the numbers shown; of arms that have none of them, the metric."""
    shown, rows = page["shown"], defaultdict(list)
    for run in page["runs"]:
        if shown[-1] in run["metrics"]:
            rows[run["arm"]].append([run["metrics"][name] for name in shown])
    beside = {arm: sum(found) / len(found) for arm, found in by_arm(page, page["metric"]).items() if arm not in rows}
    steps = [name.partition("/")[2] for name in shown]
    title = f"{page['claim']}: {page['verdict']}"
    return draw_series(title, _corner(page), steps, page["over"], rows, beside, page["metric"], file)


def _corner(page: Page) -> str:
    return f"scale {page['scale']}, {len(page['runs'])} runs"


def _unit(shown: Sequence[str], shares: bool) -> str:
    """What all bars tell, if it is the same."""
    stems = {name.partition("/")[0] for name in shown}
    named = shown[0] if len(shown) == 1 else "share" if shares else stems.pop() if len(stems) == 1 else ""
    return f"{named}; " if named else ""


def _bar(
    axis: Any, place: float, width: float, values: list[float], color: str, shares: bool, small: bool, line: bool
) -> None:
    mean = sum(values) / len(values)
    if line:
        axis.hlines(mean, place - width / 2, place + width / 2, color=color, linewidth=3)
    else:
        axis.bar(place, mean, color=color, width=width, alpha=0.85)
    gap = 0.2 * width
    spread = [place + (i - (len(values) - 1) / 2) * gap for i in range(len(values))]
    axis.scatter(spread, values, color=INK, s=6 if small else 16, zorder=3)
    label = f"{mean:.0%}" if shares and small else f"{mean:.1%}" if shares else f"{mean:.4g}" if line else f"{mean:.3g}"
    size = {"fontsize": 7} if small else {}
    axis.annotate(label, (place, max(values)), xytext=(0, 6), textcoords="offset points", ha="center", **size)
