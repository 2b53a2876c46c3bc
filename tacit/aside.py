"""Parts beside a language model that thinks before its tokens: the gate behind a thought, the marks around it, roles
with weights of their own, a guess of what thinking is worth, and running means of its training."""

import copy
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from tacit.engine.door import Door
from tacit.errors import ModelError
from tacit.models.adapters import adapt
from tacit.thinking import Aside, Cast, Pondering, Speech
from tacit.vocab import Vocab


class AsideParts(nn.Module):
    steps: Tensor
    """Optimizer steps that were taken before the last one."""
    usual: Tensor
    """The running mean of what thoughts were worth."""
    pressure: Tensor
    """The bonus on undecidedness that comes to a target."""

    def __init__(self, aside: Aside, door: Door, vocab: Vocab):
        super().__init__()
        for name in ("steps", "usual", "pressure"):
            self.register_buffer(name, torch.zeros((), dtype=torch.float64, device=door.device))
        kept = torch.promote_types(door.dtype, torch.float32)
        self.mixer = None
        if aside.mixer:
            self.mixer = Mixer(door.width, aside.mixer_width or door.width).to(door.device, kept)
        self.guess = None
        if aside.guess:
            self.guess = nn.Linear(door.width, 1).to(door.device, kept)
            nn.init.zeros_(self.guess.weight)
            nn.init.zeros_(self.guess.bias)
        self.cell = None
        if aside.ponder is not None:
            self.cell = PonderCell(door.width, aside.ponder).to(door.device, kept)
        self.speech, self.cast = aside.speech or Speech(), aside.cast
        self.roles = nn.ModuleDict({role: Role(door, kind, aside.cast) for role, kind in aside.cast.own.items()})
        self._doors: dict[str, Door] = {}
        if aside.cast.base == "fixed":
            door.model.requires_grad_(False)
        self.levels = nn.Parameter(torch.zeros(aside.levels, door.embedding_width)) if aside.levels else None
        self.scale = aside.marks_scale
        if self.scale is not None:
            marks = door.embed(torch.tensor([vocab.open, vocab.close], device=door.device)).detach()
            self.marks = nn.Parameter(marks.to(kept) / self.scale)

    def banned(self, vocab: Vocab) -> Tensor | None:
        """Tokens that are no thoughts."""
        if not self.speech.words_only:
            return None
        return torch.tensor(sorted({*vocab.unwritten, vocab.eos, vocab.pad}), device=self.steps.device)

    def door(self, role: str, door: Door) -> Door:
        """The model as it is in a role. The same door every time, since it remembers what was found out about its body."""
        player = self.cast.player(role)
        if player == "base":
            return door
        if player not in self._doors:
            body: Any = self.roles[player].body
            self._doors[player] = replace(door, body=body, table=body.get_input_embeddings(), verdicts={})
        return self._doors[player]

    @property
    def pondering(self) -> "PonderCell":
        if self.cell is None:
            raise ModelError("this model takes no steps before its tokens; train it with method.name: ponder first")
        return self.cell

    def mark(self, number: int) -> Tensor:
        """(E,) the vector of the opening mark (0) or the closing one (1)."""
        assert self.scale is not None
        return self.marks[number] * self.scale


class Role(nn.Module):
    """A network for a role. Weights that it shares with the base model are not saved a second time."""

    def __init__(self, door: Door, kind: str, cast: Cast):
        super().__init__()
        if door.recurrent:
            raise ModelError(
                "roles with weights of their own are made from transformers here; set method.cast.reasoner and "
                "method.cast.interpreter to base, or take method quiet and a model of family roles"
            )
        theirs = {id(p): p for p in door.body.parameters()}
        self.body = copy.deepcopy(door.body, {} if kind == "copy" else dict(theirs))
        if kind == "adapter":
            adapt(self.body, cast.rank, cast.alpha)
        else:
            self.body.requires_grad_(True)
        self.shared = tuple(f"body.{name}" for name, p in self.body.named_parameters() if id(p) in theirs)
        self.register_load_state_dict_post_hook(_nothing_shared_is_missing)

    def state_dict(self, *args: Any, prefix: str = "", **options: Any) -> dict[str, Any]:
        found = super().state_dict(*args, prefix=prefix, **options)
        for name in self.shared:
            found.pop(prefix + name)
        return found


def _nothing_shared_is_missing(role: nn.Module, keys: Any) -> None:
    assert isinstance(role, Role)
    keys.missing_keys[:] = [key for key in keys.missing_keys if not key.endswith(role.shared)]


class PonderCell(nn.Module):
    """Steps of one cell, which reads the model's last state in each of them and changes it. At first it changes nothing, and
    stops with the same probability after every step."""

    def __init__(self, width: int, settings: Pondering):
        super().__init__()
        self.steps = settings.steps
        self.cell = nn.GRUCell(width + 1, width)  # the state, and whether this is the first step
        self.change, self.stop = nn.Linear(width, width), nn.Linear(width, 1)
        for layer in (self.change, self.stop):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        nn.init.constant_(self.stop.bias, math.log(settings.halt / (1 - settings.halt)))

    def forward(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """(M, H) -> the states after each of n steps (M, n, H), and the log-probability of stopping there (M, n)."""
        given = hidden.to(self.change.weight.dtype)
        inner, going_on = torch.zeros_like(given), given.new_zeros(len(given))
        states, halts = [], []
        for step in range(self.steps):
            flag = given.new_full((len(given), 1), float(step == 0))
            inner = self.cell(torch.cat([given, flag], 1), inner)
            states.append(hidden + self.change(inner).to(hidden))
            stop = self.stop(inner)[:, 0].to(given)
            last = step + 1 == self.steps
            halts.append(going_on if last else going_on + nn.functional.logsigmoid(stop))
            going_on = going_on + nn.functional.logsigmoid(-stop)
        return torch.stack(states, 1), torch.stack(halts, 1)

    def mixed(self, hidden: Tensor, head: Callable[[Tensor], Tensor]) -> Tensor:
        """(M, H) -> (M, V) log-probabilities: the mixture of what all steps predict."""
        states, halts = self(hidden)
        total = None
        for state, halt in zip(states.unbind(1), halts.unbind(1)):
            logits = head(state)
            each = logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1) + halt[:, None]
            total = each if total is None else torch.logaddexp(total, each)
        assert total is not None
        return total


class Mixer(nn.Module):
    """How far a prediction leaves what the text alone would have predicted: three layers, the last of them zero at first, and
    nothing that keeps the weight between 0 and 1."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.first, self.second = nn.Linear(2 * width, inner), nn.Linear(inner, inner)
        self.last = nn.Linear(inner, 1, bias=False)
        nn.init.zeros_(self.last.weight)

    def forward(self, base: Tensor, thought: Tensor) -> Tensor:
        """(…, H), (…, H) -> weights (…, 1)."""
        both = torch.cat([base, thought], -1).to(self.first.weight.dtype)
        return self.last(self.second(self.first(both).relu()).relu())
