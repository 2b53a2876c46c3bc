"""Thoughts are drawn at every cell of a text, column by column, each of them a row of its own.

Gradients flow through what was drawn as they stand: the states of a recurrent reasoner are needed once, so what sampling has
computed is what is learned from. Thoughts that have ended are left out of the columns that follow.

Shapes: S models, C cells, T thoughts of a cell, M = C T thoughts, R tokens of a thought.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from tacit.quiet.going import Going
from tacit.quiet.mind import Mind, Trunk


@dataclass(frozen=True)
class Rule:
    """How thoughts are drawn."""

    length: int
    """Tokens of a thought, or the most of them where a thought may end itself."""
    samples: int = 1
    """Thoughts of every cell."""
    variable: bool = False
    """A thought ends when it chooses the mark; one that does not is ended."""
    forgets: bool = False
    """Every token is chosen from the state behind the opening mark and the token before it alone."""
    drops_last: bool = False
    """A reasoner that interprets its own thoughts does not read their last token."""
    banned: tuple[int, ...] = ()
    """Tokens that are no thoughts."""

    @property
    def draws(self) -> int:
        """Random numbers that a thought needs."""
        return max(self.length, 1)


class Thoughts(NamedTuple):
    """What was thought."""

    read: Tensor
    """(S, M, R + 1): the tokens as the interpreter reads them, the closing mark behind them, then nothing."""
    logp: Tensor
    """(S, M): log-probability of all that was chosen."""
    entropy: Tensor
    """(S, M): the sum of the entropies, in nats, of its choices."""
    chosen: Tensor
    """(S, M): how many tokens were chosen, a mark that ends the thought among them."""
    ended: Tensor
    """(S, M): whether the thought ended itself."""
    surest: Tensor
    """(S, M): the smallest entropy of its choices."""
    least_sure: Tensor
    """(S, M): the greatest."""
    state: Tensor | None = None
    """(S, M, R): where a reasoner stands that goes on to interpret; it has not read its last token."""


def think(mind: Mind, trunk: Trunk, rule: Rule, chance: Tensor) -> Thoughts:
    """Thoughts at every cell, by uniform random numbers (R, S, M)."""
    assert trunk.seeds is not None
    state = mind.open(trunk.seeds)
    if not rule.length:
        return _none(mind, state, rule.samples)
    C = state.shape[1]
    banned = torch.tensor(rule.banned, device=state.device, dtype=torch.long) if rule.banned else None
    # The first tokens of a cell's thoughts come from one distribution.
    first = mind.choose(state, chance[0].unflatten(1, (C, rule.samples)), banned)
    tokens = first.tokens.flatten(1)
    opened = state.repeat_interleave(rule.samples, 1) if rule.samples > 1 else state
    log = _Log(mind, tokens, first.logp.flatten(1), first.entropy.repeat_interleave(rule.samples, 1), rule)
    state = opened
    for step in range(1, rule.length):
        if rule.variable:
            kept = log.keep(tokens)
            if kept is None:
                break
            state, opened, tokens = (_taken(one, kept) for one in (state, opened, tokens))
        state = mind.step(2, tokens, opened if rule.forgets else state)
        found = mind.choose(state, log.mine(chance[step])[..., None], banned)
        tokens = found.tokens[..., 0]
        log.add(step, tokens, found.logp[..., 0], found.entropy)
    return log.thoughts(state)


def understand(mind: Mind, thoughts: Thoughts, rule: Rule) -> Tensor:
    """What the interpreter makes of every thought: (S, M, R)."""
    if thoughts.state is None:
        return mind.interpret(thoughts.read)
    # A reasoner that goes on has read all but its last token.
    left = 1 if rule.drops_last else 2
    return mind.interpret(thoughts.read[..., -left:], thoughts.state)


def null_thought(mind: Mind, trunk: Trunk, rule: Rule) -> Tensor:
    """What the interpreter makes of no thought at all: (S, 1, R), or (S, C, R) where that depends on the cell."""
    assert trunk.seeds is not None
    if mind.roles.interpreter == "onward":
        return understand(mind, _none(mind, mind.open(trunk.seeds), 1), rule)
    mark = torch.full((len(trunk.seeds), 1, 1), mind.mark, dtype=torch.long, device=trunk.seeds.device)
    return mind.interpret(mark)


def _none(mind: Mind, state: Tensor, samples: int) -> Thoughts:
    """Empty thoughts: the closing mark is all there is to read."""
    S, C, _ = state.shape
    if samples > 1:
        state = state.repeat_interleave(samples, 1)
    read = torch.full((S, C * samples, 1), mind.mark, dtype=torch.long, device=state.device)
    nothing = state.new_zeros(S, C * samples)
    return Thoughts(read, nothing, nothing, nothing.long(), nothing.bool(), nothing, nothing, state)


def _taken(rows: Tensor, kept: Tensor) -> Tensor:
    return rows.gather(1, kept if rows.dim() == 2 else kept[..., None].expand(-1, -1, rows.shape[-1]))


class _Log:
    """What was chosen so far. In thoughts of any length, only some rows go on, and `rows` says which."""

    def __init__(self, mind: Mind, tokens: Tensor, logp: Tensor, entropy: Tensor, rule: Rule):
        self.mind, self.rule = mind, rule
        self.logp, self.entropy = logp, entropy
        self.surest = self.least_sure = entropy.detach()
        S, M = tokens.shape
        self.read = torch.full((S, M, rule.length + 1), mind.nothing, dtype=torch.long, device=tokens.device)
        self.read[..., 0] = tokens
        self.rows: Tensor | None = None
        self.live: Tensor | None = None
        self.going = Going(M)

    def keep(self, tokens: Tensor) -> Tensor | None:
        """Which of the rows at hand go on: those whose last token was no mark. Models side by side keep as many rows as the
        one with the most; the others' surplus is computed and not counted. None when all are known to have ended."""
        on = tokens != self.mind.mark
        if self.live is not None:
            on = on & self.live
        most = self.going.at_most(on)
        if not most:
            return None
        kept = (~on).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
        self.rows = kept if self.rows is None else self.rows.gather(1, kept)
        self.live = on.gather(1, kept)
        return kept

    def mine(self, numbers: Tensor) -> Tensor:
        """The part of (S, M) that belongs to the rows at hand."""
        return numbers if self.rows is None else numbers.gather(1, self.rows)

    def add(self, step: int, tokens: Tensor, logp: Tensor, entropy: Tensor) -> None:
        if self.rows is None or self.live is None:
            self.read[..., step] = tokens
            self.logp, self.entropy = self.logp + logp, self.entropy + entropy
            self.surest = torch.minimum(self.surest, entropy.detach())
            self.least_sure = torch.maximum(self.least_sure, entropy.detach())
            return
        real = torch.where(self.live, tokens, self.mind.nothing)
        self.read[..., step] = self.read[..., step].scatter(1, self.rows, real)
        self.logp = self.logp.scatter_add(1, self.rows, torch.where(self.live, logp, 0.0))
        self.entropy = self.entropy.scatter_add(1, self.rows, torch.where(self.live, entropy, 0.0))
        surest, least_sure, entropy = self.mine(self.surest), self.mine(self.least_sure), entropy.detach()
        surest = torch.where(self.live, torch.minimum(surest, entropy), surest)
        least_sure = torch.where(self.live, torch.maximum(least_sure, entropy), least_sure)
        self.surest = self.surest.scatter(1, self.rows, surest)
        self.least_sure = self.least_sure.scatter(1, self.rows, least_sure)

    def thoughts(self, state: Tensor) -> Thoughts:
        mark = self.mind.mark
        chosen = (self.read != self.mind.nothing).sum(-1)
        ended = (self.read == mark).any(-1) if self.rule.variable else torch.zeros_like(chosen, dtype=torch.bool)
        # A thought that did not end itself is ended.
        at = chosen.clamp(max=self.rule.length)[..., None]
        close = torch.where(ended, self.mind.nothing, mark)[..., None]
        read = torch.where(ended[..., None], self.read, self.read.scatter(-1, at, close))
        goes_on = self.mind.roles.interpreter == "onward"
        spread = self.surest, self.least_sure
        return Thoughts(read, self.logp, self.entropy, chosen, ended, *spread, state if goes_on else None)
