"""Whether to think at a place: a guess, from the state there, of what a thought is worth over the null thought. It is fitted to
what thoughts were found to be worth, and changes nothing else: its input carries no gradient."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tacit.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor

    from tacit.thinker import Thinker

KINDS = ("digits", "punctuation", "starts", "inside", "blanks")
"""What a token is: digits, signs, the start of a word, the inside of one, or nothing but blanks."""


class Deciding(Settings):
    """To think or not to."""

    cost: float = Field(default=0.01, ge=0)
    """Nats that a thought must be worth."""
    explore: float = Field(default=0.1, ge=0, le=1)
    """In training: the share of places where a thought is tried whatever the guess says."""


def guess(thinker: "Thinker", states: "Tensor") -> "Tensor":
    """(…, H) -> (…): nats that a thought is worth there."""
    layer = thinker.aside.guess
    assert layer is not None
    return layer(states.detach().to(layer.weight.dtype))[..., 0]


def wanted(deciding: Deciding | None, thinker: "Thinker", states: "Tensor", chance: "Tensor | None") -> "Tensor":
    """(B, K, H) -> (B, K) whether to think. `chance` (B, K): uniform random numbers that decide where it is tried anyway."""
    import torch

    if deciding is None:
        return torch.ones(states.shape[:-1], dtype=torch.bool, device=states.device)
    worth = guess(thinker, states) > deciding.cost
    return worth if chance is None else worth | (chance.to(worth.device) < deciding.explore)


def kind(tokenizer: Any, before: int, token: int) -> str:
    """What a token is; `before` is the one in front of it, since only that shows where a word starts."""
    text = _text(tokenizer, token)
    first = text.strip()[:1]
    if not first:
        return "blanks"
    if first.isdigit():
        return "digits"
    if not first.isalpha():
        return "punctuation"
    follows = _text(tokenizer, before)[-1:]
    return "inside" if text[0] == first and follows.isalnum() else "starts"


def _text(tokenizer: Any, token: int) -> str:
    """With the blank in front that some tokenizers decode away."""
    piece, text = tokenizer.convert_ids_to_tokens(token) or "", tokenizer.decode([token])
    return " " + text if piece[:1] == "▁" and not text[:1].isspace() else text


def kinds(tokenizer: Any, ids: "Tensor", at: "Tensor") -> "Tensor":
    """(B, K): the kinds, by number, of the tokens behind places `at` of texts `ids` (B, W)."""
    import torch

    rows = zip(ids.tolist(), at.tolist())
    found = [[KINDS.index(kind(tokenizer, row[i], row[i + 1])) for i in places] for row, places in rows]
    return torch.tensor(found, device=at.device)


def by_kind(name: str, weight: "Tensor", which: "Tensor", values: "Tensor") -> "dict[str, Tensor]":
    """Sums over places of each kind: of their weights, under `places:KIND`, and of values, under `NAME:KIND`."""
    found = {}
    for number, label in enumerate(KINDS):
        here = weight * (which == number)
        found |= {f"places:{label}": here.sum(), f"{name}:{label}": (here * values).sum()}
    return found


def means_by_kind(sums: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """`NAME_KIND` for every kind that has places, from such sums."""
    places = {label: sums.get(f"places:{label}", 0.0) for label in KINDS}
    return {
        f"{name}_{label}": sums[f"{name}:{label}"] / places[label]
        for name in names
        for label in KINDS
        if f"{name}:{label}" in sums and places[label]
    }
