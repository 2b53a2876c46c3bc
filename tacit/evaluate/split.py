"""Ask, grade, count: the evaluation of one thinker on one list of examples.

Every question is answered by `thinker.complete`, whatever the method, and graded by its task. Which answer a question gets
depends on the question alone: not on the batch, not on the order, not on how many processes share the work.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from typing import Any

from tacit.answers import cot_match
from tacit.engine.complete import Completion
from tacit.engine.sampling import Sampling
from tacit.errors import DataError, TacitError
from tacit.evaluate.account import account
from tacit.evaluate.choices import Asked, right_choices
from tacit.evaluate.flops import price, work
from tacit.evaluate.ranks import gathered, share
from tacit.evaluate.report import Report, accuracy_error
from tacit.example import Example, Template, encode
from tacit.layout import Layout
from tacit.tasks import TASKS
from tacit.tasks.base import Task

Progress = Callable[[int, int], None]


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
    forwards: int
    flops: int
    steps_match: bool | None
    verdict: str | None
    kind: str | None
    choice: bool | None
    """Whether the right one of two offered answers was likelier; None where nothing is offered."""


def evaluate_split(
    thinker,
    method,
    task: Task,
    template: Template,
    examples: Sequence[Example],
    settings,
    stage: int | None = None,
    *,
    latents: int | None = None,
    choices: bool = False,
    on_progress: Progress | None = None,
) -> Report:
    """Answer and grade `examples`. `settings` is the section `eval` of a recipe (its batch, max_tokens, temperature and
    samples); `stage` is where the curriculum stands, None after training. `latents` sets the number of silent steps of every
    prompt; `choices` also scores the two answers that a question offers. `on_progress(answered, of)` counts this process's
    answers. In a process group every process takes a part, and all get the whole report."""
    _check(examples, task, settings)
    task = task.model_copy(update={"template": template})
    mine = share(list(enumerate(examples)))
    start = time.perf_counter()
    encoded = encode([example for _, example in mine], thinker.tokenizer, template)
    prompts = [method.prompt(one, thinker.vocab, stage) for one in encoded]
    if latents is not None:
        prompts = [with_latents(prompt, latents, thinker.vocab) for prompt in prompts]
    answers = _ask(thinker, prompts, [example for _, example in mine], settings, on_progress)
    asked = [Asked(number, example, one.cue, group) for (number, example), one, group in zip(mine, encoded, answers)]
    right = right_choices(thinker, task, asked, settings.batch) if choices else {}
    found = _grade(thinker, method, task, asked, right)
    whole = gathered((found, time.perf_counter() - start))
    graded = sorted((one for part, _ in whole for one in part), key=lambda one: one.place)
    return _report(graded, task_name(task), max(seconds for _, seconds in whole))


def _check(examples: Sequence[Example], task: Task, settings) -> None:
    if not examples:
        raise DataError("there are no examples to evaluate: raise the limit, or name another split or file")
    if any(example.text for example in examples):
        raise DataError(
            f"{task_name(task)} yields documents, which ask nothing and cannot be graded; name a task with questions"
        )
    if settings.samples > 1 and settings.temperature == 0:
        raise TacitError(
            f"{settings.samples} samples at temperature 0 are all the same; set a temperature, or samples to 1"
        )


def task_name(task: Task) -> str:
    """The name a task is registered under, or its class's."""
    cls = type(task)
    known = {cls, f"{cls.__module__}:{cls.__name__}"}
    return next((name for name, target in TASKS.items() if target in known), cls.__name__)


def _ask(thinker, prompts: list[Layout], examples: list[Example], settings, on_progress) -> list[list[Completion]]:
    """The completions of every prompt, as many as there are samples."""
    samples, answered = settings.samples, 0
    sampling = Sampling(max_tokens=settings.max_tokens, temperature=settings.temperature, logprobs=False)

    def done(_: int) -> None:
        nonlocal answered
        answered += 1
        if on_progress:
            on_progress(answered, len(prompts) * samples)

    completions = thinker.complete(
        [prompt for prompt in prompts for _ in range(samples)],
        sampling,
        slots=settings.batch,
        draws=[draw(example, sample) for example in examples for sample in range(samples)],
        on_done=done,
    )
    return [completions[i : i + samples] for i in range(0, len(completions), samples)]


def draw(example: Example, sample: int) -> int:
    """The random numbers that belong to one sample of a question."""
    key = f"{example.id}\0{example.question}\0{sample}"
    return int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")


def with_latents(prompt: Layout, count: int, vocab) -> Layout:
    """The prompt with `count` silent steps in its thought, whatever its method would take."""
    names = [segment.name for segment in prompt.segments]
    if "thought" in names and "open" not in names:  # silent steps without marks around them
        changed = [
            segment._replace(ids=(*segment.ids[:1], vocab.latent)[:1] * count) if segment.name == "thought" else segment
            for segment in prompt.segments
        ]
        return Layout(*changed)
    before: list = []
    rest = list(prompt.segments)
    while rest and rest[0].name != "open":
        before.append(rest.pop(0))
    if not rest:
        raise TacitError(
            "this method's prompts open no thought, so they have no silent steps to count; leave latents out, or "
            "evaluate a method that thinks silently"
        )
    thought = next((segment for segment in rest if segment.name == "thought"), None)
    kind = thought.ids[0] if thought is not None and thought.ids else vocab.latent
    _, silent, closed = vocab.thought(count)
    after = [segment for segment in rest[1:] if segment.name not in ("thought", "close")]
    position = {} if thought is None else {"skip": thought.skip}
    return Layout(*before, rest[0], silent._replace(ids=(kind,) * count, **position), closed, *after)


def _grade(thinker, method, task: Task, asked: list[Asked], right: dict[tuple[int, int], bool]) -> list[Graded]:
    """Completions as graded rows. `right`: whether the right choice was the likelier one, by question and sample."""
    costs = price(thinker)
    # How many silent steps stand for a written one, in methods that replace steps one by one.
    per_step = max(1, getattr(method, "latents_per_step", 1))
    graded = []
    for number, example, cue, completions in asked:
        for sample, done in enumerate(completions):
            parts, cost = account(done, cue, thinker.vocab), work(done, thinker.vocab)
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
                forwards=cost.forwards,
                flops=cost.flops(costs),
                steps_match=cot_match(example.steps, done.text, example.question) if example.steps else None,
                verdict=task.verdict(example, done.text, parts.latents // per_step),
                kind=task.kind(example),
                choice=right.get((number, sample)),
            )
            graded.append(one)
    return graded


def _report(graded: list[Graded], task: str, seconds: float) -> Report:
    n = len(graded)
    by_question = groupby(graded, key=lambda one: one.place[0])
    verdicts = [[one.row["correct"] for one in group] for _, group in by_question]
    correct = sum(map(sum, verdicts))
    matches = [one.steps_match for one in graded if one.steps_match is not None]
    return Report(
        accuracy=correct / n,
        stderr=accuracy_error(verdicts),
        n=n,
        correct=correct,
        seconds=seconds,
        forwards=sum(one.forwards for one in graded),
        flops=float(sum(one.flops for one in graded)),
        latents_mean=sum(one.latents for one in graded) / n,
        thought_tokens_mean=sum(one.thought_tokens for one in graded) / n,
        answer_tokens_mean=sum(one.answer_tokens for one in graded) / n,
        extractor=graded[0].extractor,
        task=task,
        cot_match=sum(matches) / len(matches) if matches else None,
        tables=_tables(graded),
        rows=tuple(one.row for one in graded),
    )


def _tables(graded: list[Graded]) -> dict[str, dict[str, float]]:
    """Shares of every kind of verdict, how often the right choice was the likelier one, and the accuracy of every kind of
    question."""
    tables: dict[str, dict[str, float]] = {}
    judged = [one.verdict for one in graded if one.verdict is not None]
    if judged:
        verdicts = sorted(set(judged), key=lambda kind: -judged.count(kind))
        tables["verdict"] = {kind: judged.count(kind) / len(judged) for kind in verdicts}
    kinds = sorted({one.kind for one in graded if one.kind is not None})
    if kinds:
        tables["accuracy"] = {kind: _share(one.row["correct"] for one in graded if one.kind == kind) for kind in kinds}
    chosen = [one for one in graded if one.choice is not None]
    if chosen:
        share = _share(one.choice for one in chosen)
        of_kinds = {kind: _share(one.choice for one in chosen if one.kind == kind) for kind in kinds}
        tables["choice"] = {"accuracy": share, "stderr": (share * (1 - share) / len(chosen)) ** 0.5} | of_kinds
    return tables


def _share(verdicts: Iterable[bool | None]) -> float:
    found = list(verdicts)
    return sum(map(bool, found)) / len(found)
