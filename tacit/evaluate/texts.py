"""What there is to measure where nothing is asked: how likely a text is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tacit.errors import DataError
from tacit.evaluate.ranks import gathered, share
from tacit.example import Example, Template, encode
from tacit.evaluate.report import KEYS, write_lines
from tacit.methods.base import Method


@dataclass(frozen=True)
class Likelihood:
    """How likely texts are, or right answers: the report of an evaluation in which nothing is written."""

    numbers: Mapping[str, float]
    """Means over tokens, texts or questions."""
    task: str
    seconds: float
    run: str = ""
    rows: Sequence[dict[str, Any]] = ()
    """One for each question or text."""
    extractor: str | None = None
    """How answers were compared; None where nothing is asked."""

    def metrics(self) -> dict[str, float]:
        return dict(self.numbers)

    def summary(self) -> dict[str, Any]:
        """What `tacit eval --json` writes. Of questions, scripts expect the keys of a `Report`; null is what was not measured."""
        keys: dict[str, Any] = {} if self.extractor is None else dict.fromkeys(KEYS) | {"extractor": self.extractor}
        return {**keys, **self.numbers, "seconds": round(self.seconds, 3), "task": self.task, "run": self.run}

    def write_rows(self, file: Path) -> None:
        """One JSON object for each question or text, whole or not at all."""
        write_lines(file, self.rows)


@torch.no_grad()
def evaluate_texts(
    thinker: Any, method: Method, template: Template, examples: Sequence[Example], settings: Any
) -> dict[str, float]:
    """The method's measurements of texts, each a mean over the tokens that could be predicted, and the likelihood also by
    document, by character and as perplexity. `settings` is the section `eval` of a recipe (its batch and samples). In a process
    group every process takes a part, and all get the means."""
    if not examples:
        raise DataError("there are no documents to evaluate: raise the limit, or name another split or file")
    if not all(example.text for example in examples):
        raise DataError("some examples are texts and some are questions; evaluate them one kind at a time")
    mine = share(list(examples))
    encoded = encode(mine, thinker.tokenizer, template.filled(thinker.tokenizer))
    characters = sum(len(example.text) for example in mine)
    parts = gathered((method.measure(thinker, encoded, settings.batch, settings.samples), characters))
    places = sum(found["places"] for found, _ in parts)
    if not places:
        raise DataError("no document has a token that could be predicted; set template.bos: true, or give longer ones")
    means = {
        name: sum(found["places"] * found[name] for found, _ in parts if found["places"]) / places
        for name in parts[0][0]
        if name != "places"
    }
    whole = means["nll"] * places
    return means | {
        "nll_per_document": whole / len(examples),
        "nll_per_character": whole / sum(count for _, count in parts),
        "ppl": math.exp(means["nll"]) if means["nll"] < LARGEST else math.inf,
        "n": float(len(examples)),
    }


LARGEST = 700.0
"""Nats whose exponential is still a number."""
