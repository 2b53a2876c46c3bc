"""Small models that think before every token, and the same computations written out with torch's own modules."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, log_softmax

from tacit.methods.base import Lesson
from tacit.methods.quiet import Quiet
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.quiet.model import QuietForCausalLM
from tacit.quiet.roles import Roles
from tacit.quiet.texts import texts
from tacit.recipe.schema import Model
from tacit.thinking import Thinking

LETTERS = "abcdef"
QUIET = {"policy": 0.0, "baseline": "null"}
"""Nothing is learned of thinking, so that one thought of a place is enough."""


def small(seed: int = 0, hidden: int = 6, head: str = "linear", double: bool = True, **roles):
    """A thinker of a few numbers in float64."""
    tiny = Scratch(family="roles", layers=1, hidden=hidden, head=head, roles=Roles(**roles))
    thinker = make_thinker(Model(tiny=tiny), Thinking(), texts=[LETTERS], seed=seed)
    return thinker.double() if double else thinker


def lesson(thinker, rows: int = 3, length: int = 5, seed: int = 0, step: int = 0) -> Lesson:
    ids = np.random.default_rng(seed).integers(0, len(LETTERS), (rows, length))
    view = texts([row.tolist() for row in ids], thinker.vocab.pad)
    return Lesson({"main": view}, rows, picks=[(0, n) for n in range(rows)], seed=seed, step=step, steps=10)


def loss_of(thinker, method: Quiet, given: Lesson):
    return method.loss(thinker, given, given.counts())


class Plain:
    """One model, one thought at a time, with nothing shared and nothing saved."""

    def __init__(self, model: QuietForCausalLM, level: int = 0):
        self.m, self.roles, self.level = model, model.config.parts, level

    def _net(self, role: int):
        return self.m.networks[self.roles.groups[role]]

    def _run(self, role: int, ids: list[int], before: Tensor | None = None) -> Tensor:
        net: nn.Module = self._net(role)
        start = None if before is None else before[None]
        return net.layer(net.embedding(torch.tensor(ids)), start)[0]

    def head(self, name: str, features: Tensor) -> Tensor:
        head = getattr(self.m, name)
        if name == "head" and self.roles.levels:
            features = torch.cat([features, self.m.head_level.weight[self.level]])
        if hasattr(head, "neck"):
            features = gelu(head.neck["2"](gelu(head.neck["0"](features))))
        return log_softmax(head.out(features), -1)

    def seed(self, prefix: list[int]) -> Tensor:
        """The state in which a thought begins."""
        state = self._run(1, prefix)[-1]
        return state + self.m.reasoner_level.weight[self.level] if self.roles.levels else state

    def choices(self, prefix: list[int], z: list[int], forgets: bool = False) -> list[Tensor]:
        """log p(. | prefix, z so far) for each token of z."""
        state, mark = self.seed(prefix), self.m.config.mark_token_id
        if not forgets:
            return [self._said(one) for one in self._run(2, [mark, *z[:-1]], state)]
        opened = self._run(2, [mark], state)[-1]
        return [
            self._said(self._run(2, [token], opened)[-1] if n else opened) for n, token in enumerate([mark, *z[:-1]])
        ]

    def thought(self, prefix: list[int], z: list[int]) -> Tensor:
        """log p(z | prefix)."""
        return sum((told[token] for told, token in zip(self.choices(prefix, z), z)), torch.zeros(()))

    def _said(self, state: Tensor) -> Tensor:
        if self.roles.reasoner_head != "shared":
            return self.head("reasoner_head", state)
        return self.head("head", self.m.adapter(state) if hasattr(self.m, "adapter") else state)

    def after(self, prefix: list[int], z: list[int]) -> Tensor:
        """log p(. | prefix, z)."""
        mark = self.m.config.mark_token_id
        hidden = self._run(0, prefix)[-1]
        if self.roles.interpreter == "onward":
            other = self._run(2, [mark, *z, mark], self.seed(prefix))[-1]
        else:
            size = self.m.config.reasoner_size
            start = self.m.interpreter_level.weight[self.level] if self.roles.levels else torch.zeros(size).double()
            other = self._run(3, [mark, *z, mark], start)[-1]
        return self.head("head", self._joined(hidden, other))

    def _joined(self, hidden: Tensor, other: Tensor) -> Tensor:
        join, m = self.roles.join, self.m
        if join == "concat":
            return torch.cat([hidden, other])
        if join == "alone":
            return other
        if join == "add":
            for layer in m.down:
                other = layer(other)
            return hidden + other
        both = torch.cat([m.gate.base_norm(hidden), m.gate.other_norm(other)])
        mixed = m.gate.mixed["2"](gelu(m.gate.mixed["0"](both)))
        weight = m.gate.weight["2"](gelu(m.gate.weight["0"](both)))
        if join == "warm_gate":
            hold = 0.5 ** (float(m.steps) / self.roles.gate_half_life)
            weight = self.roles.gate_start * hold + (1 - hold) * weight.sigmoid()
        return (1 - weight) * hidden + weight * mixed
