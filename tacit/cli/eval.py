"""`tacit eval`: accuracy with its standard error, lengths of thinking, costs."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tacit.evaluate import Report

Run = Annotated[str, typer.Argument(metavar="RUN", help="A run folder, a checkpoint, a model folder or a hub id.")]
TaskName = Annotated[str | None, typer.Option("--task", help="Another task than the run's own.")]
Data = Annotated[Path | None, typer.Option("--data", help="A file of rows instead of the task's own questions.")]
Split = Annotated[str | None, typer.Option("--split", help="train, valid or test; else the run's eval.split.")]
BatchSize = Annotated[
    int | None, typer.Option("--batch", min=1, help="Questions answered at once: speed, not results.")
]
Limit = Annotated[int | None, typer.Option("--limit", min=1, help="The first so many questions only.")]
Latents = Annotated[int | None, typer.Option("--latents", min=0, help="So many silent steps, whatever was trained.")]
Question = Annotated[
    str | None, typer.Option("--question", help='Other words around the question than in training: "{question}".')
]
Swap = Annotated[bool, typer.Option("--swap", help="Think the next question's thoughts: are one's own needed?")]
Plain = Annotated[
    bool, typer.Option("--plain", help="Without thoughts, as the language model that it is without its method.")
]
Samples = Annotated[int | None, typer.Option("--samples", min=1, help="Answers per question, at a temperature.")]
Temperature = Annotated[float | None, typer.Option("--temperature", min=0, help="1 where several samples are wanted.")]
MaxTokens = Annotated[int | None, typer.Option("--max-tokens", min=1, help="Longest answer, steps in words included.")]
Check = Annotated[
    str | None,
    typer.Option(
        "--check",
        help="generate; verify: the same answers, but decode only what one read leaves open; likelihood: decode nothing, tell "
        "how likely right answers are; aloud: ask for steps in words, then for the answer.",
    ),
]
Choices = Annotated[bool, typer.Option("--choices", help="Also compare the likelihoods of the answers on offer.")]
Json = Annotated[Path | None, typer.Option("--json", help="Write the numbers to a file.")]
RowsFile = Annotated[
    Path | None,
    typer.Option("--rows", help="Write every answer, or every text's tokens, to a file, one JSON object a line."),
]
Words = Annotated[list[str] | None, typer.Argument(metavar="K=V", help="Fields of the task: task.test=dev.jsonl")]


def eval(
    run: Run,
    words: Words = None,
    task: TaskName = None,
    data: Data = None,
    split: Split = None,
    batch: BatchSize = None,
    limit: Limit = None,
    latents: Latents = None,
    question: Question = None,
    swap: Swap = False,
    plain: Plain = False,
    samples: Samples = None,
    temperature: Temperature = None,
    max_tokens: MaxTokens = None,
    check: Check = None,
    choices: Choices = False,
    json: Json = None,
    rows: RowsFile = None,
) -> None:
    """Evaluate a model on a task."""
    from json import dumps

    from tacit.evaluate import Report, evaluate

    if samples and samples > 1 and temperature is None:
        temperature = 1.0
    report = evaluate(
        run, task, data=data, words=words or (), split=split, batch=batch, limit=limit, latents=latents, swap=swap,
        plain=plain, samples=samples, question=question, temperature=temperature, max_tokens=max_tokens, check=check,
        choices=choices, tokens=rows is not None, on_progress=Progress(),
    )  # fmt: skip
    if rows:
        report.write_rows(rows)
    if json:
        json.write_text(dumps(report.summary(), indent=1) + "\n", encoding="utf-8")
    if isinstance(report, Report):
        print_report(report, batch)
    else:
        width = max(map(len, report.numbers))
        print(*(f"{name:<{width}} {value:.4f}" for name, value in report.numbers.items()), sep="\n")


COUNTED = ("latents",)
"""Tables of means, not of shares."""


class Progress:
    """A line with the time left, for what takes longer than a few seconds."""

    PATIENCE = 5.0

    def __init__(self) -> None:
        self.start = self.told = time.perf_counter()

    def __call__(self, done: int, of: int) -> None:
        now = time.perf_counter()
        # The first answers of a batch end together with many others, so they say little about how long all will take.
        early = now - self.start < self.PATIENCE or done * 20 < of
        if early or (now - self.told < 1 and done < of):
            return
        self.told = now
        left = (now - self.start) / done * (of - done)
        end = "\n" if done == of else ""
        print(f"\r{done} of {of} answered, {left:.0f} s left  ", end=end, file=sys.stderr, flush=True)


def print_report(report: "Report", batch: int | None = None) -> None:
    """The numbers as a table; what only some tasks have in tables of their own. `batch`: the one that was asked for."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, show_header=False, pad_edge=False)
    rows = {
        "accuracy": f"{report.accuracy:.2%} ± {report.stderr:.2%}  ({report.correct} of {report.n})",
        "perplexity": _told(report.ppl, ".4g", "of a learned token, with the text before it given"),
        "tokens right": _told(report.token_accuracy, ".2%", "of these"),
        "silent steps": f"{report.latents_mean:.2f}",
        "thought tokens": f"{report.thought_tokens_mean:.2f}",
        "answer tokens": f"{report.answer_tokens_mean:.2f}",
        "forwards": f"{report.forwards:,}  ({report.forwards / report.n:.1f} an answer)",
        "FLOPs": f"{report.flops:.3g}  ({report.flops / report.n:.3g} an answer)",
        "answers a second": _told(
            report.examples_per_second, ".3g", f"decoded at batch {batch}" if batch else "decoded"
        ),
        "seconds": f"{report.seconds:.1f}",
        "task": f"{report.task}, answers found by {report.extractor}",
    }
    if lengths := report.reasoning_tokens:
        rows["reasoning tokens"] = (
            f"{lengths['mean']:.2f} ± {lengths['std']:.2f}  ({lengths['min']:.0f} to {lengths['max']:.0f}, "
            "with <think> and </think>)"
        )
    if report.bad_format:
        rows["in another form"] = f"{report.bad_format:.2%}  (no words before the answer)"
    if report.cut_off:
        rows["too long"] = f"{report.cut_off:.2%}  (ended at the most tokens)"
    if report.cot_match is not None and report.thought_tokens_mean:
        rows["steps as in the data"] = f"{report.cot_match:.2%}"
    if report.written_steps_mean:
        rows["written steps"] = f"{report.written_steps_mean:.2f}"
    for name, value in rows.items():
        if value:
            table.add_row(name, value)
    console = Console(highlight=False)
    console.print(table)
    for name, part in report.tables.items():
        console.print()
        share = name not in COUNTED
        extra = Table(name, "share" if share else "mean", box=None, pad_edge=False, header_style="bold")
        for kind, value in part.items():
            extra.add_row(kind, f"{value:.2%}" if share else f"{value:.2f}")
        console.print(extra)


def _told(number: float | None, form: str, what: str) -> str:
    return "" if number is None else f"{number:{form}}  ({what})"
