"""What there is to measure where nothing is asked: how likely a text is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tacit.errors import DataError
from tacit.evaluate.ranks import gathered, share
from tacit.example import Example, Template, encode
from tacit.methods.base import Method


@dataclass(frozen=True)
class Likelihood:
    """How likely texts are: the report of an evaluation in which nothing is asked."""

    numbers: Mapping[str, float]
    """Means over tokens."""
    task: str
    seconds: float
    run: str = ""

    def metrics(self) -> dict[str, float]:
        return dict(self.numbers)

    def summary(self) -> dict[str, Any]:
        return {**self.numbers, "seconds": round(self.seconds, 3), "task": self.task, "run": self.run}

    def write_rows(self, file: Path) -> None:
        raise DataError(
            f"texts have no answers to write to {file}; leave --rows out, or look at thoughts with tacit probe"
        )


@torch.no_grad()
def evaluate_texts(
    thinker: Any, method: Method, template: Template, examples: Sequence[Example], settings: Any
) -> dict[str, float]:
    """The method's measurements of texts, each a mean over tokens. `settings` is the section `eval` of a recipe (its batch and
    samples). In a process group every process takes a part, and all get the means."""
    if not all(example.text for example in examples):
        raise DataError("some examples are texts and some are questions; evaluate them one kind at a time")
    mine = share(list(examples))
    encoded = encode(mine, thinker.tokenizer, template.filled(thinker.tokenizer))
    tokens = sum(len(one.answer) for one in encoded)
    found = method.measure(thinker, encoded, settings.batch, settings.samples)
    parts = gathered((tokens, found))
    whole = sum(count for count, _ in parts)
    return {name: sum(count * one[name] for count, one in parts) / whole for name in found} | {
        "n": float(len(examples))
    }
