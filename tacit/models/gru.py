"""A recurrent language model (GRU or LSTM) with the face of a Hugging Face causal LM.

Whatever works with a transformer works with it: ids or embeddings in, padding anywhere, a cache, `generate`,
`save_pretrained`. What it offers beyond that is `GRUModel.read`, which hands out the recurrent state after every single
column, so that a caller can go on from any of them as if nothing had been read afterwards: a thought after every token
is then one more batch of rows. A state is small, differentiable and never changed by reading on, so a fork is free.

Shapes: B rows, W columns of one read, H hidden size, L layers, V vocabulary, S numbers of state in one layer: H for a
GRU, 2H for an LSTM (hidden, then cell).

Importing this file makes the model known to AutoConfig, AutoModel and AutoModelForCausalLM.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from tacit.errors import ModelError

MLP_HEAD = 512


class GRUConfig(PreTrainedConfig):
    """The shape of a recurrent language model. Embeddings are as wide as the hidden state."""

    model_type = "tacit_gru"

    vocab_size: int = 256
    hidden_size: int = 128
    num_hidden_layers: int = 1
    cell: Literal["gru", "lstm"] = "gru"
    head: Literal["linear", "mlp"] = "linear"
    """`mlp` puts two layers of 512 GELUs between the hidden state and the vocabulary."""
    dropout: float = 0.0
    """On what a layer passes up, to the next layer or to the head; never on what it passes to the next column."""
    initializer_range: float | None = None
    """Standard deviation of embeddings and linear layers. None: torch's own initialisation, as for the cells always."""
    tie_word_embeddings: bool = False
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs):
        super().__post_init__(**kwargs)
        if self.cell not in ("gru", "lstm") or self.head not in ("linear", "mlp"):
            raise ModelError(
                f"there is no recurrent model with cell {self.cell!r} and head {self.head!r}. "
                "Set cell to gru or lstm and head to linear or mlp."
            )
        if self.head == "mlp" and self.tie_word_embeddings:
            raise ModelError(
                f"an mlp head ends {MLP_HEAD} wide and embeddings are {self.hidden_size} wide, so they cannot share "
                "one table. Set tied: false, or head: linear."
            )


class GRUState:
    """What has been read so far, in the place where transformers keeps a key-value cache."""

    is_compileable = False

    def __init__(self, values: Tensor, columns: int):
        self.values = values  # (B, L, S)
        self.columns = columns

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return self.columns

    def reorder_cache(self, rows: Tensor) -> None:
        """Beam search's way of choosing rows."""
        self.values = self.values.index_select(0, rows.to(self.values.device))


class GRUPreTrainedModel(PreTrainedModel):
    config_class = GRUConfig
    base_model_prefix = "model"
    _is_stateful = True  # a read column cannot be taken back, so generation must not try to (assisted decoding)

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        std = self.config.initializer_range
        if std is not None and isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear | nn.Embedding | nn.GRU | nn.RNNCellBase):
            module.reset_parameters()


class GRUModel(GRUPreTrainedModel):
    """Embeddings and the recurrent layers."""

    def __init__(self, config: GRUConfig):
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(_layer(config) for _ in range(config.num_hidden_layers))
        self.dropout = nn.Dropout(config.dropout)
        self.post_init()

    def train(self, mode: bool = True) -> "GRUModel":
        """The layers stay in training mode, as cuDNN refuses gradients otherwise; they have no dropout of their own."""
        super().train(mode)
        self.layers.train()
        return self

    @property
    def state_size(self) -> int:
        return self.config.hidden_size * (2 if self.config.cell == "lstm" else 1)

    def read(
        self, inputs_embeds: Tensor, state: Tensor | None = None, keep: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Reads columns (B, W, H) after `state` (B, L, S): what is hidden (B, W, H), and the states (B, W, L, S).

        No state is the beginning. `states[:, t]` is the state after column t, and reading on from it is exact. Columns
        where `keep` (B, W) is False leave the state as it was, wherever they stand, and repeat the hidden before them.
        """
        if state is None:
            state = inputs_embeds.new_zeros(len(inputs_embeds), self.config.num_hidden_layers, self.state_size)
        if keep is None or keep.all():
            states = self._run(inputs_embeds, state)
        else:
            keep = keep.bool()
            # Kept columns move to the left and are read without holes; then every column looks up the state after as
            # many kept columns as its row has had by then.
            rows = torch.arange(len(keep), device=keep.device)[:, None]
            had = keep.long().cumsum(1)  # (B, W)
            longest = max(1, int(had[:, -1].max()))
            order = keep.long().argsort(dim=1, descending=True, stable=True)[:, :longest]
            # Zeros instead of what stands in padding: a NaN there would come back through the gradients.
            packed = inputs_embeds[rows, order].masked_fill(~keep[rows, order][..., None], 0)
            states = torch.cat([state[:, None], self._run(packed, state)], 1)[rows, had]  # (B, W, L, S)
        return self.dropout(states[:, :, -1, : self.config.hidden_size]), states

    def _run(self, inputs: Tensor, state: Tensor) -> Tensor:
        """The states after each column, without padding: (B, W, H), (B, L, S) -> (B, W, L, S)."""
        levels = []
        for layer, before in zip(self.layers, state.unbind(1)):
            if levels:
                inputs = self.dropout(levels[-1][..., : self.config.hidden_size])
            levels.append(_after_each(layer, inputs, before))
        return torch.stack(levels, 2)

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: GRUState | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **kwargs,
    ) -> BaseModelOutputWithPast | tuple:
        """`position_ids` are accepted and not needed: order is all a recurrent state knows."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ModelError("a GRU reads either input_ids or inputs_embeds: give one of them, not both or none.")
        embeds = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        past = _own_state(past_key_values)
        width = embeds.shape[1]
        hidden, states = self.read(embeds, past and past.values, _last_columns(attention_mask, width))
        layers = None
        if self.config.output_hidden_states if output_hidden_states is None else output_hidden_states:
            inner = states[..., : self.config.hidden_size].unbind(2)[:-1]
            layers = (embeds, *inner, hidden)
        cache = None
        if self.config.use_cache if use_cache is None else use_cache:
            cache = GRUState(states[:, -1], width + (past.columns if past else 0))
        output = BaseModelOutputWithPast(
            last_hidden_state=hidden,
            past_key_values=cache,  # type: ignore[arg-type]
            hidden_states=layers,
        )
        return output.to_tuple() if return_dict is False else output


class GRUForCausalLM(GRUPreTrainedModel, GenerationMixin):
    """The recurrent layers and a head over the vocabulary."""

    _tied_weights_keys: ClassVar = {"lm_head.weight": "model.embed_tokens.weight"}

    def __init__(self, config: GRUConfig):
        super().__init__(config)
        self.model = GRUModel(config)
        mlp = config.head == "mlp"
        self.neck = neck(config.hidden_size) if mlp else nn.Identity()
        self.lm_head = nn.Linear(MLP_HEAD if mlp else config.hidden_size, config.vocab_size)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: GRUState | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs,
    ) -> CausalLMOutputWithPast | tuple:
        read = self.model(
            input_ids,
            attention_mask,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            use_cache=use_cache,
            output_hidden_states=output_hidden_states,
        )
        columns = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(self.neck(read.last_hidden_state[:, columns]))
        loss = None
        if labels is not None:
            loss = self.loss_function(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **kwargs)
        output = CausalLMOutputWithPast(
            loss=loss, logits=logits, past_key_values=read.past_key_values, hidden_states=read.hidden_states
        )
        return output.to_tuple() if return_dict is False else output


def _layer(config: GRUConfig) -> nn.Module:
    """One fused GRU per layer, so that each layer's states are at hand.

    The fused LSTM keeps its cell states to itself, so an LSTM is a cell that is stepped through the columns instead:
    the same numbers, slower.
    """
    size = config.hidden_size
    return nn.LSTMCell(size, size) if config.cell == "lstm" else nn.GRU(size, size, batch_first=True)


def _after_each(layer: nn.Module, inputs: Tensor, before: Tensor) -> Tensor:
    """One layer's state after each column: (B, W, H), (B, S) -> (B, W, S)."""
    if isinstance(layer, nn.GRU):
        return layer(inputs, before[None].contiguous())[0]
    hidden, cell = before.chunk(2, -1)
    after = []
    for column in inputs.unbind(1):
        hidden, cell = layer(column, (hidden, cell))
        after.append(torch.cat([hidden, cell], -1))
    return torch.stack(after, 1)


def neck(size: int) -> nn.Module:
    """What an mlp head has before its last layer."""
    return nn.Sequential(nn.Linear(size, MLP_HEAD), nn.GELU(), nn.Linear(MLP_HEAD, MLP_HEAD), nn.GELU())


def _own_state(past) -> GRUState | None:
    """The state, if there is one. Generation begins with an empty stock cache; a filled one is a mistake."""
    if past is None or isinstance(past, GRUState):
        return past
    if past.get_seq_length():
        raise ModelError(
            f"a GRU cannot go on from a {type(past).__name__}: that holds keys and values, and a GRU has neither. "
            "Give it the past_key_values that this model returned."
        )
    return None


def _last_columns(mask: Tensor | None, width: int) -> Tensor | None:
    """The part of an attention mask that speaks about this read; what came before is in the state already."""
    if mask is None:
        return None
    if mask.dim() != 2 or mask.shape[1] < width:
        raise ModelError(
            f"a GRU was given an attention mask of shape {tuple(mask.shape)} for a read of {width} columns. It needs "
            "to know which columns are padding and nothing else: give a mask of shape (rows, columns) that covers them."
        )
    return mask[:, -width:].bool()


AutoConfig.register(GRUConfig.model_type, GRUConfig, exist_ok=True)
AutoModel.register(GRUConfig, GRUModel, exist_ok=True)
AutoModelForCausalLM.register(GRUConfig, GRUForCausalLM, exist_ok=True)
