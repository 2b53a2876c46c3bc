"""What a model that thinks before every token is made of: four roles, which may be played by one to four networks."""

from collections.abc import Mapping
from itertools import product
from typing import Literal

from pydantic import Field, field_validator

from tacit.settings import Settings

ROLES = ("base", "base reasoner", "reasoner", "interpreter")


def _canonical(letters: str) -> str:
    """The same sharing with A for what most roles share, and other letters in the order of their first use: CBBD is BAAC."""
    names = {max(letters, key=letters.count): "A"}
    return "".join(names.setdefault(letter, "ABCD"[len(names) % 4]) for letter in letters)


SHARINGS = sorted({_canonical("".join(letters)) for letters in product("ABCD", repeat=4)})


class Roles(Settings):
    """The base model reads the text. The base reasoner reads it too and says, at every token, where a thought begins. The
    reasoner writes the thought. The interpreter reads it, and what it has understood changes what the base model predicts."""

    reasoner: int | None = Field(default=None, ge=1)
    """Width of all roles but the base model. Left out: as wide as that."""
    groups: str = "ABCD"
    """Which of base, base reasoner, reasoner and interpreter share embedding and recurrent layer: equal letters do. AAAA is one
    network, ABCD are four."""
    join: Literal["add", "concat", "gate", "warm_gate", "alone"] = "concat"
    """How the prediction depends on base model and interpreter. add: their sum, the interpreter's part through a matrix. concat:
    both beside each other. gate: (1 - w) base + w (both, mixed), where w is unbounded and starts at 0. warm_gate: the same with
    w between 0 and 1, held at `gate_start` at first. alone: the interpreter's part without the base model's."""
    interpreter: Literal["afresh", "onward"] = "afresh"
    """afresh: the interpreter reads a thought from a state of its own. onward: it goes on from the reasoner's last state, as
    one network would that plays all roles."""
    reasoner_head: Literal["linear", "mlp", "shared"] = "linear"
    """What the reasoner chooses its tokens with. shared: the head of the predictions."""
    levels: int = Field(default=5, ge=0)
    """Strengths of base models that the other roles can be told apart for; 0: they are told nothing. Only the first is in use
    unless base_dropout goes in a cycle."""
    thinks: bool = True
    """Whether there are thoughts at all; without, this is a plain language model."""
    base_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on what the base model tells the prediction, in training."""
    dropout_cycle: bool = False
    """Dropout grows from 0 to base_dropout over five steps, again and again, and the other roles are told the level."""
    gate_start: float = Field(default=0.0, ge=0, le=1)
    """Where a warm gate is held at first."""
    gate_half_life: float = Field(default=135.0, gt=0)
    """Steps after which half of that hold is gone."""
    halving: bool = False
    """With join: add, the interpreter's part comes to the width of the base model in several matrices, each half as wide as the
    one before, instead of one."""
    judge: bool = False
    """A learned guess of what a thought is worth, from the base model's state and the interpreter's."""

    @field_validator("groups")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SHARINGS:
            same = f"; the same sharing is written {_canonical(value)}" if len(value) == 4 and value.isalpha() else ""
            raise ValueError(
                f"groups are four letters for {', '.join(ROLES)}: A for what most of them share, and the next of the alphabet "
                f"for each other one{same}. All sharings: {', '.join(SHARINGS)}"
            )
        return value

    def faults(self, base: int) -> Mapping[str, str]:
        """Settings that do not go together in a model whose base is so wide."""
        found: dict[str, str] = {}
        width = self.reasoner or base
        shared = [role for role, letter in zip(ROLES, self.groups) if letter == self.groups[0]]
        if len(shared) > 1 and width != base:
            found["groups"] = (
                f"{self.groups} lets {' and '.join(shared)} be one network, but the base model is {base} wide and the others "
                f"{width}: set reasoner: {base}, or groups in which the base model has a letter of its own, such as BAAA"
            )
        if self.reasoner_head == "shared" and self.join in ("concat", "alone"):
            fits = self.join == "alone" and width == base
            if not fits:
                found["reasoner_head"] = (
                    f"shared needs a prediction that is made from {base} numbers, and join: {self.join} makes it from others: "
                    "set join: add, or reasoner_head: linear"
                )
        if self.interpreter == "onward" and self.groups[2] != self.groups[3]:
            found["interpreter"] = (
                f"onward goes on from the reasoner's state, which another network (groups: {self.groups}) cannot read: set "
                "groups whose last two letters are equal, or interpreter: afresh"
            )
        if self.halving and (self.join != "add" or width < 2 * base):
            found["halving"] = (
                f"there is nothing to halve between a reasoner that is {width} wide and a base model that is {base} wide with "
                f"join: {self.join}: set join: add and a reasoner at least twice as wide, or halving: false"
            )
        if self.join == "alone" and self.base_dropout:
            found["base_dropout"] = (
                "nothing of the base model reaches the prediction with join: alone: set base_dropout: 0"
            )
        return found


class Parts(Settings):
    """Runs (or model folders) whose weights some roles begin with; what is left out is drawn."""

    base: str | None = None
    """The base model and what predicts from it: embedding, recurrent layer, head and levels of a run of the same widths."""
    reasoner: str | None = None
    """The reasoner's embedding, recurrent layer and head, which become those of this run's base model."""
    base_reasoner: str | None = None
    """The base reasoner's embedding and recurrent layer, which become those of this run's base model."""

    def given(self) -> dict[str, str]:
        return self.model_dump(exclude_none=True)
