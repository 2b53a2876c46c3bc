"""A recurrent language model that thinks before every token, as an ordinary model of transformers.

The modules here only hold weights. What is computed with them is in `mind`, which computes one model or many side by side.
"""

from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from tacit.errors import ModelError
from tacit.quiet.roles import ROLES, Roles

MLP = 512
LEVEL_WIDTH = 32


class QuietConfig(PreTrainedConfig):
    """The shape of a model that thinks before every token. `hidden_size` is the width of its base model."""

    model_type = "tacit_quiet"

    vocab_size: int = 256
    hidden_size: int = 100
    head: str = "linear"
    roles: dict[str, Any] | None = None
    mark_token_id: int = 0
    """Begins a thought and ends it."""
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.head not in ("linear", "mlp"):
            raise ModelError(f"there is no head {self.head!r}. Set head to linear or mlp.")
        faults = self.parts.faults(self.hidden_size)
        if faults:
            raise ModelError("; ".join(f"{name}: {reason}" for name, reason in faults.items()))

    @property
    def parts(self) -> Roles:
        return Roles(**(self.roles or {}))

    @property
    def reasoner_size(self) -> int:
        return self.parts.reasoner or self.hidden_size


class Network(nn.Module):
    """An embedding and a recurrent layer of the same width."""

    def __init__(self, vocabulary: int, size: int):
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, size)
        self.layer = nn.GRU(size, size)


class Head(nn.Module):
    """From features to the vocabulary, perhaps through two layers of 512 GELUs."""

    def __init__(self, size: int, out: int, kind: str):
        super().__init__()
        if kind == "mlp":
            self.neck = nn.ModuleDict({"0": nn.Linear(size, MLP), "2": nn.Linear(MLP, MLP)})
        self.out = nn.Linear(MLP if kind == "mlp" else size, out)


def _halved(wide: int, narrow: int) -> list[int]:
    """Widths from one to the other, each half of the one before."""
    widths = [wide]
    while widths[-1] >= 2 * narrow:
        widths.append(max(narrow, widths[-1] // 2))
    return widths if widths[-1] == narrow else [*widths, narrow]


class Gate(nn.Module):
    """How far a prediction leaves the base model, and where to."""

    def __init__(self, base: int, other: int):
        super().__init__()
        self.base_norm, self.other_norm = nn.LayerNorm(base), nn.LayerNorm(other)
        self.mixed = nn.ModuleDict({"0": nn.Linear(base + other, MLP), "2": nn.Linear(MLP, base)})
        self.weight = nn.ModuleDict({"0": nn.Linear(base + other, MLP), "2": nn.Linear(MLP, 1)})


class QuietForCausalLM(PreTrainedModel):
    """The weights of all roles. `own_thoughts` says that no engine may drive it: it thinks by itself."""

    config_class = QuietConfig
    base_model_prefix = "networks"
    own_thoughts = True
    config: QuietConfig  # pyright: ignore[reportIncompatibleVariableOverride]
    steps: Tensor
    """Optimizer steps that were taken before the last one."""
    usual: Tensor
    """A running mean of thoughts' values."""
    pressure: Tensor
    """The bonus on undecided choices, where it follows a target."""

    def __init__(self, config: QuietConfig):
        super().__init__(config)
        roles, base, size = config.parts, config.hidden_size, config.reasoner_size
        played = roles.groups if roles.thinks else roles.groups[:1]
        widths = {letter: base if role == ROLES[0] else size for role, letter in reversed(list(zip(ROLES, played)))}
        self.networks = nn.ModuleDict(
            {letter: Network(config.vocab_size, widths[letter]) for letter in dict.fromkeys(played)}
        )
        level = LEVEL_WIDTH if roles.levels else 0
        if level:
            self.head_level = nn.Embedding(roles.levels, level)
        self.head = Head(self.features + level, config.vocab_size, config.head)
        if roles.thinks:
            self._add_thinking(roles, base, size)
        # What is counted while training. It is saved with the weights, so a run that goes on counts on.
        self.register_buffer("steps", torch.zeros((), dtype=torch.float64))
        self.register_buffer("usual", torch.zeros((), dtype=torch.float64))
        self.register_buffer("pressure", torch.zeros((), dtype=torch.float64))
        self.post_init()

    @property
    def features(self) -> int:
        """Numbers that a prediction is made from, without the level."""
        config, join = self.config, self.config.parts.join
        if not config.parts.thinks:
            return config.hidden_size
        return {"concat": config.hidden_size + config.reasoner_size, "alone": config.reasoner_size}.get(
            join, config.hidden_size
        )

    def _add_thinking(self, roles: Roles, base: int, size: int) -> None:
        if roles.levels:
            self.reasoner_level = nn.Embedding(roles.levels, size)
            self.interpreter_level = nn.Embedding(roles.levels, size)
        if roles.reasoner_head != "shared":
            self.reasoner_head = Head(size, self.config.vocab_size, roles.reasoner_head)
        elif size != self.features:
            self.adapter = nn.Linear(size, self.features)
        if roles.join == "add":
            widths = _halved(size, base) if roles.halving else [size, base]
            self.down = nn.ModuleList(nn.Linear(wide, narrow) for wide, narrow in zip(widths, widths[1:]))
        elif roles.join in ("gate", "warm_gate"):
            self.gate = Gate(base, size)
        if roles.judge:
            self.judge = Head(base + size, 1, "linear")

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Torch's own initialisation, and a gate that begins without an opinion."""
        if isinstance(module, nn.Linear | nn.Embedding | nn.RNNBase | nn.LayerNorm):
            module.reset_parameters()
        if isinstance(module, Gate):
            last = module.weight["2"]
            nn.init.zeros_(last.weight)  # type: ignore[arg-type]
            nn.init.zeros_(last.bias)  # type: ignore[arg-type]

    def get_input_embeddings(self) -> nn.Module:
        return self.networks[self.config.parts.groups[0]].embedding  # type: ignore[return-value]

    def get_output_embeddings(self) -> nn.Module:
        return self.head.out

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor | None = None, length: int = 0, **kwargs
    ) -> CausalLMOutput:
        """Logits (B, L, V) behind one drawn thought of `length` tokens before each of them."""
        from tacit.quiet.mind import Mind
        from tacit.quiet.stack import Stack

        return CausalLMOutput(logits=Mind(self.config, Stack([self])).logits(input_ids, length))


AutoConfig.register(QuietConfig.model_type, QuietConfig, exist_ok=True)
AutoModelForCausalLM.register(QuietConfig, QuietForCausalLM, exist_ok=True)
