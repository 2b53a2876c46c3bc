"""The sections `train` and `eval` of a recipe.

Batches are written as what the optimizer sees, not per device; what may differ between machines (`micro_batch`,
`precision`, `checkpointing`) changes speed and memory, not the mathematics.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator

from tacit.settings import Settings

Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]


def no_half(given: Any) -> Any:
    """Refuse fp16 by name: a list of the legal values would not say what is wrong with it."""
    if given in ("fp16", "float16", "half"):
        raise ValueError(
            "fp16 is not offered: its narrow range overflows in chains of silent steps, and a loss scaler would hide "
            "that by skipping steps; set bf16, or fp32 where the device has no bf16"
        )
    return given


class Latents(Settings):
    """In which order silent steps are computed; what is null is the method's own. Exact schedules give the same numbers
    at different prices."""

    schedule: Literal["cached", "recompute", "jacobi"] | None = None
    """cached: one read per silent step. recompute: from the start for every silent step, without a cache, slower, works
    with gradient checkpointing. jacobi: all silent steps at once, in rounds; exact when rounds reach their number."""
    rounds: Count | None = None
    """Rounds of the jacobi schedule."""


class Train(Settings):
    """Optimisation."""

    steps: Count | None = None
    """Optimizer steps; set this or epochs."""
    epochs: Positive | None = None
    """Passes over the training examples; set this or steps."""
    limit: Count | None = None
    """Train on the first so many examples only."""
    batch: Count = 32
    """Examples per optimizer step, over all ranks and micro-batches."""
    micro_batch: Count | Literal["auto"] = "auto"
    """Examples per rank and forward pass; auto takes the whole share and halves it when memory runs out."""
    tokens_per_batch: Count | None = None
    """Gather examples of similar length into batches of at most so many tokens, padding included; batch is then the
    largest number of examples."""
    pack: Count | None = None
    """Put documents one behind the other into rows of at most so many tokens; batch still counts documents."""
    pack_apart: bool = True
    """Documents in a row do not see each other, and count their positions anew: the numbers are those of rows of their own.
    false: a row is read as one text."""
    max_length: Count | None = None
    """Rows longer than so many tokens are left out of their step; a curriculum may shorten them until they fit."""
    grow: bool = False
    """Take more examples a step as a curriculum shortens the rows: a step keeps the tokens that it had in the first stage."""
    lr: Positive = 1e-4
    """The highest learning rate."""
    lr_of: list[tuple[str, Positive]] = Field(default_factory=list)
    """Factors on the learning rate of some parameters, each behind a pattern of their names such as [*.networks.B.*, 4.0]; the
    last pattern that matches counts."""
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    """What the learning rate does after the warm-up."""
    warmup: Natural = 0
    """Steps in which the learning rate rises from zero."""
    warmup_per_stage: bool = False
    """Warm up again at the start of every stage of a curriculum."""
    decay_from: Share = 0.0
    """Where linear and cosine begin to fall, as a share of all steps; before it the rate stays at its highest."""
    decay_to: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Where linear and cosine end, as a share of lr."""
    clip: Positive | None = 1.0
    """Largest gradient norm; null leaves gradients as they are."""
    weight_decay: NotNegative = 0.01
    """Decoupled weight decay, on matrices; not on biases, norms and the thought tokens' embeddings."""
    betas: tuple[Share, Share] = (0.9, 0.999)
    """Decay of AdamW's two running averages."""
    optimizer: Literal["adamw", "adamw_8bit"] = "adamw"
    """adamw_8bit keeps the running averages in 8 bits, on CUDA, and needs bitsandbytes."""
    reset_optimizer: Literal["never", "stage", "epoch"] = "never"
    """When the optimizer forgets its running averages: never, when a curriculum's stage changes, or at every epoch."""
    seed: int = Field(default=0, ge=0, lt=1 << 63)
    """Seed of initial weights, order of examples, dropout and sampling."""
    precision: Annotated[Literal["fp32", "bf16", "bf16_weights"], BeforeValidator(no_half)] = "fp32"
    """bf16: bf16 arithmetic over fp32 weights. bf16_weights: the trained weights are bf16 too; half the memory, but
    small updates are rounded away."""
    latents: Latents = Latents()
    """How silent steps are computed."""
    checkpointing: bool = False
    """Trade time for memory by computing activations again in the backward pass."""
    save_every: Count | Literal["epoch"] | None = None
    """Steps between checkpoints, or epoch for one behind every pass; null saves only the final model."""
    keep: Count = 3
    """How many checkpoints stay on disk: the newest ones, and the best of the last stage."""
    log_every: Count = 10
    """Steps between lines of metrics.jsonl."""
    time_limit: Positive | None = None
    """Minutes after which training saves and stops, ready to be resumed."""
    track: Literal["none", "tensorboard", "trackio", "wandb"] = "none"
    """A tracker to send metrics to, besides the run folder."""


class Eval(Settings):
    """Evaluation: prompts are answered by generation and graded by the task."""

    every: Count | Literal["epoch"] | None = None
    """Steps between evaluations, or epoch for one behind every pass; null evaluates only at the end."""
    limit: Count | None = None
    """Evaluate on the first so many examples only."""
    split: str = "valid"
    """Which split of the task."""
    batch: Count = 32
    """Prompts answered at once."""
    max_tokens: Count = 128
    """Longest answer in tokens, thoughts in words included."""
    latents: Natural | None = None
    """So many silent steps in every thought, whatever was trained; null leaves it to the method, or to the model."""
    question: str | None = None
    """Words around the question that differ from those of training, such as "{question}" for models that were asked without
    any; null asks as in training."""
    temperature: NotNegative = 0.0
    """Sampling temperature; 0 always takes the most likely token."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Where answers are drawn: among the likeliest tokens that together hold this much probability."""
    top_k: Natural = 0
    """Where answers are drawn: among so many of the likeliest tokens; 0 for all."""
    samples: Count = 1
    """Answers per question; accuracy is then their mean."""
    check: Literal["generate", "verify", "likelihood", "aloud"] = "generate"
    """generate: every answer is decoded. verify: one read per question first, and only what the model would write otherwise is
    decoded; the same answers, faster the more of them are right. Where answers are drawn, all are decoded. likelihood: nothing is
    decoded; how likely the right answer is, and the right one of those on offer. aloud: a model that was not trained to is asked
    to write steps, at most max_tokens of them, and then for the answer."""
    choices: bool = False
    """Also say how often the right one of the answers that a question offers is the likelier one, where it offers any."""
    best_metric: str = "accuracy"
    """Which evaluation number decides what the best checkpoint is; a minus sign before it means that less is better. Where a
    curriculum has stages, the best begins anew with each."""

    @field_validator("question")
    @classmethod
    def _holds_the_question(cls, words: str | None) -> str | None:
        if words is not None and words.count("{question}") != 1:
            raise ValueError(f"{words!r} must contain {{question}} exactly once")
        return words
