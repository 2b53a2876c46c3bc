"""A thought before every token of a text (Quiet-STaR, and the recurrent laboratory that asks when thoughts are used).

Nothing tells the model what to think. A thought is drawn at every place; it was good if what came next became likelier.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.random import Generator
from pydantic import Field, model_validator
from torch import Tensor

from tacit.errors import DataError, ModelError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, Loss, Method
from tacit.quiet.mind import Mind, Trunk
from tacit.quiet.objective import Objective, Values, log_mean, losses
from tacit.quiet.stack import Stack
from tacit.quiet.thinking import Rule, Thoughts, null_thought, think, understand
from tacit.train.chance import generators
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.quiet.model import QuietForCausalLM
    from tacit.thinker import Thinker

THOUGHTS = 1 << 40
"""Sets the random numbers of thoughts apart from those of a seed's layouts."""
CYCLE = 5


@dataclass
class Texts:
    """Rows of text as tensors, padded on the right."""

    ids: Tensor  # (B, W)
    keep: Tensor  # (B, W)
    learned: float

    def to(self, device) -> "Texts":
        return replace(self, ids=self.ids.to(device), keep=self.keep.to(device))


class Quiet(Method):
    """A text; before each of its tokens, thoughts that are drawn and judged by how likely they make it."""

    length: int = Field(default=10, ge=0)
    """Tokens of a thought, or the most of them where a thought may end itself."""
    samples: int = Field(default=10, ge=1)
    """Thoughts before each token, in training."""
    variable: bool = False
    """A thought may end itself."""
    objective: Objective = Objective()
    """What is learned from thoughts."""
    words_only: bool = True
    """Thoughts consist of tokens that texts consist of, and of the mark that ends them where they may end themselves."""
    starts_at: int | None = Field(default=None, ge=1)
    """Thoughts may first be so long, and come to `length` bit by bit."""
    half_life: float = Field(default=135.0, gt=0)
    """Steps after which half of that difference is gone."""
    forgets: bool = False
    """Every token of a thought is chosen from the state at its beginning and the token before it alone, as an early experiment
    had it by mistake."""
    drops_last: bool = False
    """A model that interprets its thoughts by going on from them does not read their last token, as one did by mistake."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Quiet":
        objective = self.objective
        if self.variable and not self.length:
            raise ValueError("variable: thoughts of length 0 have nothing to end; set a length, or variable: false")
        among = objective.goal != "elbo" or objective.fit != "policy" or objective.baseline in ("loo", "mean")
        if self.samples == 1 and objective.policy and self.length and among:
            raise ValueError(
                "samples: 1 leaves a thought no other of its place to be compared with; set samples to 2 or more, or "
                "objective.baseline to null or ema"
            )
        if objective.learned and objective.learned > self.samples:
            raise ValueError(f"objective.learned is {objective.learned} of {self.samples} samples; set it no higher")
        shaped = [name for name in ("punish_unfinished", "length_penalty") if getattr(objective, name)]
        if shaped and not self.variable:
            raise ValueError(f"objective.{shaped[0]} is about thoughts that may end themselves; set variable: true")
        return self

    # -- rows -----------------------------------------------------------------------------------------------------------

    def check(self, encoded: Sequence[Encoded]) -> None:
        asked = next((row for row in encoded if row.cue or row.steps), None)
        if asked is not None:
            raise DataError(
                f"{asked.id or 'example'} is a question, and thoughts before every token belong to plain text; take a task of "
                "texts, such as text"
            )

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        return {"main": Layout(Segment("question", ex.question), Segment("text", ex.answer, 1.0))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return Layout(Segment("question", ex.question))

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        return {"main": texts([row["main"].ids for row in rows], vocab.pad)}

    # -- learning -------------------------------------------------------------------------------------------------------

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        return self.together(Stack([_model(thinker)]), thinker.vocab, [lesson], [counts])[0]

    def together(
        self, stack: Stack, vocab: Vocab, lessons: Sequence[Lesson], counts: Sequence[dict[str, Any]]
    ) -> list[Loss]:
        """The losses of several models side by side, each with a lesson of its own; all lessons are of one shape."""
        models: list[QuietForCausalLM] = list(stack.models)  # type: ignore[arg-type]
        roles = models[0].config.parts
        for model, lesson in zip(models, lessons):
            model.steps.fill_(lesson.step)
        level = lessons[0].step % CYCLE if roles.dropout_cycle else 0
        mind = Mind(models[0].config, stack, level, models[0].training)
        ids, real = _stacked([lesson.views["main"] for lesson in lessons])
        targets = _cells(ids[..., 1:])
        trunk = mind.trunk(ids[..., :-1])
        counted = real.new_tensor([float(count["main"]) for count in counts])
        if not roles.thinks:
            sums = {"nll": -(mind.score(trunk.hidden, None, targets) * real).sum(-1)}
            total = sums["nll"]
        else:
            chance = _chance(lessons, self.samples, max(self.length, self.starts_at or 0, 1)).to(real)
            total, sums = self._thought(mind, trunk, targets, real, chance, lessons[0], vocab)
        sums |= {"cells": real.sum(-1)}
        total = total / counted
        return [Loss(total[s], {name: part[s].detach() for name, part in sums.items()}) for s in range(len(models))]

    def rule(self, vocab: Vocab, step: int | None = None, samples: int | None = None) -> Rule:
        """How thoughts are drawn, at a step of training or when it is over."""
        length = self.length
        if self.starts_at is not None and step is not None:
            left = 0.5 ** (step / self.half_life)
            length = round(self.starts_at * left + self.length * (1 - left))
        banned = (vocab.pad, vocab.eos, vocab.latent, vocab.close, *vocab.extra.values()) if self.words_only else ()
        if self.words_only and not self.variable:
            banned = (*banned, vocab.open)
        return Rule(
            length, samples or self.samples, self.variable, self.forgets, self.drops_last, tuple(sorted(banned))
        )

    def _thought(
        self, mind: Mind, trunk: Trunk, targets: Tensor, real: Tensor, chance: Tensor, lesson: Lesson, vocab: Vocab
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each model, summed over cells, and what is to be told of it."""
        goal = self.objective
        models: list[QuietForCausalLM] = list(mind.weights.models)  # type: ignore[arg-type]
        rule = self.rule(vocab, lesson.step)
        shape = (self.samples,)
        with torch.set_grad_enabled(torch.is_grad_enabled() and self._teaches_thinking()):
            thoughts = think(mind, trunk, rule, chance)
        understood = understand(mind, thoughts, rule)
        values = Values(
            like=mind.score(trunk.hidden, understood, targets).unflatten(1, (-1, *shape)),
            logp=thoughts.logp.unflatten(1, (-1, *shape)),
            chosen=thoughts.chosen.unflatten(1, (-1, *shape)),
            ended=thoughts.ended.unflatten(1, (-1, *shape)),
            real=real,
        )
        if goal.needs_null():
            values.null = mind.score(trunk.hidden, null_thought(mind, trunk, rule), targets)
        if goal.judge:
            values.judged = mind.judge(trunk.hidden, understood).unflatten(1, (-1, *shape))
        values.usual = torch.stack([model.usual for model in models]).to(real)
        parts = losses(goal, values, self.variable, lesson.step / lesson.steps)
        total = goal.nll * parts["nll"] + goal.policy * parts.get("policy", 0.0) + parts.get("judge", 0.0)
        cells, choices = real.sum(-1), thoughts.chosen.sum(-1)
        entropy = thoughts.entropy / choices.clamp(min=1)
        if goal.entropy_target is None:
            total = total - goal.entropy * entropy * cells
        else:
            pressure = torch.stack([model.pressure for model in models]).to(real)
            total = total - pressure * entropy * cells
        if models[0].training:
            self._remember(models, values, entropy.detach())
        return total, self._told(mind, parts, thoughts, entropy, cells)

    def _teaches_thinking(self) -> bool:
        goal = self.objective
        return bool(goal.policy or goal.entropy or goal.entropy_target is not None)

    def _remember(self, models: "Sequence[QuietForCausalLM]", values: Values, entropy: Tensor) -> None:
        """What is carried from step to step: the usual value, and how much undecidedness is asked for."""
        goal = self.objective
        found = (values.like.detach().mean(-1) * values.real).sum(-1) / values.real.sum(-1)
        for model, value, spread in zip(models, found, entropy):
            begun = float(model.steps > 0)
            model.usual.lerp_(value.to(model.usual), 1.0 - goal.memory * begun)
            if goal.entropy_target is not None:
                model.pressure.add_(goal.entropy_rate * (goal.entropy_target - spread)).clamp_(min=0)

    def _told(
        self, mind: Mind, parts: dict[str, Tensor], thoughts: Thoughts, entropy: Tensor, cells: Tensor
    ) -> dict[str, Tensor]:
        """Sums over cells, to be divided by their number."""
        tokens = thoughts.chosen - thoughts.ended.long()

        def mean(numbers: Tensor) -> Tensor:
            return numbers.to(entropy).mean(-1) * cells

        told = {name: parts[name] for name in ("nll", "policy", "judge", "advantage") if name in parts}
        told |= {"entropy": entropy * cells, "tokens": mean(tokens)}
        if self.variable:
            told |= {"empty": mean(tokens == 0), "unfinished": mean(~thoughts.ended)}
        if mind.gate is not None:
            told["gate"] = mean(mind.gate[..., 0])
        return told

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """`nll` and `policy` are the two losses, `advantage` the root of the mean square of advantages, `entropy` that of a
        choice in nats, `tokens` of a thought, `empty` and `unfinished` shares of thoughts, `gate` how far predictions leave the
        base model."""
        cells = max(1.0, parts["cells"])
        told = {name: value / cells for name, value in parts.items() if name != "cells"}
        if "advantage" in told:
            told["advantage"] = told["advantage"] ** 0.5
        return told

    # -- measuring ------------------------------------------------------------------------------------------------------

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """Negative log-likelihood, in nats for each token of the texts, behind one drawn thought (`nll`), behind the best
        mixture of `samples` of them (`mixed_nll`), behind none (`null_nll`), and behind the thought of another place
        (`swapped_nll`). Which thoughts are drawn depends on the text alone."""
        sums: dict[str, float] = {}
        cells = 0
        for start in range(0, len(encoded), batch):
            rows = encoded[start : start + batch]
            view = texts([[*row.question, *row.answer] for row in rows], thinker.vocab.pad).to(thinker.device)
            picks = [(0, start + n) for n in range(len(rows))]
            lesson = Lesson({"main": view}, len(rows), picks=picks)
            for name, value in self._measured(thinker, lesson, samples).items():
                sums[name] = sums.get(name, 0.0) + value
            cells += int(view.learned)
        return {name: value / cells for name, value in sums.items()}

    @torch.no_grad()
    def _measured(self, thinker: "Thinker", lesson: Lesson, samples: int) -> dict[str, float]:
        model = _model(thinker)
        mind = Mind(model.config, Stack([model]))
        ids, real = _stacked([lesson.views["main"]])
        targets, trunk = _cells(ids[..., 1:]), mind.trunk(ids[..., :-1])

        def nll(like: Tensor) -> float:
            return -float((like * real).sum())

        if not mind.roles.thinks:
            return {"nll": nll(mind.score(trunk.hidden, None, targets))}
        rule = self.rule(thinker.vocab, samples=samples)
        thoughts = think(mind, trunk, rule, _chance([lesson], samples, rule.draws).to(real))
        understood = understand(mind, thoughts, rule)
        like = mind.score(trunk.hidden, understood, targets).unflatten(1, (-1, samples))
        tokens = (thoughts.chosen - thoughts.ended.long()).to(real).unflatten(1, (-1, samples))
        found = {"nll": nll(like.mean(-1)), "tokens": float((tokens.mean(-1) * real).sum())}
        if samples > 1:
            found["mixed_nll"] = nll(log_mean(like))
        found["null_nll"] = nll(mind.score(trunk.hidden, null_thought(mind, trunk, rule), targets))
        if self.length and mind.roles.interpreter == "afresh":
            # Half the batch away: another text, or another part of the same one.
            other = understood.unflatten(1, (-1, samples)).roll(max(1, len(real[0]) // 2), 1).flatten(1, 2)
            found["swapped_nll"] = nll(mind.score(trunk.hidden, other, targets).unflatten(1, (-1, samples)).mean(-1))
        return found


def texts(rows: Sequence[Sequence[int]], pad: int) -> Texts:
    """Rows as one rectangle."""
    ids = np.full((len(rows), max(map(len, rows))), pad, dtype=np.int64)
    keep = np.zeros(ids.shape, dtype=bool)
    for number, row in enumerate(rows):
        ids[number, : len(row)], keep[number, : len(row)] = row, True
    return Texts(torch.from_numpy(ids), torch.from_numpy(keep), float(keep[:, 1:].sum()))


def _model(thinker: "Thinker") -> "QuietForCausalLM":
    from tacit.quiet.model import QuietForCausalLM

    if not isinstance(thinker.model, QuietForCausalLM):
        raise ModelError(
            f"method quiet needs a model whose roles think for themselves, and this is a {type(thinker.model).__name__}; set "
            "model.tiny.family: roles"
        )
    return thinker.model


def _stacked(views: Sequence[Texts]) -> tuple[Tensor, Tensor]:
    """Ids (S, B, W) and, for each cell (S, C), 1 where there is something to predict."""
    ids = torch.stack([view.ids for view in views])
    keep = torch.stack([view.keep for view in views])
    return ids, _cells(keep[..., 1:]).float()


def _cells(columns: Tensor) -> Tensor:
    """(S, B, L) -> (S, C), columns outermost."""
    return columns.transpose(1, 2).flatten(1)


def _chance(lessons: Sequence[Lesson], samples: int, length: int) -> Tensor:
    """Uniform random numbers (R, S, M). They belong to a seed, an example and an epoch, and so depend neither on what else is in
    the batch nor on how it is padded."""
    of_models = []
    for lesson in lessons:
        columns = lesson.views["main"].ids.shape[1] - 1
        numbers = np.empty((lesson.rows, columns, samples, length), dtype=np.float32)
        for row, rng in enumerate(generators(lesson.seed + THOUGHTS, lesson.picks)):
            rng.random(dtype=np.float32, out=numbers[row])
        of_models.append(torch.from_numpy(numbers).permute(3, 1, 0, 2).flatten(1))
    return torch.stack(of_models, 1)
