"""What there is to measure where nothing is asked: how likely a text is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from tacit.errors import DataError
from tacit.evaluate.predicting import text_rows, token_nll
from tacit.evaluate.ranks import gathered, share
from tacit.evaluate.report import KEYS, write_lines
from tacit.example import Example, Template, encode
from tacit.layout import targets
from tacit.methods.base import Method
from tacit.models.tokenizers import fingerprint


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
    document, by character, as perplexity, and as `nll/DOMAIN` where texts say which domain they belong to. `settings` is the
    section `eval` of a recipe (its batch and samples). In a process group every process takes a part, and all get the means."""
    check_texts(examples)
    domains = domains_of(examples)
    mine = share(list(zip(examples, domains)))
    found: dict[str, dict[str, float]] = {}
    for domain in dict.fromkeys(domain for _, domain in mine):
        some = [example for example, other in mine if other == domain]
        encoded = encode(some, thinker.tokenizer, template.filled(thinker.tokenizer))
        found[domain] = method.measure(thinker, encoded, settings.batch, settings.samples)
    characters = sum(len(example.text) for example in examples)
    parts = [(domain, told) for part in gathered(found) for domain, told in part.items() if told["places"]]
    if not parts:
        raise DataError("no document has a token that could be predicted; set template.bos: true, or give longer ones")
    means = _means([told for _, told in parts])
    whole = means["nll"] * sum(told["places"] for _, told in parts)
    of_domains = {
        f"nll/{domain}": _means([told for other, told in parts if other == domain])["nll"]
        for domain in sorted({domain for domain, _ in parts if domain})
    }
    return means | {
        "nll_per_document": whole / len(examples),
        "nll_per_character": whole / characters,
        "ppl": math.exp(means["nll"]) if means["nll"] < LARGEST else math.inf,
        "n": float(len(examples)),
    } | of_domains  # fmt: skip


def _means(parts: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Means over the places of all parts; of `NAME/KIND`, over the `places/KIND` where these are told."""
    found = {}
    for name in dict.fromkeys(name for told in parts for name in told if name.split("/")[0] != "places"):
        told = [part for part in parts if name in part]
        own = f"places/{name.split('/')[-1]}"
        weights = [part.get(own, part["places"]) for part in told]
        found[name] = sum(weight * part[name] for weight, part in zip(weights, told)) / sum(weights)
    return found


def check_texts(examples: Sequence[Example]) -> None:
    """Refuse examples that are no texts."""
    if not examples:
        raise DataError("there are no documents to evaluate: raise the limit, or name another split or file")
    if not all(example.text for example in examples):
        raise DataError("some examples are texts and some are questions; evaluate them one kind at a time")


def domains_of(examples: Sequence[Example]) -> list[str]:
    """The domain that each text says it belongs to; empty names where none does."""
    told = [(example.extra or {}).get("domain") for example in examples]
    if not any(domain is not None for domain in told):
        return [""] * len(told)
    for example, domain in zip(examples, told):
        if not isinstance(domain, str) or not domain.strip():
            raise DataError(
                f"{example.id or 'a text'}: domain: expected a name, got {domain!r}, and other texts have one; name the domain "
                "of every text, or of none"
            )
    return [str(domain) for domain in told]


def text_tokens(
    thinker: Any, method: Method, template: Template, examples: Sequence[Example], batch: int
) -> list[dict[str, Any]]:
    """A row for each text: its tokens, the nats that each of them took, and which tokenizer they are of. What two models, or
    one with and without thoughts, gain on the same tokens is told from two such files (`tacit gains`)."""
    check_texts(examples)
    mine = share(list(zip(range(len(examples)), examples, domains_of(examples))))
    encoded = encode([example for _, example, _ in mine], thinker.tokenizer, template.filled(thinker.tokenizer))
    rows = text_rows(encoded, thinker.limit)
    made_with = fingerprint(thinker.tokenizer)
    found = []
    for (number, example, domain), row, nll in zip(mine, rows, token_nll(method, thinker, rows, batch)):
        named = {"domain": domain} if domain else {}
        name = example.id or str(number)
        found.append((number, {"id": name, **named, "tokenizer": made_with, "tokens": targets(row), "nll": nll}))
    return [row for _, row in sorted((pair for part in gathered(found) for pair in part), key=lambda pair: pair[0])]


LARGEST = 700.0
"""Nats whose exponential is still a number."""
