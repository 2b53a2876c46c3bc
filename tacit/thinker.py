"""A causal language model that can think: the model, its tokenizer, and the few learned parts that thinking needs."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tacit.aside import AsideParts
from tacit.batch import Batch
from tacit.engine.complete import Completion, complete
from tacit.engine.door import Door, open_door
from tacit.engine.run import Trace, run
from tacit.engine.sampling import Sampling
from tacit.errors import ModelError
from tacit.feedback import Feedback
from tacit.layout import Layout
from tacit.objectives import nll
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.evaluate.answering import Answer
    from tacit.quiet.lm.speaking import Speaker


class Thinker(nn.Module):
    """The model stays what it is, never patched and never subclassed; it is driven through `door`."""

    def __init__(self, model, tokenizer, vocab: Vocab, thinking: Thinking | None = None):
        super().__init__()
        self.model = model
        self.tokenizer = tokenizer
        self.vocab = vocab
        self.thinking = thinking or Thinking()
        self.feedback: nn.Module = nn.Module() if self.alone else Feedback(self.thinking, self.door, vocab)
        self.facts: dict[str, Any] = {}
        """What `thought.json` said: the method and the task that made this thinker."""

    @property
    def alone(self) -> bool:
        """Whether the model thinks by itself, so that nobody may drive it."""
        return getattr(self.model, "own_thoughts", False)

    @cached_property
    def door(self) -> Door:
        return open_door(self.model)

    @property
    def limit(self) -> int | None:
        """Positions the model has, or None where there is no such limit."""
        return None if self.alone else self.door.limit

    @property
    def aside(self) -> AsideParts:
        """What it has learned besides, to think before its tokens."""
        found = getattr(self.feedback, "aside", None)
        if found is None:
            raise ModelError(
                "this model has no parts for thoughts before its tokens; train it with method.name: quiet_star first"
            )
        return found

    def speaker(self) -> "Speaker | None":
        """Who thinks before every token that is written, if this model does."""
        if not self.thinking.speaks:
            return None
        from tacit.quiet.lm.speaking import Speaker

        return Speaker(self)

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @cached_property
    def vocabulary(self) -> int:
        """Rows of the head."""
        return self.model.get_output_embeddings().weight.shape[0]

    def thought(self, hidden: Tensor) -> Tensor:
        """(…, H) -> (…, E): the vector that enters the next latent column."""
        return self.feedback(hidden, self.door)

    def logits(self, hidden: Tensor, said: Tensor) -> Tensor:
        """(N, H) -> (N, V). `said` (N,) are the ids of the columns themselves: behind a silent step only stop decisions
        are open, if this model decides them. Training, scoring and sampling all ask here, so they agree."""
        if self.thinking.ponders:
            return self.aside.pondering.mixed(hidden, self.door.head)
        if not self.thinking.confine:
            return self.door.head(hidden)
        deciding = ((said == self.vocab.open) | (said == self.vocab.latent))[:, None]
        if self.thinking.stop_detached:
            hidden = torch.where(deciding, hidden.detach(), hidden)
        logits = self.door.head(hidden)
        if self.thinking.stop_temperature != 1.0:
            logits = torch.where(deciding, logits / self.thinking.stop_temperature, logits)
        return confine(logits, deciding, self.vocab)

    def save_pretrained(self, folder: str | Path, about: dict[str, Any] | None = None) -> None:
        """An ordinary model folder with what makes it a thinker; `about` says which method and task made it."""
        from tacit.models.folder import save

        save(self, folder, about)

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        *,
        revision: str | None = None,
        dtype: torch.dtype = torch.float32,
        attention: str = "auto",
    ) -> "Thinker":
        """A saved thinker, or any causal language model, which then thinks as Coconut does. `name` is a run, a checkpoint,
        a folder or a hub id. It is in evaluation mode, as the library's models are."""
        from tacit.models.folder import load_parts, read_facts
        from tacit.models.loading import load_base
        from tacit.models.places import find_weights
        from tacit.models.tokens import find_tokens, with_tokens

        place = find_weights(name)
        model, tokenizer = load_base(place, revision=revision, dtype=dtype, attention=attention)
        facts = read_facts(place, revision)
        if facts is None:
            return cls(model, tokenizer, with_tokens(model, tokenizer)).eval()
        thinker = cls(model, tokenizer, find_tokens(tokenizer, facts["tokens"]), facts["thinking"])
        load_parts(thinker, place, revision)
        thinker.facts = facts
        return thinker.eval()

    def forward(self, batch: Batch, **options) -> Trace:
        return run(self, batch, **options)

    def complete(
        self, prompts: Sequence[Layout], sampling: Sampling | Sequence[Sampling] | None = None, **options
    ) -> list[Completion]:
        return complete(self, prompts, sampling, **options)

    def generate(self, texts: Sequence[str] | str, **sampling) -> "list[Answer]":
        """Answers to questions: the prompt of the method that trained this model, completed and decoded."""
        from tacit.evaluate.answering import generate

        return generate(self, texts, **sampling)

    def loss(self, batch: Batch, count: float | Tensor | None = None, **options) -> Tensor:
        """Negative log-likelihood per learned token; `count` is the number of them in the whole optimizer step."""
        trace = run(self, batch, end=batch.end, **options)
        return nll(self, trace.hidden, batch, batch.learned if count is None else count)


def confine(logits: Tensor, deciding: Tensor, vocab: Vocab) -> Tensor:
    """Where `deciding` (N, 1), behind <think> and <latent>, go on or stop; neither of the two anywhere else."""
    decision = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
    decision[[vocab.latent, vocab.close]] = True
    return logits.masked_fill(deciding ^ decision, float("-inf"))
