"""Reinforcement in groups (Shao et al., arXiv 2402.03300) over any way of thinking: a question is answered several times, and an
answer that is better than the others to the same question is made likelier, with every choice that led to it.

Where the model decides itself when to stop thinking, these choices are reinforced like words, and gradient flows through the
chain of silent steps: so it learns how long a question is worth thinking about (arXiv 2511.21581).
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from numpy.random import Generator
from pydantic import Field, field_validator, model_validator

from tacit.errors import DataError, TacitError
from tacit.example import Encoded
from tacit.layout import Layout
from tacit.methods.base import Lesson, Loss, Method, Reuse
from tacit.recipe.choice import MethodChoice
from tacit.rl.rewards import Reward, find_function
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.rl.start import Start
    from tacit.thinker import Thinker

Count = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Grpo(Method):
    """Answers in groups, each compared with the others to its question. A step of training answers train.batch questions."""

    actor: MethodChoice
    """The way of thinking whose answers are reinforced: the method and the fields that the weights were trained with, as far as
    they say how a question is asked and how silent steps are made."""
    group: int = 16
    """Answers to a question; with estimator exact, how many its chances are taken to stand for."""
    estimator: Literal["sampled", "exact"] = "sampled"
    """sampled: an answer decides itself when to stop thinking. exact: the silent steps of a question are walked once, to
    actor.thoughts.max_latents, and answers are drawn behind each of them; the gradient of the decision to stop then weighs
    all of them with their chances instead of counting those that were drawn."""
    answers: Count = 1
    """With estimator exact: answers drawn behind each number of silent steps."""
    temperature: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    """Of all choices. That of the decision to stop alone is actor.thoughts.stop_temperature: above 1 more lengths are tried."""
    max_tokens: Count = 64
    """Written tokens of an answer, longest."""
    reward: Reward = Reward()
    """What an answer earns."""
    scale_rewards: bool = True
    """Divide advantages by the standard deviation of their group plus epsilon."""
    epsilon: Weight = 1e-4
    """See scale_rewards. Differences between rewards that are smaller than this are scaled down: the published weight of a
    shorter thought is as large, so changing one means changing the other."""
    clip: Annotated[float, Field(gt=0, lt=1)] = 0.2
    """How far the ratio of new and old probabilities may fall below 1 before it stops counting."""
    clip_above: Annotated[float, Field(gt=0)] | None = None
    """How far it may rise above 1; null: as far as it may fall."""
    kl: Weight = 1e-3
    """Weight of the divergence from the reference; 0: none is kept."""
    reference: Literal["auto", "adapters_off", "copy", "none"] = "auto"
    """The model that training began with. adapters_off: that beside its adapters, at no cost of memory. copy: a frozen copy.
    auto: the first where there are adapters, else the second. none: with kl 0."""
    parts: Count = 1
    """Updates made of one step's answers: so many parts, each with other questions."""
    passes: Count = 1
    """How many times all of them are learned from."""

    @field_validator("group")
    @classmethod
    def _several(cls, value: int) -> int:
        if value < 2:
            raise ValueError(
                f"a group of {value} has nothing to be compared with, and every advantage would be 0; set 2 or more"
            )
        return value

    @field_validator("temperature")
    @classmethod
    def _by_chance(cls, value: float) -> float:
        if value <= 0:
            raise ValueError("without chance all answers to a question are the same, and nothing is learned; set 1.0")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if isinstance(self.actor.settings, Grpo):
            raise ValueError("actor: grpo reinforces the answers of another method and has none itself; name that one")
        if self.kl and self.reference == "none":
            raise ValueError(
                f"kl: {self.kl:g} is the weight of a divergence, and there is no reference to diverge from; set kl: 0, or "
                "reference: auto"
            )
        if self.estimator == "exact" and not self._decides:
            raise ValueError(
                f"estimator: exact is about the decision to stop thinking, and {self.actor.name} decides nothing; set "
                "estimator: sampled, or an actor with a learned stop, such as distill with stop: 1"
            )
        if self.estimator == "exact" and self.thinking().close != "token":
            raise ValueError(
                "estimator: exact branches behind a thought, where actor.thoughts.close: token+thought feeds one more state; "
                "set estimator: sampled"
            )
        return self

    @property
    def tokens(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.actor.settings.tokens

    @property
    def around(self) -> tuple[str, ...]:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.actor.settings.around

    @property
    def _decides(self) -> bool:
        """Whether the model decides itself how long it thinks."""
        vocab = Vocab(*range(5), extra={name: number for number, name in enumerate(self.tokens, 5)})
        asked = self.prompt(Encoded("", (9,), ((9,),), (9,), (9,)), vocab)
        return self.thinking().confine and asked.ids[-1] == vocab.open

    def absent(self) -> Iterator[tuple[str, str]]:
        for one in self.reward.functions:
            try:
                find_function(one.function)
            except TacitError as error:
                yield "method.reward.functions", str(error)

    def thinking(self) -> Thinking:
        return self.actor.settings.thinking()

    def refuses(self, thinking: Thinking) -> Iterable[str]:
        return self.actor.settings.refuses(thinking)

    def check(self, encoded: Sequence[Encoded]) -> None:
        for ex in encoded:
            if not ex.answer or not ex.question:
                raise DataError(
                    f"{ex.id or 'an example'} is a document: it asks nothing, so there is nothing to answer and to grade; "
                    "name a task with questions"
                )
            if ex.graph is not None and ex.graph.form.fresh:
                raise DataError(
                    f"{ex.id or 'an example'} gets new names in every epoch, so its answer cannot be graded by its text; set "
                    "task.fresh: false"
                )
        self.actor.settings.check(encoded)

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        """In training the question alone: what follows is the model's own. Otherwise what it should say."""
        if rng is not None:
            return {"main": self.prompt(ex, vocab)}
        return {"main": self.actor.settings.layouts(ex, vocab, None, None)["main"]}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        return self.actor.settings.prompt(ex, vocab, None)

    def collate(self, rows: Sequence[dict[str, Layout]], vocab: Vocab) -> dict[str, Any]:
        """Nothing yet: there are no answers."""
        return {}

    def start(self, thinker: "Thinker") -> "Start | None":
        from tacit.rl.start import Start

        return Start.of(thinker, self.reference) if self.kl else None

    def reuse(self) -> Reuse:
        return Reuse(self.parts, self.passes)

    def rollout(self, thinker: "Thinker", lesson: Lesson) -> Lesson:
        from tacit.rl.acting import act

        lesson.views = {"main": act(self, thinker, lesson)}
        return lesson

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        from tacit.rl.loss import policy_loss

        clip = (self.clip, self.clip if self.clip_above is None else self.clip_above)
        return policy_loss(thinker, lesson.views["main"], counts, clip=clip, kl=self.kl, temperature=self.temperature)

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """The length is what other methods call their kind of thought by."""
        kind = "latents" if self.silent() else "thought_tokens"
        return {kind if name == "length" else name: value for name, value in parts.items()}
