"""The door to a causal LM: what the engine needs of it, found once, through public attributes only.

Calling the body and the head separately is what lets us skip the vocabulary wherever nothing is learned or sampled. That
the two together are the model is not believed by family name but checked on a few tokens when the door is opened.
"""

from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn

from tacit.engine.dropout import without_dropout
from tacit.errors import ModelError

TWO_PART = "two_part"
"""Our attention among the library's, which is `sdpa` unless a branch is read."""
FULL, SLIDING = "full_attention", "sliding_attention"
STATES = ("state_size", "ssm_state_size", "mamba_d_state", "d_conv", "lru_width")
"""What configurations call the size of a state-space or otherwise recurrent state."""


@dataclass(frozen=True)
class Door:
    """A causal LM as body, embedding and head."""

    model: Any
    body: nn.Module
    width: int
    """Size of a hidden state."""
    embedding_width: int
    limit: int | None
    """Positions the model has, or None where it does not say."""
    kinds: tuple[str, ...]
    """Which kinds of attention its layers use."""
    window: int | None
    recurrent: bool
    attention: str
    """Name of the attention implementation; the library keeps it under an underscore and offers no other way to read it."""
    scale: float
    cap: float | None
    table: nn.Module | None = None
    """The input embedding, where it is not the model's: that of a body which plays a role beside it."""
    verdicts: dict[bool, str | None] = field(default_factory=dict, compare=False, repr=False)
    """What keeps the model from two-part attention while it trains, and while it does not; of those that were tried."""

    @property
    def embedding(self) -> nn.Module:
        return self.model.get_input_embeddings() if self.table is None else self.table

    def embed(self, ids: Tensor) -> Tensor:
        return self.embedding(ids)

    def head(self, hidden: Tensor) -> Tensor:
        """(…, H) -> (…, V), with the scaling or the cap that the model's own configuration names."""
        logits = self.model.get_output_embeddings()(hidden)
        if self.scale != 1.0:
            logits = logits * self.scale
        if self.cap is not None:
            logits = torch.tanh(logits / self.cap) * self.cap
        return logits

    @property
    def dtype(self) -> torch.dtype:
        return next(self.body.parameters()).dtype

    @property
    def device(self) -> torch.device:
        return next(self.body.parameters()).device


def open_door(model, *, probe: bool = True) -> Door:
    """Look a model over. Refuses, by name, what the engine cannot drive exactly."""
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    if getattr(base, "own_thoughts", False):
        raise ModelError(
            f"{type(base).__name__} thinks before every token by itself, so no other way of thinking can be put into it; set "
            "method.name: quiet, or take a language model"
        )
    config = base.config.get_text_config()
    name = type(base).__name__
    recurrent = hasattr(base.base_model, "read")
    kinds = () if recurrent else _attention_kinds(config, base.base_model, name)
    table = model.get_input_embeddings()
    if table is None or model.get_output_embeddings() is None:
        raise ModelError(f"{name} has no input embedding or no language-model head; give a causal language model")
    door = Door(
        model=model,
        body=base.base_model,
        width=config.hidden_size,
        embedding_width=_weight(table).shape[-1],
        limit=None if recurrent else getattr(config, "max_position_embeddings", None),
        kinds=kinds,
        window=getattr(config, "sliding_window", None) if not kinds or SLIDING in kinds else None,
        recurrent=recurrent,
        attention="" if recurrent else _attention(base.config),
        scale=_head_scale(config),
        cap=getattr(config, "final_logit_softcapping", None),
    )
    _check_numbers(door, name)
    if probe:
        _check_head(door, name)
    return door


def _weight(module: nn.Module) -> Tensor:
    return next(p for n, p in module.named_parameters() if n.endswith("weight"))


def _attention(config) -> str:
    name = str(config._attn_implementation)
    return "sdpa" if name == TWO_PART else name


def _attention_kinds(config, body: nn.Module, name: str) -> tuple[str, ...]:
    stated = getattr(config, "layer_types", None)
    if stated is None:
        kinds = {SLIDING if getattr(config, "sliding_window", None) else FULL}
    else:
        kinds = set(stated)
    foreign = kinds - {FULL, SLIDING}
    has_state = any(hasattr(config, key) for key in STATES)
    cacheless = "past_key_values" not in signature(body.forward).parameters
    if foreign or has_state or cacheless:
        what = ", ".join(sorted(foreign)) or (
            "a recurrent state" if has_state else "what it has read, but not as a cache,"
        )
        raise ModelError(
            f"{name} keeps {what} in its layers. Such a state cannot be forked or branched exactly, so thoughts cannot be "
            "shared, compared or taken back. Use a model whose layers are full or sliding-window attention, or family: gru"
        )
    return tuple(sorted(kinds))


def _head_scale(config) -> float:
    """Two public configuration names for the same thing: a factor (Cohere) and a divisor (Granite)."""
    factor = getattr(config, "logit_scale", None)
    divisor = getattr(config, "logits_scaling", None)
    return float(factor or 1.0) / float(divisor or 1.0)


def _check_numbers(door: Door, name: str) -> None:
    dtype = door.dtype
    if dtype == torch.float16:
        raise ModelError(
            f"{name} has float16 weights. Feeding hidden states back overflows their range within a few thoughts. "
            "Set model.dtype: float32 (with train.precision: bf16 for speed) or bfloat16"
        )
    for label, module in (("input embedding", door.embedding), ("head", door.model.get_output_embeddings())):
        weight = _weight(module)
        if weight.device.type != "meta" and not bool(torch.isfinite(weight.detach()).all()):
            bad = int((~torch.isfinite(weight.detach())).any(-1).sum())
            raise ModelError(
                f"{name}: {bad} rows of the {label} hold NaN or infinity. The checkpoint is damaged, or rows were added "
                "without being set. Load an intact checkpoint, or set model.init_tokens so that new rows are initialised"
            )


@torch.no_grad()
def _check_head(door: Door, name: str) -> None:
    """Body then head must be the model itself: some families do something between the two that no setting names."""
    ids = torch.tensor([[1, 2, 0]], device=door.device) % _weight(door.embedding).shape[0]
    # With a mask, lest the library warn that one of the tokens looks like padding.
    given = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
    with without_dropout(door.model):
        whole = door.model(**given).logits
        ours = door.head(door.body(**given).last_hidden_state)
    if not torch.allclose(whole.float(), ours.float(), rtol=1e-2, atol=1e-3 * float(whole.float().abs().max())):
        raise ModelError(
            f"the head of {name} is more than a matrix behind its body (they differ by "
            f"{float((whole - ours).abs().max()):.3g} on three tokens), and its configuration does not say how. "
            "Use a model whose logits are its output embedding applied to its last hidden state"
        )
