"""What a run would do, before it does it: the first batch token by token, and what a step costs in memory and time."""

import time
from itertools import islice
from typing import Any, NamedTuple

import torch

from tacit.batch import Batch
from tacit.example import encode
from tacit.methods.base import Method
from tacit.models.making import vocabulary_of
from tacit.recipe.schema import Recipe
from tacit.train.checkpoint import Position
from tacit.train.data import Rows, lay_out
from tacit.train.feed import Feed
from tacit.vocab import Vocab

ENOUGH = 2000
"""Examples looked at; a preview of a large data set must not read all of it."""


class Preview(NamedTuple):
    tokenizer: Any
    vocab: Vocab
    rows: Rows
    steps: int


def preview(recipe: Recipe) -> Preview:
    """The rows of the first step, laid out as training would. No weights are loaded."""
    task, method = recipe.resolved_task(), recipe.method.settings
    assert isinstance(method, Method)
    examples = list(islice(task.examples("train"), recipe.train.limit or ENOUGH))
    tokenizer, vocab = vocabulary_of(recipe, examples)
    encoded = encode(examples, tokenizer, task.template)
    feed = Feed(recipe.train, method, encoded, vocab)
    picks = feed.picks(Position(), feed.first)
    rows = lay_out(method, encoded, picks, vocab, feed.first, recipe.train.seed)
    return Preview(tokenizer, vocab, rows, feed.steps)


def first_batch(recipe: Recipe, shown: int = 8) -> str:
    """Column, segment, position, id, text and label of every token of the first rows."""
    seen = preview(recipe)
    return "\n".join(
        f"{example.id or 'example'} · view {name}\n{layout.show(seen.tokenizer)}\n"
        for row, example in list(zip(seen.rows, seen.rows.examples))[:shown]
        for name, layout in row.items()
    )


def estimate(recipe: Recipe) -> dict[str, str]:
    """Sizes by counting, time by what this machine's matrix products do now; activations by rule of thumb."""
    seen = preview(recipe)
    total, trained, config = _parameters(recipe, seen)
    batches = [Batch.of([row[name] for row in seen.rows], seen.vocab) for name in seen.rows[0]]
    columns = sum(batch.ids.numel() for batch in batches)
    learned = sum(len(batch.targets) for batch in batches)
    reads = sum(len(batch.latent_columns) + 1 for batch in batches)
    vocabulary, hidden = len(seen.tokenizer), config.hidden_size
    body = total - 2 * vocabulary * hidden if not config.tie_word_embeddings else total - vocabulary * hidden
    flops = 6 * (max(body, 0) * columns + vocabulary * hidden * learned)
    size = 4 if recipe.train.precision == "fp32" else 2
    # Some 34 numbers of a layer's width are kept for each column (norms, projections, the feed-forward's inner layer).
    activations = 17 * size * config.num_hidden_layers * hidden * columns + 8 * vocabulary * learned
    states = total * 4 + trained * (4 + 8)
    seconds = flops / _speed()
    return {
        "parameters": f"{total:,} ({trained:,} trained)",
        "steps": f"{seen.steps:,}",
        "a step": f"{columns:,} columns, {learned:,} learned tokens, {reads} reads of the model",
        "weights, gradients, optimizer": _bytes(states),
        "activations of a batch at once": f"about {_bytes(activations)}",
        "arithmetic of a step": f"{flops:.2e} FLOPs",
        "time": f"about {seconds:.2g} s a step, {seconds * seen.steps / 3600:.2g} hours, if the device is kept busy",
    }


def _parameters(recipe: Recipe, seen: Preview) -> tuple[int, int, Any]:
    """(all, trained, configuration), counted on a model without storage."""
    from tacit.models.adapters import add_lora
    from tacit.models.loading import empty_model
    from tacit.models.tokens import token_ids

    model = empty_model(recipe.model, len(seen.tokenizer), seen.vocab)
    config = model.config.get_text_config()
    if recipe.model.lora is not None:
        model = add_lora(model, recipe.model.lora, token_ids(seen.vocab))
    parameters = list(model.parameters())
    return sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad), config


def _speed(size: int = 1024, seconds: float = 0.3) -> float:
    """FLOPs a second of a square matrix product on the device that would train."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.randn(size, size, device=device)
    begun, done = time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        a = torch.nn.functional.normalize(a @ a)
        if device == "cuda":
            torch.cuda.synchronize()
        done += 1
    return done * 2 * size**3 / (time.perf_counter() - begun)


def _bytes(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.3g} {unit}"
        count /= 1024
    return ""
