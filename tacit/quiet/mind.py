"""The computation of a model that thinks before every token, for one model or for several side by side.

A text is read once, whatever the number of thoughts. Every column is then a cell: a place where thoughts begin. What all
thoughts of a cell have in common is computed once for the cell, and what all thoughts in the world have in common (the first
token that an interpreter reads) once for every token that there is.

Shapes: S models, B texts, L columns, C = L B cells (columns outermost), T thoughts of a cell, M = C T thoughts, R tokens of a
thought, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import gelu

from tacit.quiet.choosing import Chosen, draw, score
from tacit.quiet.model import QuietConfig
from tacit.quiet.recurrence import gru, rows_of, token_table
from tacit.quiet.stack import Stack, linear, normed


class Trunk(NamedTuple):
    """A text as it was read, once for all its thoughts."""

    hidden: Tensor
    """(S, C, H) what the base model tells."""
    seeds: Tensor | None
    """(S, C, R) where thoughts begin."""


class Mind:
    """Valid for one pass: it keeps the tables of its networks."""

    def __init__(self, config: QuietConfig, weights: Stack, level: int = 0, kept: Tensor | None = None):
        self.config, self.weights, self.roles = config, weights, config.parts
        self.level = level
        self.kept = kept
        """(S, C, H): what dropout multiplies the base model's part of predictions by."""
        self.mark, self.nothing = config.mark_token_id, config.vocab_size
        self.gate: Tensor | None = None
        """(S, M, 1): how far the last predictions left the base model, where a gate decides that."""
        self._tables: dict[str, Tensor] = {}

    # -- networks -------------------------------------------------------------------------------------------------------

    def read(self, role: int, ids: Tensor, before: Tensor | None = None, active: list[int] | None = None) -> Tensor:
        """The states of a role's network after each column: (W, S, N) -> (W, S, N, H). `active`: how many rows still have
        something to read in each column, where they are sorted by that."""
        w, name = self.weights, f"networks.{self.roles.groups[role]}"
        weight, bias = w[f"{name}.layer.weight_hh_l0"], w[f"{name}.layer.bias_hh_l0"]
        if name not in self._tables:
            inputs = w[f"{name}.embedding.weight"], w[f"{name}.layer.weight_ih_l0"], w[f"{name}.layer.bias_ih_l0"]
            self._tables[name] = token_table(*inputs)
        if before is None:
            before = weight.new_zeros(ids.shape[1], ids.shape[2], weight.shape[-1])
        return gru(self._tables[name], ids, before, weight, bias, active)

    def step(self, role: int, ids: Tensor, before: Tensor) -> Tensor:
        """One column: (S, N), (S, N, H) -> (S, N, H)."""
        return self.read(role, ids[None], before)[0]

    def _marks(self, like: Tensor) -> Tensor:
        return torch.full(like.shape[:2], self.mark, dtype=torch.long, device=like.device)

    def _level(self, name: str) -> Tensor:
        """(S, 1, ·): what a role is told about the strength of the base model."""
        return self.weights[f"{name}.weight"][:, self.level : self.level + 1]

    # -- reading and thinking -------------------------------------------------------------------------------------------

    def trunk(self, ids: Tensor) -> Trunk:
        """Reads the text (S, B, L)."""
        columns = ids.permute(2, 0, 1)
        S, B, L = ids.shape

        def cells(states: Tensor) -> Tensor:  # (L, S, B, H) -> (S, C, H)
            return states.transpose(0, 1).reshape(S, L * B, -1)

        hidden = cells(self.read(0, columns))
        if not self.roles.thinks:
            return Trunk(hidden, None)
        same = self.roles.groups[0] == self.roles.groups[1]
        return Trunk(hidden, hidden if same else cells(self.read(1, columns)))

    def open(self, seeds: Tensor) -> Tensor:
        """The reasoner's states behind the mark that begins a thought."""
        if self.roles.levels:
            seeds = seeds + self._level("reasoner_level")
        return self.step(2, self._marks(seeds), seeds)

    def choose(self, state: Tensor, chance: Tensor, banned: Tensor | None) -> Chosen:
        """The next tokens of thoughts in these states; `banned` tokens are never chosen."""
        name = "reasoner_head"
        if self.roles.reasoner_head == "shared":
            name, state = "head", linear(self.weights, "adapter", state) if self._has("adapter") else state
        features, weight, bias = self._last(name, [state])
        if banned is not None:
            bias = bias.index_fill(1, banned, float("-inf"))
        return draw(features, weight, bias, chance)

    def _has(self, name: str) -> bool:
        return hasattr(self.weights.models[0], name)

    # -- understanding and predicting -----------------------------------------------------------------------------------

    def interpret(self, read: Tensor, state: Tensor | None = None) -> Tensor:
        """What is understood of thoughts (S, N, W), afresh or going on from `state` (S, N, R)."""
        if state is not None:
            return self.read(3, read.permute(2, 0, 1), state)[-1]
        S, N, W = read.shape
        opened = self._opened(read.device)
        if N == 1:
            return self.read(3, read.permute(2, 0, 1), opened)[-1]
        # What is understood of a first token depends on nothing else.
        every = torch.arange(self.nothing, device=read.device).expand(S, -1)
        first = self.step(3, every, opened.expand(-1, self.nothing, -1))
        state = rows_of(first, read[..., 0])
        if W == 1:
            return state
        rest = read[..., 1:]
        lengths = (rest != self.nothing).sum(-1)
        # How many rows have something in each column: in the model with most of them, and in that with fewest. One transfer.
        counts = (lengths[..., None] > torch.arange(W - 1, device=read.device)).sum(1)
        active, fewest = torch.stack([counts.amax(0), counts.amin(0)]).tolist()
        if fewest[-1] == N:
            return self.read(3, rest.permute(2, 0, 1), state)[-1]
        order = lengths.argsort(dim=1, descending=True, stable=True)
        used = sum(count > 0 for count in active)
        sorted_rest = rest.gather(1, order[..., None].expand_as(rest))[..., :used]
        sorted_state = state.gather(1, order[..., None].expand_as(state))
        if not used:
            return state
        after = self.read(3, sorted_rest.permute(2, 0, 1), sorted_state, active[:used])[-1]
        return after.gather(1, order.argsort(1)[..., None].expand_as(after))

    def _opened(self, device: torch.device) -> Tensor:
        """(S, 1, R): the interpreter behind the mark that begins every thought."""
        S, size = len(self.weights), self.config.reasoner_size
        start = self._level("interpreter_level") if self.roles.levels else torch.zeros(S, 1, size, device=device)
        start = start.to(self.weights["head.out.weight"].dtype)
        return self.step(3, self._marks(start), start)

    def score(self, hidden: Tensor, understood: Tensor | None, targets: Tensor) -> Tensor:
        """Log-probabilities (S, M) of what comes next, targets (S, C), behind thoughts: hidden (S, C, H), understood
        (S, M, R), or (S, 1, R) where all cells have the same thought."""
        features, weight, bias = self.predict(hidden, understood)
        many = features.shape[1] // targets.shape[1]
        tokens = targets if many == 1 else targets.repeat_interleave(many, 1)
        return score(features, weight, bias, tokens[..., None])[..., 0]

    def judge(self, hidden: Tensor, understood: Tensor) -> Tensor:
        """A guess of what thoughts are worth: (S, M). It learns from values and changes nothing that it looks at."""
        features, weight, bias = self._last("judge", [hidden.detach(), understood.detach()])
        return torch.baddbmm(bias[:, None], features, weight.mT)[..., 0]

    def predict(self, hidden: Tensor, understood: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Features of predictions, and the weight and bias of the layer that is left."""
        roles = self.roles
        if understood is None:
            return self._last("head", [hidden])
        if roles.join == "alone":
            return self._last("head", [understood.expand(-1, max(understood.shape[1], hidden.shape[1]), -1)])
        if self.kept is not None:
            hidden = hidden * self.kept
        if roles.join == "concat":
            return self._last("head", [hidden, understood])
        if roles.join == "add":
            for stage in range(len(self.weights.models[0].down)):  # type: ignore[arg-type]
                understood = linear(self.weights, f"down.{stage}", understood)
            return self._last("head", [_sum(hidden, understood)])
        return self._last("head", [self._gated(hidden, understood)])

    def _gated(self, hidden: Tensor, understood: Tensor) -> Tensor:
        w, roles = self.weights, self.roles
        parts = [normed(w, "gate.base_norm", hidden), normed(w, "gate.other_norm", understood)]
        mixed = linear(w, "gate.mixed.2", gelu(self._affine("gate.mixed.0", parts)))
        weight = linear(w, "gate.weight.2", gelu(self._affine("gate.weight.0", parts)))
        if roles.join == "warm_gate":
            steps = torch.stack([model.steps for model in w.models])  # type: ignore[misc]
            hold = (0.5 ** (steps / roles.gate_half_life)).to(weight)[:, None, None]
            weight = roles.gate_start * hold + (1 - hold) * weight.sigmoid()
        self.gate = weight.detach()
        many = weight.shape[1] // hidden.shape[1]
        hidden = hidden if many <= 1 else hidden.repeat_interleave(many, 1)
        return (1 - weight) * hidden + weight * mixed

    def logits(self, input_ids: Tensor, length: int) -> Tensor:
        """(B, L) -> (B, L, V), behind one thought before each."""
        from tacit.quiet.thinking import Rule, think, understand

        trunk = self.trunk(input_ids[None])
        understood = None
        if self.roles.thinks:
            chance = torch.rand(max(length, 1), 1, trunk.hidden.shape[1], device=input_ids.device)
            rule = Rule(length=length)
            understood = understand(self, think(self, trunk, rule, chance), rule)
        features, weight, bias = self.predict(trunk.hidden, understood)
        logits = torch.baddbmm(bias[:, None], features, weight.mT)[0]
        return logits.unflatten(0, (input_ids.shape[1], len(input_ids))).transpose(0, 1)

    # -- heads ----------------------------------------------------------------------------------------------------------

    def _last(self, name: str, parts: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """What a head's last layer reads, and that layer. The level is the same everywhere, so it is a part of a bias."""
        w = self.weights
        if self._has_neck(name):
            features = gelu(
                linear(w, f"{name}.neck.2", gelu(self._affine(f"{name}.neck.0", parts, self._levels(name))))
            )
            return features, w[f"{name}.out.weight"], w[f"{name}.out.bias"]
        weight, bias = w[f"{name}.out.weight"], w[f"{name}.out.bias"]
        width = sum(part.shape[-1] for part in parts)
        if (told := self._levels(name)) is not None:
            bias = bias + (weight[..., width:] @ told.mT)[..., 0]
            weight = weight[..., :width]
        rows = max(part.shape[1] for part in parts)
        wide = [part if part.shape[1] == rows else part.repeat_interleave(rows // part.shape[1], 1) for part in parts]
        return (wide[0] if len(wide) == 1 else torch.cat(wide, -1)), weight, bias

    def _has_neck(self, name: str) -> bool:
        return hasattr(getattr(self.weights.models[0], name), "neck")

    def _levels(self, name: str) -> Tensor | None:
        return self._level("head_level") if name == "head" and self.roles.levels else None

    def _affine(self, name: str, parts: list[Tensor], told: Tensor | None = None) -> Tensor:
        """A linear layer over parts that stand beside each other; what all thoughts of a cell share is multiplied once."""
        weight, bias = self.weights[f"{name}.weight"], self.weights[f"{name}.bias"][:, None]
        if told is not None:
            bias = bias + told @ weight[..., -told.shape[-1] :].mT
        total = None
        starts = [sum(one.shape[-1] for one in parts[:n]) for n in range(len(parts))]
        # Cells before thoughts, so that a sum is spread over the thoughts of a cell and not the other way round.
        for start, part in sorted(zip(starts, parts), key=lambda pair: pair[1].shape[1]):
            found = part @ weight[..., start : start + part.shape[-1]].mT
            total = found + bias if total is None else _sum(total, found)
        assert total is not None
        return total


def _sum(few: Tensor, many: Tensor) -> Tensor:
    """Adds rows of cells (S, C, ·) to those of all their thoughts (S, C T, ·)."""
    if 1 in (few.shape[1], many.shape[1]) or many.shape[1] == few.shape[1]:
        return few + many
    S, C, width = few.shape
    return (many.view(S, C, -1, width) + few[:, :, None]).view(S, -1, width)
