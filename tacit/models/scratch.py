"""A language model from a few numbers: any of the supported architectures, untrained, as small as one likes.

`Scratch` holds the numbers under one set of names, whatever an architecture calls them; `build` turns them into the
stock transformers model (or our recurrent one) by arguments of its configuration alone. What an architecture does not
have is refused, not ignored. Importing this file costs nothing: torch and transformers wait until a model is built.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tacit.errors import ModelError
from tacit.models.initial import Initial, draw_weights
from tacit.quiet.roles import Roles
from tacit.quiet.states import GaussianStates
from tacit.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

FamilyName = Literal[
    "gpt2",
    "llama",
    "qwen2",
    "qwen3",
    "mistral",
    "gemma",
    "olmo2",
    "phi",
    "gpt_neox",
    "opt",
    "gru",
    "lstm",
    "roles",
    "gaussian",
]


class Scratch(Settings):
    """An untrained causal language model."""

    family: FamilyName = "gpt2"
    """The architecture. gru and lstm are our own recurrent models, roles those of them that think before every token (one layer,
    method quiet), gaussian those that draw their states (one layer, method gaussian); the others are those of transformers."""
    layers: int = Field(default=2, ge=1)
    """Layers; roles and gaussian have one."""
    hidden: int = Field(default=64, ge=1)
    """Width of the hidden state and of the embeddings."""
    heads: int = Field(default=4, ge=1)
    """Attention heads; they divide the hidden width."""
    kv_heads: int | None = Field(default=None, ge=1)
    """Heads for keys and values, each shared by several attention heads. Left out: as many as heads."""
    mlp: int | None = Field(default=None, ge=1)
    """Inner width of the feed-forward layers. Left out: four times the hidden width."""
    positions: int = Field(default=1024, ge=1)
    """The longest sequence: the size of the position table, or the stated limit where positions are rotations."""
    window: int | None = Field(default=None, ge=1)
    """How many columns attention looks back, its own included, in every layer. Left out: all of them."""
    rope_theta: float | None = Field(default=None, gt=0)
    """The base of rotary positions. Left out: 10,000."""
    head: Literal["linear", "mlp"] = "linear"
    """What maps a recurrent state to the vocabulary: a linear layer alone, or behind two layers of 512."""
    tied: bool | None = None
    """Whether embeddings and output layer share one table. Left out: as the family does (gpt2, opt and gemma share)."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout wherever the architecture has it; llama and its relatives have it on attention weights only."""
    init_std: float | None = Field(default=None, gt=0)
    """Standard deviation of initial weights. Left out: 0.02, or for recurrent models torch's own initialisation."""
    roles: Roles | None = None
    """Who reads, thinks and interprets in a model that thinks before every token; hidden is the width of its base model."""
    gaussian: GaussianStates | None = None
    """What is drawn in a model that draws its states."""
    initial: Initial | None = None
    """Initial weights by part, over those of init_std."""

    def own(self) -> Any:
        """The section that belongs to this family alone, as it stands if it was left out."""
        return getattr(self, self.family) or OWN[self.family]()

    def faults(self) -> dict[str, str]:
        """Every setting that cannot work, with the reason and the remedy; empty if a model can be built."""
        family, faults = FAMILIES[self.family], {}
        for name in self.changed(*sorted(OPTIONAL - family.has)):
            able = ", ".join(other for other, shape in FAMILIES.items() if name in shape.has)
            faults[name] = f"{self.family} has no such setting: leave it out, or take one of {able}"
        if self.head == "mlp" and self.tied and "head" in family.has:
            faults["tied"] = "an mlp head ends in another width than the embeddings: set tied: false, or head: linear"
        if "roles" in family.has:
            faults |= {f"roles.{name}": why for name, why in self.own().faults(self.hidden).items()}
        if "heads" not in family.has:
            return faults
        if self.hidden % self.heads:
            faults["heads"] = (
                f"{self.heads} heads do not divide a hidden width of {self.hidden}: "
                f"set heads to {_nearest_divisor(self.hidden, self.heads)}"
            )
        elif "rope_theta" in family.has and (self.hidden // self.heads) % (2 * family.unrotated):
            faults["heads"] = (
                f"{self.family} rotates pairs of numbers in each head, so a head's width (hidden / heads, here "
                f"{self.hidden // self.heads}) must be a multiple of {2 * family.unrotated}: set hidden to "
                f"{2 * family.unrotated * self.heads} or a multiple of it"
            )
        if "kv_heads" in family.has and self.kv_heads and self.heads % self.kv_heads:
            nearest = _nearest_divisor(self.heads, self.kv_heads)
            faults["kv_heads"] = f"{self.kv_heads} do not divide {self.heads} heads: set kv_heads to {nearest}"
        return faults


def build(
    scratch: Scratch, vocab_size: int, *, eos: int, pad: int, bos: int | None = None, seed: int | None = None
) -> "PreTrainedModel":
    """The model, in float32 and with SDPA attention. With a seed its weights do not depend on what was drawn before."""
    faults = scratch.faults()
    for name, index in {"eos": eos, "pad": pad, "bos": bos}.items():
        if index is not None and not 0 <= index < vocab_size:
            faults[name] = f"token {index} is outside a vocabulary of {vocab_size}: give the tokenizer's id and length"
    if faults:
        listed = "".join(f"\n  {name:<10} {reason}" for name, reason in faults.items())
        raise ModelError(f"a {scratch.family} model cannot be built from these settings:{listed}")

    import torch
    from transformers import AutoModelForCausalLM

    config = _config(scratch, vocab_size=vocab_size, eos_token_id=eos, pad_token_id=pad, bos_token_id=bos)
    attention = {"attn_implementation": "sdpa"} if "heads" in FAMILIES[scratch.family].has else {}
    with _seeded(seed):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, **attention)
        if scratch.initial is not None:
            draw_weights(model, scratch.initial)
        return model


def _head_width(scratch: Scratch) -> dict[str, Any]:
    """For families whose heads together are wider than the hidden state unless told otherwise."""
    return {"head_dim": scratch.hidden // scratch.heads}


def _fused_gelu(scratch: Scratch) -> dict[str, Any]:
    """GPT-2's own activation is this function in five separate operations."""
    return {"activation_function": "gelu_pytorch_tanh"}


def _sliding_everywhere(scratch: Scratch) -> dict[str, Any]:
    """For families that keep a window switched off, and then in some layers only, unless told otherwise."""
    return {"use_sliding_window": scratch.window is not None, "max_window_layers": 0}


@dataclass(frozen=True)
class Family:
    """What an architecture has, and what its configuration calls it."""

    has: frozenset[str]
    names: dict[str, str] = field(default_factory=dict)
    """Where its configuration does not use the `USUAL` name."""
    dropout: tuple[str, ...] = ("attention_dropout",)
    tied: bool = False
    unrotated: int = 1
    """One out of this many numbers in a head takes part in rotary positions."""
    more: Callable[[Scratch], dict[str, Any]] = lambda _: {}
    """Arguments that are its own."""


OPTIONAL = frozenset(
    {"heads", "mlp", "positions", "kv_heads", "window", "rope_theta", "head", "initial", "roles", "gaussian"}
)
ATTENTION = frozenset({"heads", "mlp", "positions"})
ROTARY = ATTENTION | {"rope_theta"}
GROUPED = ROTARY | {"kv_heads"}
SLIDING = GROUPED | {"window"}
RECURRENT = frozenset({"head"})

OWN: dict[str, type[Settings]] = {"roles": Roles, "gaussian": GaussianStates}
"""Families with a section of settings that is called as they are."""
OURS = {"gru": "tacit_gru", "lstm": "tacit_gru", "roles": "tacit_quiet", "gaussian": "tacit_gaussian"}
"""What our own models are called in a saved configuration."""

USUAL = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "mlp": "intermediate_size",
    "positions": "max_position_embeddings",
    "window": "sliding_window",
    "head": "head",
    "tied": "tie_word_embeddings",
    "init_std": "initializer_range",
}
GPT2_NAMES = {"layers": "n_layer", "hidden": "n_embd", "heads": "n_head", "mlp": "n_inner", "positions": "n_positions"}
OPT_NAMES = {"mlp": "ffn_dim", "init_std": "init_std"}

FAMILIES: dict[str, Family] = {
    "gpt2": Family(
        ATTENTION | {"initial"}, GPT2_NAMES, ("resid_pdrop", "embd_pdrop", "attn_pdrop"), tied=True, more=_fused_gelu
    ),
    "llama": Family(GROUPED),
    "qwen2": Family(SLIDING, more=_sliding_everywhere),
    "qwen3": Family(SLIDING, more=lambda scratch: _sliding_everywhere(scratch) | _head_width(scratch)),
    "mistral": Family(SLIDING),
    "gemma": Family(GROUPED, tied=True, more=_head_width),
    "olmo2": Family(GROUPED),
    "phi": Family(GROUPED, dropout=("resid_pdrop", "embd_pdrop", "attention_dropout"), unrotated=2),
    "gpt_neox": Family(ROTARY, dropout=("attention_dropout", "hidden_dropout"), unrotated=4),
    "opt": Family(
        ATTENTION,
        OPT_NAMES,
        ("dropout", "attention_dropout"),
        tied=True,
        more=lambda scratch: {"word_embed_proj_dim": scratch.hidden},
    ),
    "gru": Family(RECURRENT, dropout=("dropout",), more=lambda _: {"cell": "gru"}),
    "lstm": Family(RECURRENT, dropout=("dropout",), more=lambda _: {"cell": "lstm"}),
    "roles": Family(RECURRENT | {"roles"}, dropout=(), more=lambda scratch: {"roles": scratch.own().model_dump()}),
    "gaussian": Family(RECURRENT | {"gaussian"}, dropout=(), more=lambda scratch: scratch.own().model_dump()),
}


def _config(scratch: Scratch, **tokens: int | None) -> "PreTrainedConfig":
    """The configuration of the architecture, by its own names. What the family leaves to itself is not mentioned."""
    from transformers import AutoConfig

    import tacit.models.gru
    import tacit.quiet.drawn
    import tacit.quiet.model  # noqa: F401  (makes the recurrent models known)

    family = FAMILIES[scratch.family]
    values = scratch.model_dump(include=USUAL.keys() - OPTIONAL | family.has - {"rope_theta", "initial", *OWN})
    values["tied"] = family.tied if scratch.tied is None else scratch.tied
    values |= {"mlp": scratch.mlp or 4 * scratch.hidden} if "mlp" in family.has else {}
    values |= {"kv_heads": scratch.kv_heads or scratch.heads} if "kv_heads" in family.has else {}
    if scratch.init_std is None:
        del values["init_std"]
    arguments: dict[str, Any] = {(USUAL | family.names)[name]: value for name, value in values.items()}
    arguments |= dict.fromkeys(family.dropout, scratch.dropout)
    kind = OURS.get(scratch.family, scratch.family)
    config = AutoConfig.for_model(kind, **arguments, **family.more(scratch), **tokens)
    if scratch.rope_theta is not None:
        config.rope_parameters = {**config.rope_parameters, "rope_theta": scratch.rope_theta}
    return config


@contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Draws from the seed, and leaves the global random state as if nothing had been drawn."""
    import torch

    if seed is None:
        yield
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _nearest_divisor(whole: int, wanted: int) -> int:
    return min((n for n in range(1, whole + 1) if whole % n == 0), key=lambda n: abs(n - wanted))
