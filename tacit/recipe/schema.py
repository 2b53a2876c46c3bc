"""What a recipe may say: the sections of the YAML as typed, frozen settings.

The strings under the fields are the help that `tacit show --help-field` prints and that editors display. Limits of one
value stand here; whatever concerns two values together is a sentence in `rules.py`.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, create_model, model_validator

from tacit import example
from tacit.bolt.rounds import Rounds
from tacit.models.scratch import Scratch
from tacit.quiet.roles import Parts
from tacit.recipe.choice import MethodChoice, TaskChoice
from tacit.recipe.training import Count, Eval, Positive, Share, Train, no_half
from tacit.settings import Settings
from tacit.thinking import Thinking


class Lora(Settings):
    """Low-rank adapters: the base model is frozen; adapters, thought tokens and the learned parts are trained."""

    r: Count = 128
    """Rank."""
    alpha: Positive = 32.0
    """The adapter's output is scaled by alpha / r."""
    dropout: Share = 0.1
    """Dropout on the adapter's input."""
    targets: list[str] | Literal["auto"] = "auto"
    """Names of the modules to adapt; auto means every linear map of the blocks, whatever the family calls them."""


class Model(Settings):
    """Where the language model comes from: `path` for existing weights, or `tiny` for one from scratch."""

    path: str | None = None
    """A folder (a run's final/, a checkpoint, any Hugging Face folder) or a hub id."""
    revision: str | None = None
    """Branch, tag or commit of a hub id."""
    tiny: Scratch | None = None
    """A model from scratch instead of a path."""
    parts: Parts | None = None
    """Roles of a model from scratch that begin with what other runs have learned."""
    tokenizer: str = "auto"
    """auto: the model's own, and characters for a model from scratch. character, word or bpe: built from the training
    examples, for a model from scratch. Anything else is a folder or a hub id."""
    vocabulary: Count | None = None
    """How many tokens a bpe tokenizer may have."""
    lora: Lora | None = None
    """Adapters instead of full training."""
    fresh: bool = False
    """Take only the architecture and the tokenizer of `path`, and draw the weights anew from train.seed."""
    positions: Count | None = None
    """Grow the learned position table of `path` to so many positions; new rows start as copies of the last. Models that
    compute their positions, such as rotary ones, have no table and need none."""
    tokens: list[str] = Field(default_factory=list)
    """Words of the template that become one token each, such as <|start|>, where the tokenizer does not know them."""
    train_only: Annotated[list[str], Field(min_length=1)] | None = None
    """Freeze all weights but these: head, last_block, or patterns of parameter names such as *.mlp.*; null trains all."""
    init_tokens: str = "mean"
    """The token whose embedding the new thought tokens start from, such as <<, or mean for the average of all rows."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flex_attention"] = "auto"
    """Attention kernel; auto takes the model library's choice."""
    dtype: Annotated[Literal["auto", "fp32", "bf16"], BeforeValidator(no_half)] = "auto"
    """Type that the weights are kept in; auto is fp32, or bf16 where train.precision is bf16_weights. With lora, bf16
    halves the frozen base model while the trained parts stay in fp32."""


def _unset(cls: type[Settings]) -> dict[str, Any]:
    """The fields of a class with the same types and help, each of them null unless it is set."""
    return {
        name: (field.annotation | None, Field(default=None, description=field.description))  # pyright: ignore[reportOperatorIssue]
        for name, field in cls.model_fields.items()
    }


class Template(create_model("Overlay", __base__=Settings, **_unset(example.Template))):
    """The words around the pieces of an example. What is null is the task's own."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.over(example.Template())
        return self

    def over(self, own: example.Template) -> example.Template:
        """The template of a task, with what is set here in its place."""
        return example.Template.model_validate(own.model_dump() | self.model_dump(exclude_none=True))


class Run(Settings):
    """Where results go."""

    folder: str | None = None
    """The run folder; null means runs/ and the name, with its slashes as dashes."""
    name: str | None = None
    """What tables and trackers call the run; null means the recipe's name."""
    after: str | None = None
    """The recipe whose run this one begins with (model.path says which weights of it): it is trained first, unless it is
    finished. When both are, they are tested and put into one table."""


class Recipe(Settings):
    """One run, complete in itself."""

    about: str = ""
    """One line for `tacit ls recipes`. Not inherited through extends."""
    model: Model = Model()
    """The language model."""
    task: TaskChoice
    """Where examples come from and how answers are graded: a name from `tacit ls tasks`, and that task's fields."""
    template: Template = Template()
    """The words around question, steps, cue and answer."""
    method: MethodChoice
    """The way of thinking: a name from `tacit ls methods`, and that method's fields."""
    train: Train = Train()
    """Optimisation."""
    eval: Eval = Eval()
    """Evaluation during and after training."""
    bolt: Rounds | None = None
    """Rounds of inferring thoughts and learning from them, for tacit bolt."""
    run: Run = Run()
    """Where results go. Not inherited through extends."""

    def resolved_task(self) -> Any:
        """The task with the words of `template` laid over its own: what encodes an example also grades its answer."""
        task = self.task.settings
        return task.model_copy(update={"template": self.template.over(task.template)})

    def thinking(self) -> Thinking:
        """How silent steps are made: as the method says, in the order of computation that `train.latents` sets."""
        own = self.method.settings.thinking()
        return own.model_copy(update=self.train.latents.model_dump(exclude_none=True))
