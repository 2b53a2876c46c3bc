"""What a recipe may say: the sections of the YAML as typed, frozen settings.

The strings under the fields are the help that `tacit show --help-field` prints and that editors display. Limits of one
value stand here; whatever concerns two values together is a sentence in `rules.py`.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, ValidationInfo, field_validator

from tacit.recipe.choice import MethodChoice, TaskChoice
from tacit.recipe.training import Count, Eval, Positive, Share, Train, no_half
from tacit.settings import Settings

Family = Literal["gpt2", "llama", "qwen2", "qwen3", "mistral", "gemma", "olmo2", "phi", "gpt_neox", "opt", "gru"]


class Scratch(Settings):
    """A model from scratch, with random weights: small enough for a laptop, of any supported family."""

    family: Family = "llama"
    """The architecture to build."""
    layers: Count = 2
    """Number of blocks."""
    hidden: Count = 64
    """Width of the hidden state."""
    heads: Count = 4
    """Attention heads; a gru has none and ignores this."""
    kv_heads: Count | None = None
    """Key and value heads, for grouped attention; null means as many as heads."""
    mlp: Count | None = None
    """Width of the feed-forward part; null means four times hidden."""
    positions: Count = 1024
    """The longest sequence the model can read."""
    window: Count | None = None
    """Sliding attention window in tokens, for families that have one; null means full attention."""
    tied: bool = True
    """Share the input embedding with the output head."""
    dropout: Share = 0.0
    """Dropout everywhere the family has it."""
    init_std: Positive = 0.02
    """Standard deviation of the initial weights."""


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
    tokenizer: str = "auto"
    """auto: the model's own, and characters for a model from scratch. character, word or bpe: built from the training
    examples, for a model from scratch. Anything else is a folder or a hub id."""
    vocabulary: Count | None = None
    """How many tokens a bpe tokenizer may have."""
    lora: Lora | None = None
    """Adapters instead of full training."""
    init_tokens: str = "mean"
    """The token whose embedding the new thought tokens start from, such as <<, or mean for the average of all rows."""
    attention: Literal["auto", "sdpa", "eager", "flash_attention_2", "flex_attention"] = "auto"
    """Attention kernel; auto takes the model library's choice."""
    dtype: Annotated[Literal["auto", "fp32", "bf16"], BeforeValidator(no_half)] = "auto"
    """Type that the weights are kept in; auto is fp32, or bf16 where train.precision is bf16_weights. With lora, bf16
    halves the frozen base model while the trained parts stay in fp32."""


class Template(Settings):
    """The words around the pieces of an example. What is null is the task's own."""

    kind: Literal["plain", "chat", "symbolic"] | None = None
    """plain: the text as it is. chat: the question goes through the tokenizer's chat template. symbolic: words between
    blanks, each of them one entry of the tokenizer's vocabulary."""
    question: str | None = None
    """How a question is written, with {question} in it."""
    step: str | None = None
    """How one step is written, with {step} in it."""
    cue: str | None = None
    """The fixed words that announce an answer."""
    answer: str | None = None
    """How an answer is written, with {answer} in it."""
    bos: bool | None = None
    """Whether a question starts with the tokenizer's BOS."""
    system: str | None = None
    """With kind chat: a system message before the question."""

    @field_validator("question", "step", "answer")
    @classmethod
    def _holds_its_piece(cls, value: str | None, info: ValidationInfo) -> str | None:
        piece = f"{{{info.field_name}}}"
        if value is not None and value.count(piece) != 1:
            raise ValueError(f"{value!r} must contain {piece} exactly once")
        return value


class Run(Settings):
    """Where results go."""

    folder: str | None = None
    """The run folder; null means runs/ and the name, with its slashes as dashes."""
    name: str | None = None
    """What tables and trackers call the run; null means the recipe's name."""


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
    run: Run = Run()
    """Where results go. Not inherited through extends."""
