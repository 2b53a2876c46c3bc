"""The section `bolt` of a recipe: how often thoughts are inferred and learned from, and by what."""

from typing import Any, Literal

from pydantic import Field, model_validator

from tacit.bolt.chunks import Chunking
from tacit.bolt.preparation import Preparation
from tacit.bolt.synthesis import Synthesis
from tacit.settings import Settings


class Inference(Settings):
    """How thoughts are inferred."""

    samples: int = Field(default=4, ge=1)
    """Candidates for each chunk."""
    choose: Literal["resample", "argmax", "uniform"] = "resample"
    """Which candidate is taken: one in proportion to its weight, the heaviest, or any that is valid."""
    temperature: float = Field(default=1.0, gt=0)
    """Sampling temperature. Weights are right at 1 only, since they divide by the model's own probability."""
    max_tokens: int = Field(default=1024, ge=1)
    """Longest thought."""
    mark_counts: bool = False
    """The probability of the mark that says where a thought stands is part of the joint probability, as published."""
    context: Literal["thoughts", "raw"] = "thoughts"
    """What stands before a chunk. thoughts: the chunks before it with the thoughts that were inferred for them, as in training.
    raw: their text alone, and nothing in place of the mark of the first chunk, as published."""
    window: int | None = Field(default=None, ge=0)
    """How many chunks before it are shown at most."""
    batch: int = Field(default=256, ge=1)
    """Rows at once."""
    seed: int = Field(default=0, ge=0)
    """Of candidates and choices. What a chunk gets depends on this and on its own name, not on what is inferred with it."""


class Rounds(Settings):
    """A warm start on documents with thoughts; then, round by round, thoughts are inferred for the corpus and a model learns from
    them. What a round's model is trained with stands in the rest of the recipe."""

    rounds: int = Field(default=3, ge=1)
    """Rounds of inference and learning."""
    warm: dict[str, Any] = Field(default_factory=dict)
    """Fields of the recipe, by dotted names, that are otherwise in the warm start: its documents and its steps."""
    warm_run: str | None = None
    """A run that is the warm start already; nothing is trained for it then."""
    learn: dict[str, Any] = Field(default_factory=lambda: {"task.train": "{thoughts}"})
    """Fields that are otherwise in every round; {thoughts} is the file of documents with the thoughts that were inferred."""
    start: Literal["scratch", "warm", "previous"] = "scratch"
    """What a round's model begins with: new weights, those of the warm start, or those of the round before."""
    infer: Inference = Inference()
    """How thoughts are inferred."""
    chunking: Chunking = Chunking()
    """How documents without chunks are cut."""
    shard: int = Field(default=1_000, ge=1)
    """Documents that one process takes at a time."""
    patience: float = Field(default=60.0, gt=0)
    """Seconds after which the work of a process that says nothing is taken over."""
    corpus: Preparation | None = None
    """How the documents are prepared; null where they are there already."""
    synthesis: Synthesis | None = None
    """Who writes the thoughts of the warm start; null where they are there already."""
    data: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Other data to learn from, for comparison: fields by dotted names, for `tacit bolt warm --data NAME` and `learn --data`.
    {thoughts} is as in learn; {flops_steps} are as many steps as cost what all inference and learning up to the round cost."""
    finetune: dict[str, Any] = Field(default_factory=dict)
    """Fields, by dotted names, that are otherwise when a model is fine-tuned by bolt/finetune-gsm8k or bolt/finetune-math."""
    judged: tuple[int, ...] = (1, 4, 16)
    """Candidates for each chunk by which the held-out lower bound is told; empty: it is not computed. Chunks are then of even
    size, behind all earlier text with thoughts that were resampled among as many candidates, whatever infer and chunking say."""
    judged_limit: int | None = Field(default=None, ge=1)
    """Held-out documents for that."""

    @model_validator(mode="after")
    def _has_thoughts(self) -> "Rounds":
        if not any("{thoughts}" in str(value) for value in self.learn.values()):
            raise ValueError("learn must put {thoughts} somewhere, or every round would learn from the same documents")
        return self
