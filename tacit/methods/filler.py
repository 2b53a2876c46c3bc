"""Filler tokens: the chain of thought is swapped, token by token, for pauses that say nothing.

A pause is an ordinary token, so nothing below knows about it. Pauses can be supervised (the model must write them itself) or
fed (they stand in the prompt, and an answer is one read away).
"""

import math
from typing import ClassVar, Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Progress, answer, cue, opening, question
from tacit.methods.gated import Gated
from tacit.methods.removal import Removal
from tacit.vocab import Vocab

PAUSE = "<pause>"
WHOLE = 10_000
"""A stage is the share of tokens swapped, in ten-thousandths, unless a gate counts tokens."""


class Filler(Gated):
    """Question, pauses and what is left of the steps, answer."""

    tokens: ClassVar[tuple[str, ...]] = (PAUSE,)

    switch: Literal["sequential", "random", "depth"] = "sequential"
    """sequential: from the front. random: each token for itself. depth: whole steps from the front."""
    ratio: float = Field(default=1.0, gt=0, le=1000)
    """Pauses for each token of a run that is swapped, rounded up."""
    from_step: int = Field(default=0, ge=0)
    """Optimizer step at which swapping begins; the share then rises evenly to all at the last step."""
    from_rate: float = Field(default=0.0, ge=0, le=100)
    """Percent swapped at the beginning."""
    supervised: bool = False
    """Learn to write the pauses, and write them when answering; otherwise they are fed."""
    pauses: int | None = Field(default=None, ge=1, le=100_000)
    """Pauses that are fed when training is over. Left out: as many as an example's own written steps would give, which only a
    row with steps can tell; set it where all chains have one length, and to answer questions that come alone."""
    always: bool = False
    """All steps are pauses from the start: the control without a curriculum."""
    removal: Removal | None = None
    """Remove tokens at this pace before the rest is swapped. Behind a gate, only `side` and `smoothing` count. How many pauses
    a trained model is fed must then be said: `pauses`."""

    @model_validator(mode="after")
    def _always_is_all(self) -> "Filler":
        curriculum = ("gate", "removal", "from_step", "from_rate", "replay", "frontier_weight")
        idle = self.changed(*curriculum)
        if self.always and idle:
            raise ValueError(
                f"always: true means pauses from the first step to the last, so {idle[0]} has nothing to say; leave it out, or "
                "set always: false"
            )
        return self

    @model_validator(mode="after")
    def _one_pace(self) -> "Filler":
        rising = [name for name in ("from_step", "from_rate") if getattr(self, name)]
        if self.supervised and self.pauses:
            raise ValueError(
                "supervised pauses are written by the model, as many as it likes, and pauses says how many are fed; set "
                "pauses: null, or supervised: false"
            )
        if self.gate:
            if self.switch == "random":
                raise ValueError(
                    "a gate swaps tokens or steps one after the other, and switch: random each for itself; set switch: "
                    "sequential or depth, or gate: null"
                )
            rising += [f"removal.{name}" for name in (self.removal.paced() if self.removal else ())]
            if rising:
                raise ValueError(
                    f"the gate says when the next token goes, and {rising[0]} says it too; set gate: null, or leave "
                    f"{rising[0]} out"
                )
        elif self.removal and not self.supervised and self.pauses is None:
            raise ValueError(
                "how many tokens are left to be swapped when training is over depends on removal, so a trained model cannot be "
                "fed as many pauses as there were steps; set pauses: 4, say, or supervised: true"
            )
        return self

    def stage(self, at: Progress) -> int:
        if self.always:
            return WHOLE
        share = min(1.0, max(0.0, (at.step - self.from_step) / max(1, at.steps - self.from_step)))
        rate = self.from_rate / 100 + (1 - self.from_rate / 100) * share if at.step >= self.from_step else 0.0
        removed = self.removal.count(at) if self.removal else 0
        return removed * (WHOLE + 1) + round(rate * WHOLE)

    def row(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> Layout:
        if stage is None:
            asked = self._asked(ex, vocab, learn=1.0 if self.supervised else 0.0)
            return Layout(*asked, cue(ex), answer(ex, vocab))
        removed, share = (0, stage) if self.gate else divmod(stage, WHOLE + 1)
        steps = [list(step) for step in ex.steps]
        if self.removal:
            steps = self._cut(steps, removed + self.removal.offset(rng))
        elif self.pauses and rng is not None:
            self._keep_promise(ex)
        swapped = self._swap(steps, share, vocab, rng)
        return Layout(question(ex), *opening(ex), *swapped, cue(ex), answer(ex, vocab))

    def era(self, stage: int) -> int:
        """A share that rises in every step is no new beginning; a removed token is."""
        return stage if self.gate else stage // (WHOLE + 1)

    def units(self, ex: Encoded) -> int:
        return len(ex.steps) if self.switch == "depth" else sum(map(len, ex.steps))

    def asked_without(self) -> bool:
        return not self.supervised

    def earlier(self, ex: Encoded, stage: int, rng: Generator) -> int:
        if self.gate:
            return super().earlier(ex, stage, rng)
        removed, share = divmod(stage, WHOLE + 1)
        if not removed:
            return int(rng.integers(share))
        removed = min(removed, sum(map(len, ex.steps)))
        return int(rng.integers(removed + 1)) * (WHOLE + 1) + int(rng.integers(share + 1))

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        if self.supervised:
            return Layout(question(ex))
        steps = [list(step) for step in ex.steps]
        if stage is None or self.always:
            return Layout(*self._asked(ex, vocab), cue(ex, 0.0))
        removed, share = (0, stage) if self.gate else divmod(stage, WHOLE + 1)
        if self.removal:
            steps = self._cut(steps, removed)
        done = self._swapped(steps, share, None)
        written = sum(map(len, steps)) > done
        pieces = [Segment("pause", (vocab.extra[PAUSE],) * self._pauses(done))] if done else []
        pieces += [] if written else [cue(ex, 0.0)]
        return Layout(question(ex), *(opening(ex, 0.0) if pieces else ()), *pieces)

    def _asked(self, ex: Encoded, vocab: Vocab, learn: float = 0.0) -> tuple[Segment, ...]:
        """What a trained model starts from: every step is pauses."""
        count = self.pauses or self._pauses(sum(map(len, ex.steps)))
        return question(ex), *opening(ex, learn), Segment("pause", (vocab.extra[PAUSE],) * count, learn)

    def _keep_promise(self, ex: Encoded) -> None:
        tokens = sum(map(len, ex.steps))
        if self._pauses(tokens) != self.pauses:
            raise DataError(
                f"{ex.id or 'example'}: its {tokens} written tokens make {self._pauses(tokens)} pauses, and method.pauses "
                f"promises {self.pauses} for every question; set method.pauses: null, or take chains of one length"
            )

    def _pauses(self, tokens: int) -> int:
        return math.ceil(tokens * self.ratio)

    def _cut(self, steps: list[list[int]], gone: int) -> list[list[int]]:
        assert self.removal is not None
        chain = [(token, i) for i, step in enumerate(steps) for token in step]
        start, end = self.removal.span(len(chain), gone)
        kept = chain[:start] + chain[end:]
        return [[token for token, owner in kept if owner == i] for i in range(len(steps))]

    def _swapped(self, steps: list[list[int]], share: int, rng: Generator | None) -> int:
        """How many tokens from the front are swapped; without random numbers, the expected count."""
        total = sum(map(len, steps))
        if self.always:
            return total
        if self.gate and self.switch == "depth":
            return sum(map(len, steps[: self.gone(share)]))
        if self.gate:
            return min(self.gone(share), total)
        p = share / WHOLE
        if self.switch == "depth":
            levels = len(steps) if p >= 1 else int(p * len(steps))
            return sum(map(len, steps[:levels]))
        return round(p * total) if rng is None else int(rng.binomial(total, p))

    def _swap(self, steps: list[list[int]], share: int, vocab: Vocab, rng: Generator | None) -> list[Segment]:
        """Pauses in the place of swapped tokens; without random numbers from the front, as prompts have them."""
        chain = [token for step in steps for token in step]
        if self.switch == "random" and rng is not None and not self.always:
            mask = rng.random(len(chain)) < share / WHOLE
        else:
            mask = np.arange(len(chain)) < self._swapped(steps, share, rng)
        learn = 1.0 if self.supervised else 0.0
        pieces: list[Segment] = []
        seen = False
        for start, end in _runs(mask):
            if mask[start]:
                pieces.append(Segment("pause", (vocab.extra[PAUSE],) * self._pauses(end - start), learn))
            elif seen:
                pieces.append(Segment("steps", chain[start:end], 1.0))
            else:
                seen = True
                pieces += self.written(chain[start:end])
        return pieces


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """(start, end) of maximal stretches of equal values."""
    if not len(mask):
        return []
    edges = [0, *(np.flatnonzero(mask[1:] != mask[:-1]) + 1).tolist(), len(mask)]
    return list(zip(edges, edges[1:]))
