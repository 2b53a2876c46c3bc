"""Answers as actions: which tokens were chosen, how often each choice counts, and how much better it was than the others.

An answer that was drawn counts once, with all its choices. Branched answers share one chain of thought: each decision on it
counts as often as it is met, and its advantage is the mean of those that it leads to. So both have the same loss, and with
the same rewards the gradient of branched answers is the mean of that of drawn ones, as far as stopping is concerned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine.run import run
from tacit.engine.shared import SharedBatch, read_shared
from tacit.layout import Layout, Segment
from tacit.objectives import learned_states, state_choices
from tacit.rl.answers import Group, free
from tacit.vocab import Vocab

CHOSEN = "completion"
SHARED = 1024
"""Answers to a question are read on one trunk while they have no more columns than these together: each column of them is
compared with every other, and so many rows of their own are cheaper beyond."""


class Action(NamedTuple):
    """A token that was chosen."""

    weight: float
    """How many times, in so many answers as the group stands for."""
    advantage: float
    logprob: float
    """When it was chosen."""


class Row(NamedTuple):
    """An answer as it is read again. The tokens that are learned are its actions, in order."""

    layout: Layout
    actions: list[Action]


def rows_of(group: Group, advantages: Sequence[float], size: int, vocab: Vocab, most: int) -> list[Row]:
    """`size`: the answers that the group stands for; `most`: silent steps behind which a thought has to end."""
    if group.stops is not None:
        return _branched(group, advantages, size)
    found = []
    for done, share, advantage in zip(group.answers, group.shares, advantages):
        chosen = [
            Action(share * size, advantage, logprob) if choice else None
            for choice, logprob in zip(free(done, vocab, most), done.logprobs)
        ]
        found.append(_row(group.prompt, done.ids, chosen))
    return found


def _branched(group: Group, advantages: Sequence[float], size: int) -> list[Row]:
    assert group.stops is not None
    most = len(group.stops.stop)
    each = len(group.answers) // (most + 1)
    cells = [slice(k * each, (k + 1) * each) for k in range(most + 1)]
    chance = [math.fsum(group.shares[cell]) for cell in cells]
    worth = [math.fsum(s * a for s, a in zip(group.shares[cell], advantages[cell])) for cell in cells]
    found = []
    for number, (done, share, advantage) in enumerate(zip(group.answers, group.shares, advantages)):
        k, first = number // each, number % each == 0
        chosen: list[Action | None] = [None for _ in range(k + 1)]
        if first and k == most:  # the chain itself stands in one row
            chosen[:most] = [
                Action(size * math.fsum(chance[j:]), _ratio(math.fsum(worth[j:]), math.fsum(chance[j:])), go)
                for j, go in enumerate(group.stops.go, 1)
            ]
        elif first:
            chosen[k] = Action(size * chance[k], _ratio(worth[k], chance[k]), group.stops.stop[k])
        chosen += [Action(size * share, advantage, logprob) for logprob in done.logprobs[k + 1 :]]
        found.append(_row(group.prompt, done.ids, chosen))
    return found


def _ratio(worth: float, chance: float) -> float:
    return worth / chance if chance else 0.0


def _row(prompt: Layout, ids: Sequence[int], chosen: Sequence[Action | None]) -> Row:
    pieces, at = [segment._replace(learn=0.0) for segment in prompt.segments], 0
    for learned, run_of in groupby(action is not None for action in chosen):
        end = at + sum(1 for _ in run_of)
        pieces.append(Segment(CHOSEN, tuple(ids[at:end]), float(learned)))
        at = end
    return Row(Layout(*pieces), [action for action in chosen if action is not None])


@dataclass
class Actions:
    """A micro-batch of answers, ready to be learned from."""

    batch: Batch | SharedBatch
    weights: Tensor  # (N,)
    advantages: Tensor  # (N,)
    old: Tensor  # (N,) log-probabilities when the actions were chosen
    deciding: Tensor  # (N,) bool: to go on thinking or to stop
    sums: dict[str, float]
    """What parts of the loss are divided by, to be summed over the whole step."""
    told: dict[str, float]
    """What is known of the answers, summed over questions."""
    reference: Tensor | None = None  # (N,) log-probabilities of the thinker that training began with

    @classmethod
    def of(cls, groups: Sequence[Sequence[Row]], thinker, told: dict[str, float]) -> "Actions":
        vocab = thinker.vocab
        batch = _together([[row.layout for row in rows] for rows in groups], thinker)
        actions = [action for rows in groups for row in rows for action in row.actions]
        precise = torch.promote_types(thinker.door.dtype, torch.float32)
        columns = torch.tensor(actions, dtype=torch.float64).view(-1, 3).to(precise)
        said = batch.said if isinstance(batch, SharedBatch) else batch.ids.flatten()[batch.sources]
        decided = thinker.thinking.confine & ((said == vocab.open) | (said == vocab.latent))
        weights, advantages, old = columns.unbind(1)
        assert len(batch.targets) == len(weights)
        sums = {"groups": float(len(groups)), "decisions": float(weights[decided].double().sum())}
        return cls(batch, weights, advantages, old, decided, sums, told).to(thinker.device)

    @property
    def learned(self) -> float:
        return float(self.weights.double().sum())

    @property
    def keep(self) -> Tensor:
        return self.batch.keep

    @property
    def trunk(self) -> Batch | None:
        return self.batch.trunk if isinstance(self.batch, SharedBatch) else None

    def to(self, device) -> "Actions":
        tensors = ("batch", "weights", "advantages", "old", "deciding")
        return replace(self, **{name: getattr(self, name).to(device) for name in tensors})

    def choices(self, thinker, temperature: float) -> tuple[Tensor, Tensor]:
        """(N,) log-probabilities of the actions now, and (N,) entropies of the choices."""
        if isinstance(self.batch, SharedBatch):
            states, said = read_shared(thinker, self.batch).states(), self.batch.said
        else:
            trace = run(thinker, self.batch, end=self.batch.end)
            states, said = learned_states(trace.hidden, self.batch)
        return state_choices(thinker, states, said, self.batch.targets, temperature)


def _together(groups: Sequence[Sequence[Layout]], thinker) -> Batch | SharedBatch:
    """On one trunk for each question where that can be done and pays, else row by row; the order of the actions is the same."""
    thinking, door = thinker.thinking, thinker.door
    plain = thinking.window is not None or thinking.close != "token" or door.attention.startswith("flash")
    # A model that is free to write whatever it likes may write silent steps anywhere.
    wild = not thinking.confine and any(_chosen_silence(layout, thinker.vocab) for group in groups for layout in group)
    if plain or wild or not all(_one_chain(group, thinker.vocab) for group in groups):
        return Batch.of([layout for group in groups for layout in group], thinker.vocab)
    return SharedBatch.of(groups, thinker.vocab)


def _chosen_silence(layout: Layout, vocab: Vocab) -> bool:
    return any(vocab.latent in piece.ids for piece in layout.segments if piece.name == CHOSEN)


def _one_chain(group: Sequence[Layout], vocab: Vocab) -> bool:
    """Whether all answers to a question think along one chain, and are short."""
    said = [layout.ids for layout in group]
    reach = [max((at + 1 for at, token in enumerate(ids) if token == vocab.latent), default=1) for ids in said]
    longest = said[max(range(len(said)), key=reach.__getitem__)]
    alike = all(ids[:upto] == longest[:upto] for ids, upto in zip(said, reach))
    return alike and sum(len(ids) - upto for ids, upto in zip(said, reach)) <= SHARED
