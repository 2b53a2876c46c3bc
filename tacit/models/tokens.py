"""Give a model the tokens of thinking: in its tokenizer, its embedding and its head, each row set on purpose."""

from collections.abc import Sequence
from typing import Any

import torch

from tacit.errors import ModelError
from tacit.models.tokenizers import encode
from tacit.vocab import CLOSE, LATENT, OPEN, Vocab

THOUGHT = (OPEN, LATENT, CLOSE)


def add_tokens(tokenizer, more: Sequence[str] = (), words: Sequence[str] = ()) -> Vocab:
    """Find or add the thought tokens and `more`, and `words`, which mean nothing to the engine. They are ordinary tokens:
    they show in decoded text."""
    from transformers import AddedToken

    known = tokenizer.get_vocab()
    fresh = [t for t in (*THOUGHT, *more, *words) if t not in known]
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in fresh])
    return find_tokens(tokenizer, more)


def find_tokens(tokenizer, more: Sequence[str] = ()) -> Vocab:
    known = tokenizer.get_vocab()
    missing = [t for t in (*THOUGHT, *more) if t not in known]
    if missing:
        raise ModelError(f"the tokenizer has no {', '.join(missing)}; load the model through a recipe, which adds them")
    if tokenizer.eos_token_id is None:
        raise ModelError("the tokenizer has no end-of-text token, so no answer could end; set its eos_token")
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
    ids = [known[t] for t in THOUGHT]
    return Vocab(*ids, eos=tokenizer.eos_token_id, pad=pad, extra={t: known[t] for t in more})


def token_ids(vocab: Vocab) -> list[int]:
    """All ids that `add_tokens` found or added."""
    return [vocab.open, vocab.latent, vocab.close, *vocab.extra.values()]


def with_tokens(model, tokenizer, more: Sequence[str] = (), start: str = "mean", words: Sequence[str] = ()) -> Vocab:
    """`add_tokens`, and `make_rows` for those that the model had no rows for."""
    before = set(tokenizer.get_vocab().values())
    vocab = add_tokens(tokenizer, more, words)
    fresh = sorted(set(tokenizer.get_vocab().values()) - before)
    if fresh:
        make_rows(model, tokenizer, fresh, start)
    return vocab


@torch.no_grad()
def make_rows(model, tokenizer, ids: Sequence[int], start: str = "mean") -> None:
    """Rows of the embedding and of the head for new tokens: copies of the token `start`'s, or the mean of all rows.

    A row that is left to the library is drawn at random, and in an untied head that is a random direction for ever.
    """
    rows = model.get_input_embeddings().weight.shape[0]
    if model.get_output_embeddings().weight.shape[0] != rows:
        raise ModelError(
            f"the embedding has {rows} rows and the head {model.get_output_embeddings().weight.shape[0]}; "
            "they must agree before tokens are added"
        )
    source = None
    if start != "mean":
        found = encode(tokenizer, start)
        if len(found) != 1:
            raise ModelError(
                f"model.init_tokens {start!r} is {len(found)} tokens for this tokenizer; name one token, or mean"
            )
        source = found[0]
    old = min(rows, min(ids))
    if len(tokenizer) > rows:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    for weight in {id(w): w for w in _tables(model)}.values():
        row = weight[:old].mean(0) if source is None else weight[source]
        weight[torch.tensor(ids, device=weight.device)] = row.clone()


def _tables(model) -> list[Any]:
    head = model.get_output_embeddings()
    return [
        model.get_input_embeddings().weight,
        head.weight,
        *([head.bias] if getattr(head, "bias", None) is not None else []),
    ]
