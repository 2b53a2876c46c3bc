"""What there is to measure where nothing is asked: how likely a text is."""

from collections.abc import Sequence
from typing import Any

import torch

from tacit.errors import DataError
from tacit.evaluate.ranks import gathered, share
from tacit.example import Example, Template, encode
from tacit.methods.base import Method


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
