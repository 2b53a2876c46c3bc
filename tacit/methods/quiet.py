"""A thought before every token of a text (Quiet-STaR, and the recurrent laboratory that asks when thoughts are used).

Nothing tells the model what to think. A thought is drawn at every place; it was good if what came next became likelier.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from numpy.random import Generator
from pydantic import Field, model_validator
from torch import Tensor

from tacit.errors import DataError, ModelError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import Lesson, Loss, Method
from tacit.quiet.measuring import measure
from tacit.quiet.mind import Mind, Trunk
from tacit.quiet.objective import Objective, Values, losses
from tacit.quiet.roles import Roles
from tacit.quiet.stack import Stack
from tacit.quiet.texts import aligned, cells, chances, kept, stacked, texts
from tacit.quiet.thinking import Rule, null_thought, think, understand
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.quiet.model import QuietForCausalLM
    from tacit.thinker import Thinker

CYCLE = 5


class Place(NamedTuple):
    """What a step learns from, and what its sums are divided by."""

    trunk: Trunk
    targets: Tensor
    """(S, C)"""
    real: Tensor
    """(S, C)"""
    counted: Tensor
    """(S,)"""


class Side(NamedTuple):
    """Models side by side."""

    method: "Quiet"
    stack: Stack
    vocab: Vocab

    def losses(self, lessons: Sequence[Lesson], counts: Sequence[dict[str, Any]]) -> list[Loss]:
        return self.method.together(self.stack, self.vocab, lessons, counts)

    def share_gradients(self) -> None:
        self.stack.share_gradients()


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

    def faults(self, roles: Roles) -> dict[str, str]:
        """Settings that a model of these roles cannot be trained with, each with the reason and the remedy."""
        found: dict[str, str] = {}
        if self.variable and roles.interpreter == "onward":
            found["variable"] = (
                "an interpreter that goes on from the reasoner's last state needs all thoughts to end in the same column: set "
                "method.variable: false, or model.tiny.roles.interpreter: afresh"
            )
        if self.drops_last and roles.interpreter == "afresh":
            found["drops_last"] = (
                "an interpreter that begins afresh reads all of a thought: set method.drops_last: false, or "
                "model.tiny.roles.interpreter: onward"
            )
        if self.objective.judge and not roles.judge:
            found["objective.judge"] = (
                "this model has no part that guesses what a thought is worth: set model.tiny.roles.judge: true, or "
                "method.objective.judge: false"
            )
        return found

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

    def team(self, thinkers: "Sequence[Thinker]") -> "Side":
        return Side(self, Stack([self._model(thinker) for thinker in thinkers]), thinkers[0].vocab)

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        return self.together(Stack([self._model(thinker)]), thinker.vocab, [lesson], [counts])[0]

    def together(
        self, stack: Stack, vocab: Vocab, lessons: Sequence[Lesson], counts: Sequence[dict[str, Any]]
    ) -> list[Loss]:
        """The losses of several models side by side, each with a lesson of its own; all have equally many texts and stand at
        the same step."""
        models: list[QuietForCausalLM] = list(stack.models)  # type: ignore[arg-type]
        roles, lessons = models[0].config.parts, aligned(lessons, vocab.pad)
        for model, lesson in zip(models, lessons):
            model.steps.fill_(lesson.step)
        level = lessons[0].step % CYCLE if roles.dropout_cycle else 0
        dropped = (
            roles.base_dropout * (level / (CYCLE - 1) if roles.dropout_cycle else 1.0) if models[0].training else 0.0
        )
        noise = kept(lessons, models[0].config.hidden_size, dropped) if dropped else None
        mind = Mind(models[0].config, stack, level, noise)
        ids, real = stacked([lesson.views["main"] for lesson in lessons])
        targets = cells(ids[..., 1:])
        trunk = mind.trunk(ids[..., :-1])
        counted = real.new_tensor([float(count["main"]) for count in counts])
        if not roles.thinks:
            sums = {"nll": -(mind.score(trunk.hidden, None, targets) * real).sum(-1)}
            total = sums["nll"]
        else:
            chance = chances(lessons, self.samples, max(self.length, self.starts_at or 0, 1)).to(real)
            place = Place(trunk, targets, real, counted)
            total, sums = self._thought(mind, place, chance, lessons[0], vocab)
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
        self, mind: Mind, place: "Place", chance: Tensor, lesson: Lesson, vocab: Vocab
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of each model, summed over cells, and what is to be told of it."""
        trunk, targets, real, counted = place
        goal = self.objective
        models: list[QuietForCausalLM] = list(mind.weights.models)  # type: ignore[arg-type]
        rule = self.rule(vocab, lesson.step)

        def by_cell(rows: Tensor) -> Tensor:
            return rows.unflatten(1, (-1, self.samples))

        with torch.set_grad_enabled(torch.is_grad_enabled() and self._teaches_thinking(mind.roles)):
            thoughts = think(mind, trunk, rule, chance)
        understood = understand(mind, thoughts, rule)
        like = by_cell(mind.score(trunk.hidden, understood, targets))
        gate = mind.gate
        values = Values(like, by_cell(thoughts.logp), by_cell(thoughts.chosen), by_cell(thoughts.ended), real)
        if goal.needs_null():
            values.null = mind.score(trunk.hidden, null_thought(mind, trunk, rule), targets)
        if goal.judge:
            values.judged = by_cell(mind.judge(trunk.hidden, understood))
        values.usual = torch.stack([model.usual for model in models]).to(real)
        parts = losses(goal, values, self.variable, lesson.step / lesson.steps)
        total = goal.nll * parts["nll"] + goal.policy * parts.get("policy", 0.0) + parts.get("judge", 0.0)
        entropy = by_cell(thoughts.entropy).sum(-1) / values.chosen.sum(-1).clamp(min=1)
        entropy = (entropy * real).sum(-1)
        if goal.entropy_target is None:
            total = total - goal.entropy * entropy
        else:
            total = total - torch.stack([model.pressure for model in models]).to(real) * entropy
        if models[0].training:
            self._remember(models, values, entropy.detach(), counted)
        return total, self._told(parts, values, entropy, gate)

    def _teaches_thinking(self, roles: Roles) -> bool:
        """Whether anything is learned from how thoughts came about; of a reasoner that also interprets, always."""
        goal = self.objective
        taught = goal.policy or goal.entropy or goal.entropy_target is not None
        return bool(taught) or roles.interpreter == "onward"

    def _remember(self, models: "Sequence[QuietForCausalLM]", values: Values, entropy: Tensor, counted: Tensor) -> None:
        """What is carried from step to step: the usual value, and how much undecidedness is asked for. A part of a step
        moves them by its share."""
        goal, places = self.objective, values.real.sum(-1)
        found = (values.like.detach().mean(-1) * values.real).sum(-1) / places
        for model, value, spread, share in zip(models, found, entropy / places, (places / counted).tolist()):
            begun = float(model.steps > 0)
            model.usual.lerp_(value.to(model.usual), (1.0 - goal.memory * begun) * share)
            if goal.entropy_target is not None:
                model.pressure.add_(share * goal.entropy_rate * (goal.entropy_target - spread)).clamp_(min=0)

    def _told(
        self, parts: dict[str, Tensor], values: Values, entropy: Tensor, gate: Tensor | None
    ) -> dict[str, Tensor]:
        """Sums over cells, to be divided by their number."""
        tokens = values.chosen - values.ended.long()

        def mean(numbers: Tensor) -> Tensor:
            return (numbers.to(entropy).mean(-1) * values.real).sum(-1)

        told = {name: parts[name] for name in ("nll", "policy", "judge", "advantage") if name in parts}
        told |= {"entropy": entropy, "tokens": mean(tokens)}
        if self.variable:
            told |= {"empty": mean(tokens == 0), "unfinished": mean(~values.ended)}
        if gate is not None:
            told["gate"] = mean(gate[..., 0].unflatten(1, tokens.shape[1:]))
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
        """See `tacit.quiet.measuring.measure`."""
        self._model(thinker)
        return measure(thinker, self.rule(thinker.vocab, samples=samples), encoded, batch)

    def _model(self, thinker: "Thinker") -> "QuietForCausalLM":
        from tacit.quiet.model import QuietForCausalLM

        if not isinstance(thinker.model, QuietForCausalLM):
            raise ModelError(
                f"method quiet needs a model whose roles think for themselves, and this is a {type(thinker.model).__name__}; "
                "set model.tiny.family: roles"
            )
        for sentence in self.faults(thinker.model.config.parts).values():
            raise ModelError(sentence)
        return thinker.model
