"""Tokens helped by scale against tokens helped by thinking: what each token of the same texts gains from a larger model, and what
from thoughts. The files are those of `tacit eval RUN --rows FILE` on texts.

FOLDER/gains.json   shares, means and the correlation, in all and by domain
FOLDER/gains.png    both gains of every token against each other, or how one is spread
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tacit.errors import DataError, TacitError
from tacit.study.figures import COLORS, FAINT, INK, figure
from tacit.study.runs import read_lines

FIELDS = ("id", "tokenizer", "tokens", "nll")
NAMES = {"scale": "a larger model", "thinking": "thinking"}


@dataclass(frozen=True)
class Gains:
    """What each token gains, in nats; positive where it became likelier."""

    kinds: Mapping[str, np.ndarray]
    """By what: `scale`, `thinking` or both, each (N,)."""
    domains: np.ndarray
    """(N,) the domain of each token; empty names where texts have none."""


def gains(pairs: Mapping[str, tuple[Path, Path]], out: Path) -> dict[str, Any]:
    """Compare files and write numbers and picture. `pairs`: for `scale` the files of the small and of the large model, for
    `thinking` those without and with thoughts."""
    given = {name: files for name, files in pairs.items() if files}
    if not given:
        raise TacitError("nothing to compare: give --thinking WITHOUT WITH, --scale SMALL LARGE, or both")
    found = read_gains(given)
    told: dict[str, Any] = {name: [str(file) for file in files] for name, files in given.items()}
    told = {"files": told, "all": summary(found)}
    names = sorted({str(name) for name in found.domains if name})
    told["domains"] = {name: summary(_of(found, name)) for name in names}
    out.mkdir(parents=True, exist_ok=True)
    (out / "gains.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    draw(found, out / "gains.png")
    return told


def summary(found: Gains) -> dict[str, float | None]:
    """Share of tokens helped and mean gain by each; of both together, their correlation and what helped tokens share."""
    told: dict[str, float | None] = {"tokens": len(found.domains)}
    for name, each in found.kinds.items():
        told |= {f"{name}_helped": float((each > 0).mean()), f"{name}_gain": float(each.mean())}
    if len(found.kinds) == 2:
        scale, thinking = found.kinds["scale"], found.kinds["thinking"]
        spread = float(scale.std() * thinking.std())
        told["correlation"] = (
            float(np.corrcoef(scale, thinking)[0, 1]) if spread > 0 and math.isfinite(spread) else None
        )
        told["helped_by_both"] = float(((scale > 0) & (thinking > 0)).mean())
    return told


def read_gains(pairs: Mapping[str, tuple[Path, Path]]) -> Gains:
    """The gains of each pair of files: what a token took in the first, less what it took in the second."""
    files = {file: _read(file) for pair in pairs.values() for file in pair}
    first = next(iter(files))
    for file in list(files)[1:]:
        _check_same(first, files[first], file, files[file])
    flat = {file: np.array([nats for row in rows for nats in row["nll"]]) for file, rows in files.items()}
    if not len(flat[first]):
        raise DataError(f"{first}: none of its texts has a token that could be predicted")
    domains = np.array([row.get("domain", "") for row in files[first] for _ in row["nll"]])
    return Gains({name: flat[before] - flat[after] for name, (before, after) in pairs.items()}, domains)


def _of(found: Gains, domain: str) -> Gains:
    chosen = found.domains == domain
    return Gains({name: each[chosen] for name, each in found.kinds.items()}, found.domains[chosen])


def _read(file: Path) -> list[dict[str, Any]]:
    if not file.is_file():
        raise TacitError(f"there is no file {file}; make it with tacit eval RUN --data TEXTS --rows {file}")
    rows = read_lines(file)
    for number, row in enumerate(rows, 1):
        missing = [name for name in FIELDS if name not in row]
        if missing:
            raise DataError(
                f"{file}:{number}: {missing[0]}: missing; lines with tokens are written by tacit eval RUN --rows on texts"
            )
        if len(row["tokens"]) != len(row["nll"]):
            raise DataError(f"{file}:{number}: nll: {len(row['nll'])} numbers for {len(row['tokens'])} tokens")
    if not rows:
        raise DataError(f"{file}: has no lines")
    return rows


def _check_same(first: Path, ours: Sequence[dict[str, Any]], file: Path, theirs: Sequence[dict[str, Any]]) -> None:
    """Gains are of tokens, so these must be the same ones."""
    if ours[0]["tokenizer"] != theirs[0]["tokenizer"]:
        raise DataError(
            f"{first} and {file} are of different tokenizers, so they do not speak of the same tokens; compare models that share "
            "one, or nll_per_character of tacit eval"
        )
    if len(ours) != len(theirs):
        raise DataError(f"{first} has {len(ours)} texts and {file} has {len(theirs)}; evaluate both on the same ones")
    for number, (one, other) in enumerate(zip(ours, theirs), 1):
        if one["tokens"] != other["tokens"]:
            raise DataError(
                f"{file}:{number}: tokens: not those of {first}:{number}; evaluate both on the same texts, by models with "
                "as many positions"
            )


# --- the picture -----------------------------------------------------------------------------------------------------


def draw(found: Gains, file: Path) -> Path:
    """Both gains against each other, with how each is spread beside it; or how the one is spread."""
    if len(found.kinds) == 1:
        [(name, each)] = found.kinds.items()
        with figure(file, size=(6.4, 3.8)) as axis:
            _spread(axis, each, COLORS[0])
            axis.set(title=f"what tokens gain by {NAMES[name]}", xlabel="nats gained by a token", ylabel="tokens")
        return file
    scale, thinking = found.kinds["scale"], found.kinds["thinking"]
    shape: dict[str, Any] = {"width_ratios": [1.5, 1, 1]}
    with figure(file, 1, 3, size=(11, 3.9), gridspec_kw=shape) as (both, left, right):
        both.axhline(0, color=FAINT, linewidth=1, zorder=0)
        both.axvline(0, color=FAINT, linewidth=1, zorder=0)
        both.scatter(scale, thinking, s=9, color=COLORS[0], alpha=_alpha(len(scale)), linewidths=0)
        correlation = summary(found)["correlation"]
        told = "" if correlation is None else f", correlation {correlation:.2f}"
        both.set(title=f"{len(scale):,} tokens{told}")
        both.set(xlabel="nats gained by a larger model", ylabel="nats gained by thinking")
        both.grid(False)
        for axis, each, color, name in ((left, scale, COLORS[1], "scale"), (right, thinking, COLORS[2], "thinking")):
            _spread(axis, each, color)
            axis.set(title=f"{name} helps {(each > 0).mean():.0%}", xlabel="nats gained by a token", ylabel="tokens")
    return file


def _spread(axis: Any, each: np.ndarray, color: str) -> None:
    axis.hist(each, bins=min(60, max(8, round(math.sqrt(len(each))))), color=color)
    axis.axvline(0, color=INK, linewidth=0.8)
    axis.axvline(float(each.mean()), color=INK, linewidth=0.8, linestyle=(0, (4, 3)), label="mean")
    axis.legend(loc="upper right")


def _alpha(count: int) -> float:
    """Many points must let each other through."""
    return min(0.6, max(0.05, 300 / count))
