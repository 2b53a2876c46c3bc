"""From a recipe's `model` section to a thinker: existing weights or weights from scratch, tokenizer, tokens, adapters."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from tacit.errors import ModelError
from tacit.models.scratch import build
from tacit.models.tokenizers import bpe_tokenizer, character_tokenizer, word_tokenizer
from tacit.models.tokens import add_tokens, make_rows
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tacit.vocab import Vocab

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def make_thinker(
    model: Any,
    thinking: Thinking,
    *,
    tokens: Sequence[str] = (),
    texts: Sequence[str] = (),
    words: Sequence[str] | None = None,
    precision: str = "fp32",
    seed: int = 0,
) -> Thinker:
    """`model` is the section of a recipe. `texts` or `words` are what a tokenizer from scratch is made of."""
    torch.manual_seed(seed)
    if model.path is not None:
        dtype = DTYPES["bf16" if precision == "bf16_weights" or model.dtype == "bf16" else "fp32"]
        base, tokenizer = load_base(
            model.path, revision=model.revision, tokenizer=model.tokenizer, dtype=dtype, attention=model.attention
        )
        before = set(tokenizer.get_vocab().values())
        vocab = add_tokens(tokenizer, tokens)
        fresh = [i for i in _ids(vocab) if i not in before]
        if fresh:
            make_rows(base, tokenizer, fresh, model.init_tokens)
    else:
        tokenizer = _own_tokenizer(model, texts, words)
        vocab = add_tokens(tokenizer, tokens)
        base = build(model.tiny, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=seed)
        if precision == "bf16_weights":
            base.to(torch.bfloat16)
    if model.lora is not None:
        base = add_lora(base, model.lora, _ids(vocab))
    return Thinker(base, tokenizer, vocab, thinking)


def load_base(
    path: str, *, revision: str | None = None, tokenizer: str = "auto", dtype: torch.dtype, attention: str = "auto"
):
    """A published model and its tokenizer, or those of a folder. A gated or missing one is one clear sentence."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    import tacit.models.gru  # noqa: F401 (teaches the library our recurrent models)

    options: dict[str, Any] = {} if attention == "auto" else {"attn_implementation": attention}
    try:
        made, info = AutoModelForCausalLM.from_pretrained(
            path, revision=revision, dtype=dtype, output_loading_info=True, **options
        )
        words = AutoTokenizer.from_pretrained(path if tokenizer == "auto" else tokenizer)
    except (OSError, ValueError) as error:
        raise ModelError(_unreachable(path, error)) from error
    lost = [key for key in info["missing_keys"] if "lm_head" in key or "embed_out" in key]
    if lost and not made.config.tie_word_embeddings:
        raise ModelError(
            f"{path} has no weights for {', '.join(lost)}, so its head would be drawn at random and answer nonsense. "
            "Use a causal-LM checkpoint, or one whose configuration says tie_word_embeddings: true"
        )
    return made, words


def _unreachable(path: str, error: Exception) -> str:
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "gated" in str(error).lower() or "401" in str(error):
        return f"{path} is gated: accept its terms on its page, then set HF_TOKEN to a token of your account. ({said})"
    if Path(path).exists():
        return f"{path} cannot be loaded as a causal language model: {said}"
    return f"{path} is neither a folder here nor reachable on the hub; check the name, the network and HF_HUB_OFFLINE. ({said})"


def _own_tokenizer(model: Any, texts: Sequence[str], words: Sequence[str] | None):
    kind = model.tokenizer
    if kind == "auto":
        kind = "word" if words is not None else "character"
    if kind == "character":
        return character_tokenizer(texts)
    if kind == "word":
        return word_tokenizer(words if words is not None else texts)
    if kind == "bpe":
        return bpe_tokenizer(texts, model.vocabulary)
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(kind)
    except (OSError, ValueError) as error:
        raise ModelError(_unreachable(kind, error)) from error


def _ids(vocab: Vocab) -> list[int]:
    return [vocab.open, vocab.latent, vocab.close, *vocab.extra.values()]


def add_lora(base, lora: Any, tokens: Sequence[int]):
    """Adapters beside a frozen base; the rows of the added tokens are trained in the embedding and, if untied, the head."""
    from peft import LoraConfig, get_peft_model

    names = {id(m): n.rpartition(".")[2] for n, m in base.named_modules()}
    trained = {names[id(base.get_input_embeddings())]: list(tokens)}
    if base.get_output_embeddings().weight is not base.get_input_embeddings().weight:
        trained[names[id(base.get_output_embeddings())]] = list(tokens)
    targets = "all-linear" if lora.targets == "auto" else list(lora.targets)
    config = LoraConfig(
        r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=targets,
        trainable_token_indices=trained, task_type="CAUSAL_LM",
    )  # fmt: skip
    return get_peft_model(base, config)
