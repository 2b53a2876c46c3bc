"""A thinker small enough to train in milliseconds, sums to train it on, and recipes for both."""

import random
from pathlib import Path

import torch

from tacit.example import Example, Template, encode
from tacit.models.adapters import add_lora
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import character_tokenizer
from tacit.models.tokens import add_tokens, token_ids
from tacit.recipe.choice import decode
from tacit.recipe.schema import Lora, Recipe
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tacit.train.fit import fit

TEMPLATE = Template(question="{question}=", step="{step};", cue="#", answer="{answer}", bos=False)


def sums(count: int) -> list[Example]:
    """Additions of two or three numbers, of different lengths."""
    rng = random.Random(0)
    out = []
    for i in range(count):
        numbers = [rng.randrange(1, 10 ** rng.randrange(1, 3)) for _ in range(rng.randrange(2, 4))]
        steps = tuple(f"{sum(numbers[:k])}+{numbers[k]}={sum(numbers[: k + 1])}" for k in range(1, len(numbers)))
        out.append(Example(f"sum-{i}", "+".join(map(str, numbers)), steps, str(sum(numbers))))
    return out


DISTILLED = {
    "name": "distill",
    "latents": {"per_step": 1, "plus": 1},
    "meaned": 1.0,
    "aligned": 1.0,
    "stages": {"every": 1, "last": 2, "mix": 0.5},
}
"""Every term, a learned stop, rows whose teacher writes no step, rows of one step laid out for different stages."""


def make_thinker(
    dropout: float = 0.0,
    dtype: torch.dtype = torch.float32,
    lora: bool = False,
    schedule: str = "cached",
    thinking: Thinking | None = None,
) -> Thinker:
    torch.manual_seed(0)
    tokenizer = character_tokenizer(["0123456789+=;#"])
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family="gpt2", layers=1, hidden=16, heads=2, positions=64, dropout=dropout)
    model = build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0)
    base = add_lora(model, Lora(r=2, dropout=dropout), token_ids(vocab)) if lora else model.to(dtype)
    return Thinker(base, tokenizer, vocab, thinking or Thinking(schedule=schedule))


def make_recipe(method: dict | None = None, eval: dict | None = None, **train) -> Recipe:
    train = {"steps": 6, "batch": 8, "lr": 1e-2, "log_every": 1, **train}
    method = method or {"name": "coconut", "epochs_per_stage": 0.4, "max_stage": 2}
    return decode(Recipe, {"task": {"name": "arithmetic"}, "method": method, "train": train, "eval": eval or {}})


def run(folder: Path, recipe: Recipe, thinker: Thinker | None = None, count: int = 40, **options) -> Thinker:
    """Train a fresh thinker (or the given one) and return it."""
    thinker = thinker or make_thinker()
    encoded = encode(sums(count), thinker.tokenizer, TEMPLATE)
    fit(recipe, thinker, recipe.method.settings, encoded, folder=folder, **options)
    return thinker


def weights(thinker: Thinker) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in thinker.named_parameters()}


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    """Every bit."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
