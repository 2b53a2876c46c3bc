"""A thought before some tokens of a text, asked for in words: a prompt in front of the text says what a thought is for.

Thoughts are written in the model's own words, as long as they need to be, and end in a mark. Wherever thinking does not pay
there is the null thought, fixed words that mean: keep to what would have been predicted anyway. A thought is worth what it adds
to that.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from tacit.errors import TacitError
from tacit.example import Encoded
from tacit.methods.base import Lesson, Loss
from tacit.quiet.goal import Objective
from tacit.quiet.prompted.deciding import Deciding
from tacit.quiet.rows import LooksAhead
from tacit.thinking import Aside, Cast, Thinking

if TYPE_CHECKING:
    from tacit.thinker import Thinker


class Prompted(LooksAhead):
    """Thoughts that a prompt asks for."""

    preface: str | None = "full"
    """A variant by name (full, brief, examples, sums) or a .yaml file of one. null: nothing stands in front of a text, and the
    null thought is empty."""
    annotations: int = Field(default=10, ge=0)
    """Annotated examples that it must have at least."""
    chat: bool = False
    """It is a message of the user, in the words of the tokenizer's chat template, and the text answers it."""
    objective: Objective = Objective(baseline="null", gate=True)
    """What predictions and thoughts learn."""
    samples: int = Field(default=2, ge=1)
    """Thoughts of every place, in training."""
    longest: int = Field(default=200, ge=1)
    """Tokens of a thought at most; then it is closed."""
    places: int | None = Field(default=8, ge=1)
    """Look at so many places of a text, drawn anew in every step, each standing for others; null: at all of them."""
    place_by: Literal["even", "entropy"] = "entropy"
    """even: all places are equally likely. entropy: likelier where the text alone leaves it less certain what comes next."""
    decide: Deciding | None = None
    """Think only where a learned guess says that it pays; null: at all places that are looked at."""
    cast: Cast = Cast()
    """Which roles have weights of their own."""
    slots: int | None = Field(default=None, ge=1)
    """Thoughts that are written at the same time: speed and memory, not results. Null: all of a batch."""

    @model_validator(mode="after")
    def _goes_together(self) -> "Prompted":
        self.objective.check_samples(self.samples)
        if self.place_by != "even" and self.places is None:
            raise ValueError("place_by chooses some of the places; set places to their number, or place_by: even")
        if self.preface is not None:
            from tacit.quiet.prompted.prompts import load

            try:
                load(self.preface).check(self.preface, self.annotations)
            except TacitError as error:
                raise ValueError(str(error)) from error
        elif self.chat:
            raise ValueError("chat says how a preface is put, and there is none; set preface, or chat: false")
        if self.cast.base == "fixed" and not self.cast.own:
            raise ValueError(
                "the base model is fixed and nothing else would be learned; set cast.reasoner: adapter, or cast.base: trained"
            )
        return self

    def letters(self) -> str:
        from tacit.quiet.prompted.prompts import load

        return "" if self.preface is None else load(self.preface).written()

    def thinking(self) -> Thinking:
        return Thinking(aside=Aside(speech=None, cast=self.cast, guess=self.decide is not None))

    # -- learning -------------------------------------------------------------------------------------------------------

    def rollout(self, thinker: "Thinker", lesson: Lesson) -> Lesson:
        from tacit.quiet.prompted.learning import rollout

        return rollout(self, thinker, lesson)

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.quiet.prompted.learning import learn

        return learn(self, thinker, lesson, counts)

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """`nll` is behind what was done, `null_nll` behind the null thought and `base_nll` of the text alone, all of them means
        over the places looked at; `thinks` is the share of these with a thought, by kind of token too. Of the thoughts: `gain`
        over the null thought, `policy`, `advantage` (the root of the mean square), `entropy` of all choices in nats, `tokens`,
        shares that are `empty` or `unfinished`, and `guess`, the mean square by which their worth was misjudged."""
        from tacit.quiet.prompted.learning import told

        return told(parts)

    # -- measuring ------------------------------------------------------------------------------------------------------

    def measure(self, thinker: "Thinker", encoded: Sequence[Encoded], batch: int, samples: int = 1) -> dict[str, float]:
        """See `tacit.quiet.prompted.measuring.measure`."""
        from tacit.quiet.prompted.measuring import measure

        return measure(self, thinker, encoded, batch, samples)
