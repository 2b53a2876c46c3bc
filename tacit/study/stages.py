"""A curriculum as a run's files tell it: when each stage began, what it took, and how well it ended."""

from itertools import groupby
from typing import Any

from tacit.study.runs import PREFIX, Run

ALL = 1 << 20
"""Stages from here on mean that everything is gone."""
KINDS = ("thought_tokens", "pauses", "latents")
"""Lengths of thoughts in lines of training: written tokens, pauses and silent steps of an example."""
COLUMNS = (
    "run",
    "stage",
    "from_step",
    "steps",
    "seconds",
    *KINDS,
    "accuracy",
    "stderr",
    "token_accuracy",
    "ppl",
    "places",
)
"""Of the table. The last row of a run, `end`, is its last evaluation, which asks as the finished model will be asked."""


def stage_starts(run: Run) -> list[tuple[int, int]]:
    """(first logged step, stage) of every stage, in order."""
    told = ((line["step"], line["stage"]) for line in run.training if line.get("stage") is not None)
    return [(next(part)[0], stage) for stage, part in groupby(told, key=lambda pair: pair[1])]


def stage_name(stage: int) -> str:
    return "all" if stage >= ALL else str(stage)


def last_evaluations(run: Run) -> tuple[dict[int, dict[str, Any]], dict[str, Any] | None]:
    """The last evaluation in each stage, and that after training if there was one: training never stops for an evaluation at
    its last step."""
    lines = [line for line in run.answered if line.get("stage") is not None]
    over = lines[-1] if lines and run.training and lines[-1]["step"] == run.training[-1]["step"] else None
    return {line["stage"]: line for line in lines if line is not over}, over


def by_stage(run: Run, name: str = "") -> list[dict[str, Any]]:
    """One row for each stage, and one for the end. Steps and seconds are counted between lines of the log, so they are as
    fine as train.log_every; seconds include those of evaluations."""
    evaluated, over = last_evaluations(run)
    rows: list[dict[str, Any]] = []
    step, seconds = 0, 0.0
    told = [line for line in run.training if line.get("stage") is not None]
    for stage, part in groupby(told, key=lambda line: line["stage"]):
        *_, last = part
        spent = {"steps": last["step"] - step, "seconds": last.get("seconds", seconds) - seconds}
        at = {"run": name or run.name, "stage": stage_name(stage), "from_step": step + 1}
        kinds = {kind: last.get(kind) for kind in KINDS}
        rows.append(at | spent | kinds | _found(evaluated.get(stage, {})))
        step, seconds = last["step"], last.get("seconds", seconds)
    if over is not None:
        silent = "pauses" if any("pauses" in line for line in told) else "latents"
        asked = dict.fromkeys(KINDS) | {"thought_tokens": over.get(f"{PREFIX}thought_tokens_mean")}
        asked[silent] = over.get(f"{PREFIX}latents_mean") or None
        blank = dict.fromkeys(("from_step", "steps", "seconds"))
        rows.append({"run": name or run.name, "stage": "end"} | blank | asked | _found(over))
    return rows


def _found(line: dict[str, Any]) -> dict[str, Any]:
    numbers = {name: line.get(PREFIX + name) for name in ("accuracy", "stderr", "token_accuracy", "ppl")}
    return numbers | {"places": places(line)}


def places(line: dict[str, Any]) -> list[float]:
    """Accuracy of each place of the answer in a line of evaluation; empty where answers have none."""
    prefix = f"{PREFIX}place/"
    found = {int(key.removeprefix(prefix)): share for key, share in line.items() if key.startswith(prefix)}
    return [found[place] for place in sorted(found)]
