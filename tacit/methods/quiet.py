"""A thought before every token of a text (Quiet-STaR, and the recurrent laboratory that asks when thoughts are used).

Nothing tells the model what to think. A thought is drawn at every place; it was good if what came next became likelier.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from tacit.errors import ModelError
from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss, Team
from tacit.quiet.goal import Objective, by_cell, shared_out
from tacit.quiet.roles import Roles
from tacit.quiet.rows import OfTexts
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from torch import Tensor

    from tacit.quiet.model import QuietForCausalLM
    from tacit.quiet.thinking import Rule
    from tacit.thinker import Thinker


class Quiet(OfTexts):
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
    counts_pads: bool = False
    """What pads a thought that ended itself counts in the mean entropy, as choices that were certain: so the bonus of early
    experiments was reckoned, by mistake."""

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
        if self.counts_pads and not self.variable:
            raise ValueError(
                "counts_pads: thoughts of one length have no pads; set variable: true, or counts_pads: false"
            )
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

    # -- learning -------------------------------------------------------------------------------------------------------

    def team(self, thinkers: "Sequence[Thinker]") -> Team:
        from tacit.quiet.learning import Side
        from tacit.quiet.stack import Stack

        return Side(self, Stack([self._model(thinker) for thinker in thinkers]), thinkers[0].vocab)

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.quiet.learning import together
        from tacit.quiet.stack import Stack

        return together(self, Stack([self._model(thinker)]), thinker.vocab, [lesson], [counts])[0]

    def rule(self, vocab: Vocab, step: int | None = None, samples: int | None = None) -> "Rule":
        """How thoughts are drawn, at a step of training or when it is over."""
        from tacit.quiet.thinking import Rule

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

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """`nll` and `policy` are the two losses, `advantage` the root of the mean square of advantages, `entropy` that of a
        choice in nats and `thought_entropy` that of all choices of a thought, each with its least and greatest in the batch
        (`_min`, `_max`; of micro-batches, the mean of theirs), `thought_tokens` and `longest` how long thoughts are and may be,
        `empty` and `unfinished` shares of thoughts, `gate` how far predictions leave the base model, also behind empty thoughts
        (`gate_empty`) and others (`gate_thinking`), `weights_norm` the length of all weights."""
        return shared_out(by_cell(parts))

    # -- measuring ------------------------------------------------------------------------------------------------------

    def predict(self, thinker: "Thinker", rows: Sequence[Layout], batch: int) -> "Iterator[Tensor]":
        raise ModelError(
            "a model of method quiet draws several thoughts before every token, so it has no one distribution to give; texts "
            "are measured with tacit eval, each token with tacit probe"
        )

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """See `tacit.quiet.measuring.measure`."""
        from tacit.quiet.measuring import measure

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
