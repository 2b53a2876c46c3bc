"""Completions → grades → numbers: everything that is counted about an answer, and what it adds up to."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from tacit.answers import cot_match
from tacit.evaluate.account import account
from tacit.evaluate.asking import Asked
from tacit.evaluate.flops import price
from tacit.evaluate.reading import Reading
from tacit.evaluate.report import Report, accuracy_error, spread
from tacit.evaluate.votes import votes
from tacit.tasks.base import Task


@dataclass(frozen=True)
class Graded:
    """One answer with everything that is counted about it."""

    place: tuple[int, int]
    """Number of the question and number of its sample."""
    row: dict[str, Any]
    extractor: str
    latents: int
    thought_tokens: int
    answer_tokens: int
    reasoning_tokens: int | None
    """None where no words announce the answer, though they should."""
    cut: bool
    """Whether it ended because it was too long."""
    forwards: int
    flops: int
    steps_match: bool | None
    written_steps: int | None
    verdict: str | None
    kind: str | None
    choice: bool | None
    """Whether the right one of two offered answers was likelier; None where nothing is offered."""
    places: Sequence[bool] | None
    """Which places of the answer are right; None where it has none."""


class Part(NamedTuple):
    """What one process found."""

    graded: list[Graded]
    readings: list[Reading]
    seconds: float
    decoded: int
    """Completions that were decoded, in so many seconds."""
    decoding: float


def grade(thinker, method, task: Task, asked: list[Asked], right: dict[tuple[int, int], bool]) -> list[Graded]:
    """Completions as graded rows. `right`: whether the right choice was the likelier one, by question and sample."""
    costs = price(thinker)
    # How many silent steps stand for a written one, in methods that replace steps one by one.
    per_step = max(1, getattr(method, "latents_per_step", 1))
    graded = []
    for number, example, cue, completions, spent in asked:
        for sample, (done, cost) in enumerate(zip(completions, spent)):
            parts, said = account(done, cue, thinker.vocab, method.around), task.template.steps_in(done.text)
            grade = task.grade(example, done.text)
            row = {
                "id": example.id or str(number),
                "prompt": thinker.tokenizer.decode(done.prompt.ids),
                "thoughts": [thought._asdict() for thought in parts.thoughts],
                "text": done.text,
                "extracted": grade.extracted,
                "gold": example.answer,
                "correct": grade.correct,
            }
            one = Graded(
                place=(number, sample),
                row=row,
                extractor=grade.extractor,
                latents=parts.latents,
                thought_tokens=parts.thought_tokens,
                answer_tokens=parts.answer_tokens,
                reasoning_tokens=parts.reasoning_tokens if parts.announced else None,
                cut=done.stopped == "length",
                forwards=cost.forwards,
                flops=cost.flops(costs),
                steps_match=cot_match(example.steps, said, example.question) if example.steps else None,
                written_steps=len(task.written_steps(done.text)) if example.steps else None,
                verdict=task.verdict(example, done.text, parts.latents // per_step),
                kind=task.kind(example),
                choice=right.get((number, sample)),
                places=task.places(example, grade.extracted),
            )
            graded.append(one)
    return graded


def report(parts: Sequence[Part], task: str) -> Report:
    """What all processes found together."""
    graded = sorted((one for part in parts for one in part.graded), key=lambda one: one.place)
    readings = [reading for part in parts for reading in part.readings]
    n, learned = len(graded), sum(reading.learned for reading in readings)
    by_question = groupby(graded, key=lambda one: one.place[0])
    verdicts = [[one.row["correct"] for one in group] for _, group in by_question]
    correct = sum(map(sum, verdicts))
    decoded = sum(part.decoded for part in parts)
    written = [one.written_steps for one in graded if one.written_steps is not None]
    reasoning = [one.reasoning_tokens for one in graded if one.reasoning_tokens is not None]
    matches = [one.steps_match for one in graded if one.steps_match is not None]
    return Report(
        accuracy=correct / n,
        stderr=accuracy_error(verdicts),
        n=n,
        correct=correct,
        seconds=max(part.seconds for part in parts),
        forwards=sum(one.forwards for one in graded),
        flops=float(sum(one.flops for one in graded)),
        latents_mean=sum(one.latents for one in graded) / n,
        thought_tokens_mean=sum(one.thought_tokens for one in graded) / n,
        answer_tokens_mean=sum(one.answer_tokens for one in graded) / n,
        reasoning_tokens=spread(reasoning),
        bad_format=1 - len(reasoning) / n,
        cut_off=sum(one.cut for one in graded) / n,
        extractor=graded[0].extractor,
        task=task,
        ppl=_perplexity(math.fsum(reading.nll for reading in readings) / learned) if learned else None,
        token_accuracy=sum(reading.right for reading in readings) / learned if learned else None,
        examples_per_second=decoded / max(part.decoding for part in parts) if decoded else None,
        cot_match=sum(matches) / len(matches) if matches else None,
        written_steps_mean=sum(written) / len(written) if written else None,
        tables=_tables(graded) | _voted(graded),
        rows=tuple(one.row for one in graded),
    )


def _perplexity(loss: float) -> float:
    return math.exp(loss) if loss < 700 else math.inf  # beyond, it is no number of a machine


def _tables(graded: list[Graded]) -> dict[str, dict[str, float]]:
    """Accuracy of every place and of every kind of question, silent steps of every kind of question, shares of every kind of
    verdict, and how often the right choice was the likelier one."""
    tables: dict[str, dict[str, float]] = {}
    places: defaultdict[int, list[bool]] = defaultdict(list)
    for one in graded:
        for place, right in enumerate(one.places or ()):
            places[place].append(right)
    if places:
        tables["place"] = {str(place): sum(right) / len(right) for place, right in sorted(places.items())}
    judged = [one.verdict for one in graded if one.verdict is not None]
    if judged:
        verdicts = sorted(set(judged), key=lambda verdict: -judged.count(verdict))
        tables["verdict"] = {verdict: judged.count(verdict) / len(judged) for verdict in verdicts}
    kinds = sorted({one.kind for one in graded if one.kind is not None})
    if kinds:
        tables["accuracy"] = {kind: _share(one.row["correct"] for one in graded if one.kind == kind) for kind in kinds}
    if kinds and any(one.latents for one in graded):
        tables["latents"] = {kind: _mean(one.latents for one in graded if one.kind == kind) for kind in kinds}
    chosen = [one for one in graded if one.choice is not None]
    if chosen:
        share = _share(one.choice for one in chosen)
        of_kinds = {kind: _share(one.choice for one in chosen if one.kind == kind) for kind in kinds}
        tables["choice"] = {"accuracy": share, "stderr": (share * (1 - share) / len(chosen)) ** 0.5} | of_kinds
    return tables


def _voted(graded: list[Graded]) -> dict[str, dict[str, float]]:
    """maj@k and pass@k, where each question was answered several times."""
    by_question = groupby(graded, key=lambda one: one.place[0])
    told = votes([[(one.row["extracted"], one.row["correct"]) for one in group] for _, group in by_question])
    return {"votes": told} if told else {}


def _share(verdicts: Iterable[bool | None]) -> float:
    return _mean(map(bool, verdicts))


def _mean(numbers: Iterable[float]) -> float:
    found = list(numbers)
    return sum(found) / len(found)
