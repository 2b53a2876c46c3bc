"""What an evaluation found, as numbers and as rows, and how sure the numbers are."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tacit.whole import whole

KEYS = (
    "accuracy", "stderr", "n", "correct", "seconds", "forwards", "flops", "latents_mean", "thought_tokens_mean",
    "answer_tokens_mean", "extractor", "task", "run", "ppl", "token_accuracy", "examples_per_second", "bad_format", "cut_off",
)  # fmt: skip
"""The keys of `tacit eval --json`; scripts parse them. Behind them come `reasoning_tokens/mean` and so on, and those of the
tables, such as `place/0`."""

NUMBERS = (*(key for key in KEYS if key not in ("extractor", "task", "run")), "cot_match", "written_steps_mean")
"""All that `Report.metrics` may hold beside the entries of tables, which have a slash in their names."""


@dataclass(frozen=True)
class Report:
    """The outcome of an evaluation. Costs are those of each question answered alone, so batches do not change them. With
    `check: verify` they are what was really spent: one read for a question, and decoding where that read was not enough."""

    accuracy: float
    stderr: float
    n: int
    """Answers graded: questions times samples."""
    correct: int
    seconds: float
    """What this evaluation took, on the slowest process."""
    forwards: int
    """Reads of the model's body: one for each prompt, one for every silent step and every token that was read back."""
    flops: float
    latents_mean: float
    """Silent columns of an answer."""
    thought_tokens_mean: float
    """Tokens written before the answer's cue, or inside a thought."""
    answer_tokens_mean: float
    extractor: str
    task: str
    reasoning_tokens: Mapping[str, float] = field(default_factory=dict)
    """mean, std, min and max of everything in front of the answer, <think> and </think> counted: six silent steps are eight
    tokens. Over answers in the right form only; empty where there is none."""
    bad_format: float = 0.0
    """Share of answers that the task's words do not announce."""
    cut_off: float = 0.0
    """Share of answers that ended because they were too long."""
    run: str = ""
    ppl: float | None = None
    """Perplexity of the method's own layouts, teacher-forced, over all tokens that are learned: exp(loss / tokens)."""
    token_accuracy: float | None = None
    """Share of these tokens that were the likeliest."""
    examples_per_second: float | None = None
    """Completions a second while decoding, at the batch that was asked; None where nothing had to be decoded."""
    cot_match: float | None = None
    """Share of answers whose written steps are exactly the gold ones; None where there are none to write."""
    written_steps_mean: float | None = None
    """Steps written before the answer; None where a task's examples have none."""
    tables: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What only some tasks have: accuracy and silent steps of each kind of question, accuracy of each place, kinds of
    mistakes, scores of offered choices."""
    rows: Sequence[dict[str, Any]] = ()
    """One for each answer: the lines of `samples.jsonl`."""

    def summary(self) -> dict[str, Any]:
        """What `tacit eval --json` writes."""
        tables = {"reasoning_tokens": self.reasoning_tokens, **self.tables}
        flat = {f"{table}/{name}": share for table, part in tables.items() for name, share in part.items()}
        return {key: getattr(self, key) for key in KEYS} | flat

    def metrics(self) -> dict[str, float]:
        """The numbers, for a line of `metrics.jsonl`, without the prefix that tells them from those of training."""
        told = self.summary() | {"cot_match": self.cot_match, "written_steps_mean": self.written_steps_mean}
        return {key: value for key, value in told.items() if isinstance(value, int | float)}

    def write_rows(self, file: Path) -> None:
        """`samples.jsonl`, whole or not at all."""
        write_lines(file, self.rows)


def write_lines(file: Path, rows: Sequence[dict[str, Any]]) -> None:
    """One JSON object a line, whole or not at all."""
    with whole(file) as out:
        out.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def spread(counts: Sequence[int]) -> dict[str, float]:
    """Mean, standard deviation, least and most; nothing of nothing."""
    if not counts:
        return {}
    mean = sum(counts) / len(counts)
    variance = sum((count - mean) ** 2 for count in counts) / len(counts)
    return {"mean": mean, "std": math.sqrt(variance), "min": float(min(counts)), "max": float(max(counts))}


def accuracy_error(verdicts: Sequence[Sequence[bool]]) -> float:
    """Standard error of the mean of `verdicts`: the answers to each question.

    One answer each: binomial. Several: answers to one question are no independent evidence, so questions are what varies.
    """
    if all(len(answers) == 1 for answers in verdicts) or len(verdicts) == 1:
        flat = [verdict for answers in verdicts for verdict in answers]
        share = sum(flat) / len(flat)
        return math.sqrt(share * (1 - share) / len(flat))
    means = [sum(answers) / len(answers) for answers in verdicts]
    center = math.fsum(means) / len(means)  # exact sums: the order of the questions must not show in the last digit
    variance = math.fsum((mean - center) ** 2 for mean in means) / (len(means) - 1)
    return math.sqrt(variance / len(means))
