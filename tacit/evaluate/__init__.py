"""Evaluation: prompts → completions → grades → a report, over one process or many; and answers to anybody's questions."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.callable_package import let_call
from tacit.errors import TacitError
from tacit.evaluate.report import KEYS, Report

if TYPE_CHECKING:
    from tacit.evaluate.asking import Progress
    from tacit.evaluate.subject import Subject
    from tacit.evaluate.texts import Likelihood
    from tacit.example import Example, Template
    from tacit.methods.base import Method
    from tacit.recipe.training import Eval
    from tacit.tasks.base import Task
    from tacit.thinker import Thinker

__all__ = ["KEYS", "Report", "evaluate", "evaluate_questions"]


def evaluate(
    model: "Thinker | str | Path",
    task: "str | Task | None" = None,
    *,
    data: str | Path | None = None,
    words: Sequence[str] = (),
    limit: int | None = None,
    latents: int | None = None,
    swap: bool = False,
    choices: bool = False,
    tokens: bool = False,
    plain: bool = False,
    on_progress=None,
    **settings: Any,
) -> "Report | Likelihood":
    """Accuracy and costs of a model: a loaded one, a run folder, any model folder or hub id.

    The task is the model's own unless one is named, or a file of rows is given as `data`; `words` set fields of the task, such
    as task.test=dev.jsonl. `latents` sets the number of silent steps, `swap` gives every question the thoughts of another,
    `choices` also scores the answers a question offers, `tokens` keeps the likelihood of every token of texts, `plain` asks
    the language model without any thoughts of its method; `settings` are
    fields of a recipe's section `eval` (split, batch, max_tokens, temperature, samples, check, question).
    """
    from dataclasses import replace

    from tacit.evaluate.subject import load_for_eval

    subject = load_for_eval(model, task, data, words=words, limit=limit, latents=latents, plain=plain, **settings)
    if subject.examples and subject.examples[0].text:
        return _likelihood(subject, tokens)
    report = evaluate_questions(
        subject.thinker, subject.method, subject.task, subject.template, subject.examples, subject.settings,
        swap=swap, choices=choices, on_progress=on_progress, warm_up=True,
    )  # fmt: skip
    return replace(report, run=subject.run)


def evaluate_questions(
    thinker: "Thinker",
    method: "Method",
    task: "Task",
    template: "Template",
    examples: "Sequence[Example]",
    settings: "Eval",
    stage: int | None = None,
    *,
    swap: bool = False,
    choices: bool = False,
    on_progress: "Progress | None" = None,
    warm_up: bool = False,
) -> "Report | Likelihood":
    """Questions, answered or only read, as `settings.check` says."""
    from tacit.evaluate.aloud import evaluate_aloud
    from tacit.evaluate.likelihoods import evaluate_answers
    from tacit.evaluate.split import evaluate_split

    if swap and settings.check in ("likelihood", "aloud"):
        raise TacitError(
            f"thoughts are swapped where answers are decoded, not with check {settings.check}; leave one out"
        )
    if settings.check == "likelihood":
        return evaluate_answers(thinker, method, task, template, examples, settings, stage)
    if settings.check == "aloud":
        return evaluate_aloud(thinker, method, task, examples, settings, stage, on_progress)
    return evaluate_split(
        thinker, method, task, template, examples, settings, stage,
        swap=swap, choices=choices or settings.choices, on_progress=on_progress, warm_up=warm_up,
    )  # fmt: skip


def _likelihood(subject: "Subject", tokens: bool) -> "Likelihood":
    from time import perf_counter

    from tacit.evaluate.texts import Likelihood, evaluate_texts, text_tokens

    begun = perf_counter()
    subject.thinker.eval()
    given = (subject.thinker, subject.method, subject.template, subject.examples)
    found = evaluate_texts(*given, subject.settings)
    rows = text_tokens(*given, subject.settings.batch) if tokens else ()
    return Likelihood(found, type(subject.task).__name__.lower(), perf_counter() - begun, subject.run, rows)


let_call(__name__, "evaluate")
