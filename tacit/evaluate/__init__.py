"""Evaluation: prompts → completions → grades → a report, over one process or many; and answers to anybody's questions."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from tacit.callable_package import let_call
from tacit.evaluate.report import KEYS, Report

if TYPE_CHECKING:
    from tacit.evaluate.subject import Subject
    from tacit.evaluate.texts import Likelihood
    from tacit.tasks.base import Task
    from tacit.thinker import Thinker

__all__ = ["KEYS", "Report", "evaluate"]


def evaluate(
    model: "Thinker | str | Path",
    task: "str | Task | None" = None,
    *,
    data: str | Path | None = None,
    limit: int | None = None,
    latents: int | None = None,
    swap: bool = False,
    choices: bool = False,
    on_progress=None,
    **settings: Any,
) -> "Report | Likelihood":
    """Accuracy and costs of a model: a loaded one, a run folder, any model folder or hub id.

    The task is the model's own unless one is named, or a file of rows is given as `data`. `latents` sets the number of
    silent steps, `swap` gives every question the thoughts of another, `choices` also scores the answers a question offers;
    `settings` are fields of a recipe's section `eval` (split, batch, max_tokens, temperature, samples, check, question).
    """
    from dataclasses import replace

    from tacit.evaluate.split import evaluate_split
    from tacit.evaluate.subject import load_for_eval

    subject = load_for_eval(model, task, data, limit=limit, **settings)
    if subject.examples and subject.examples[0].text:
        return _likelihood(subject)
    report = evaluate_split(
        subject.thinker, subject.method, subject.task, subject.template, subject.examples, subject.settings,
        latents=latents, swap=swap, choices=choices or subject.settings.choices, on_progress=on_progress, warm_up=True,
    )  # fmt: skip
    return replace(report, run=subject.run)


def _likelihood(subject: "Subject") -> "Likelihood":
    from time import perf_counter

    from tacit.evaluate.texts import Likelihood, evaluate_texts

    begun = perf_counter()
    subject.thinker.eval()
    found = evaluate_texts(subject.thinker, subject.method, subject.template, subject.examples, subject.settings)
    return Likelihood(found, type(subject.task).__name__.lower(), perf_counter() - begun, subject.run)


let_call(__name__, "evaluate")
