"""A recurrent language model whose hidden states are drawn: a thought before every token that is a vector and not words.

A draw is normal, with a mean and a variance of its own for each number. Means and log-variances are bounded where they are
made: bounded behind the exponential, a variance that has overflowed has a gradient of zero times infinity, which is none.

Shapes: B texts, L columns, T chains of states of each text, H hidden size, G numbers of all gates, V vocabulary.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_outputs import CausalLMOutput

from tacit.errors import ModelError
from tacit.models.gru import MLP_HEAD, GRUConfig, GRUPreTrainedModel, neck
from tacit.quiet.choosing import score
from tacit.quiet.states import GaussianStates

MEAN, LOG_VARIANCE = 1000.0, 30.0
"""How far means and log-variances may be from 0."""
LOG_CIRCLE = math.log(2 * math.pi)


class GaussianConfig(GRUConfig):
    """The shape of a recurrent language model with drawn states; it has one layer."""

    model_type = "tacit_gaussian"

    drawn: str = "candidate"
    judge: bool = False

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.drawn not in ("candidate", "state", "nothing"):
            raise ModelError(f"nothing is called {self.drawn!r} in a layer. Set drawn to candidate, state or nothing.")

    @property
    def states(self) -> GaussianStates:
        return GaussianStates(cell=self.cell, drawn=self.drawn, judge=self.judge)  # type: ignore[arg-type]


class Read(NamedTuple):
    """Chains of states along texts."""

    hidden: Tensor
    """(L, B, T, H) the states after each column."""
    logp: Tensor
    """(L, B, T) log-density of what was drawn in a column, given what was drawn before."""
    entropy: Tensor
    """(L, B, T) of the distribution that it was drawn from, in nats."""


def drawn(told: Tensor, noise: Tensor | None, pathwise: bool) -> tuple[Tensor, Tensor, Tensor]:
    """A draw (…, H) from means and log-variances (…, 2H), its log-density and the entropy (…). Without noise it is the mean.

    `pathwise`: gradients pass through the draw to mean and variance. Otherwise a draw is a fact, and its log-density is what
    depends on them.
    """
    mean, log_variance = told.chunk(2, -1)
    mean, log_variance = mean.clamp(-MEAN, MEAN), log_variance.clamp(-LOG_VARIANCE, LOG_VARIANCE)
    deviation = (log_variance / 2).exp()
    value = mean if noise is None else mean + deviation * noise
    value = value if pathwise else value.detach()
    logp = -(((value - mean) / deviation) ** 2 + log_variance + LOG_CIRCLE).sum(-1) / 2
    return value, logp, (log_variance + LOG_CIRCLE + 1).sum(-1) / 2


class Layer(nn.Module):
    """A recurrent layer that stops twice in every column, so that what it has there may be replaced by a draw."""

    def __init__(self, size: int, states: GaussianStates):
        super().__init__()
        self.cell = nn.LSTMCell(size, size) if states.cell == "lstm" else nn.GRUCell(size, size)
        self.drawn = states.drawn
        if self.drawn != "nothing":
            self.told = nn.Linear(size, 2 * size)

    def inputs(self, embedded: Tensor) -> Tensor:
        """What tokens add to the gates: (…, H) -> (…, G)."""
        return linear(embedded, self.cell.weight_ih, self.cell.bias_ih)

    def first(self, like: Tensor) -> tuple[Tensor, ...]:
        """The state in which texts begin, each number of it like (B, T, H)."""
        return tuple(torch.zeros_like(like) for _ in range(2 if isinstance(self.cell, nn.LSTMCell) else 1))

    def column(self, given: Tensor, state: tuple[Tensor, ...], draws: "_Draws") -> tuple[Tensor, ...]:
        """One token further: given (B, 1, G), state of (B, T, H) each."""
        own = linear(state[0], self.cell.weight_hh, self.cell.bias_hh)
        if isinstance(self.cell, nn.LSTMCell):
            take, keep, new, show = (given + own).chunk(4, -1)
            candidate = draws.at("candidate", new.tanh())
            memory = keep.sigmoid() * state[1] + take.sigmoid() * candidate
            return draws.at("state", show.sigmoid() * memory.tanh()), memory
        reset, keep, new = given.chunk(3, -1)
        own_reset, own_keep, own_new = own.chunk(3, -1)
        candidate = draws.at("candidate", (new + (reset + own_reset).sigmoid() * own_new).tanh())
        return (draws.at("state", torch.lerp(candidate, state[0], (keep + own_keep).sigmoid())),)


class _Draws:
    """What is drawn along the columns of one read."""

    def __init__(self, layer: Layer, noise: Tensor | None, pathwise: bool):
        self.layer, self.noise, self.pathwise = layer, noise, pathwise
        self.logp: list[Tensor] = []
        self.entropy: list[Tensor] = []

    def at(self, place: str, value: Tensor) -> Tensor:
        if place != self.layer.drawn:
            return value
        noise = None if self.noise is None else self.noise[len(self.logp)]
        value, logp, entropy = drawn(self.layer.told(value), noise, self.pathwise)
        self.logp.append(logp)
        self.entropy.append(entropy)
        return value


class GaussianForCausalLM(GRUPreTrainedModel):
    """Embedding, recurrent layer, head. `own_thoughts` says that no engine may drive it: it draws its states by itself."""

    config_class = GaussianConfig
    own_thoughts = True
    config: GaussianConfig  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, config: GaussianConfig):
        super().__init__(config)
        size, mlp = config.hidden_size, config.head == "mlp"
        self.embed_tokens = nn.Embedding(config.vocab_size, size)
        self.layer = Layer(size, config.states)
        self.neck = neck(size) if mlp else nn.Identity()
        self.lm_head = nn.Linear(MLP_HEAD if mlp else size, config.vocab_size)
        if config.judge:
            self.judge = nn.Linear(2 * size, 1)
        self.post_init()

    def read(self, ids: Tensor, noise: Tensor | None = None, pathwise: bool = False) -> Read:
        """Reads texts (B, L) by standard normal numbers (L, B, T, H), which are all that is left to chance. Without them,
        every state is the mean of what it would be drawn from, and T is 1."""
        given = self.layer.inputs(self.embed_tokens(ids.T))[:, :, None]
        chains = 1 if noise is None else noise.shape[2]
        state = self.layer.first(given.new_empty(len(ids), chains, self.config.hidden_size))
        draws, hidden = _Draws(self.layer, noise, pathwise), []
        for column in given:
            state = self.layer.column(column, state, draws)
            hidden.append(state[0])
        whole = torch.stack(hidden)
        if not draws.logp:
            nothing = whole.new_zeros(whole.shape[:-1])
            return Read(whole, nothing, nothing)
        return Read(whole, torch.stack(draws.logp), torch.stack(draws.entropy))

    def score(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Log-probabilities (L, B, T) of what comes next, targets (B, L)."""
        tokens = targets.T[..., None].expand(hidden.shape[:-1])
        weight, bias = self.lm_head.weight[None], self.lm_head.bias[None]
        return score(self.neck(hidden).flatten(0, 2)[None], weight, bias, tokens.reshape(1, -1, 1)).view(tokens.shape)

    def guess(self, hidden: Tensor) -> Tensor:
        """What draws may be worth: (L, B, T). It learns from values and changes nothing that it looks at."""
        hidden = hidden.detach()
        before = torch.cat([torch.zeros_like(hidden[:1]), hidden[:-1]])
        return self.judge(torch.cat([before, hidden], -1))[..., 0]

    def forward(self, input_ids: Tensor, attention_mask: Tensor | None = None, **kwargs: Any) -> CausalLMOutput:
        """Logits (B, L, V) behind states that are drawn once."""
        B, L = input_ids.shape
        noise = torch.randn(L, B, 1, self.config.hidden_size, dtype=self.dtype, device=input_ids.device)
        hidden = self.read(input_ids, noise).hidden[:, :, 0].transpose(0, 1)
        return CausalLMOutput(logits=self.lm_head(self.neck(hidden)))


AutoConfig.register(GaussianConfig.model_type, GaussianConfig, exist_ok=True)
AutoModelForCausalLM.register(GaussianConfig, GaussianForCausalLM, exist_ok=True)
