"""What is thought of other questions: a model that answers as well with another question's thoughts does not use its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from tacit.engine.complete import Completion
from tacit.engine.sampling import Sampling
from tacit.layout import Layout
from tacit.vocab import Vocab


def thoughts_of(thinker, prompts: Sequence[Layout], batch: int) -> list[Tensor]:
    """(n, E) for each prompt: the vectors that are fed back in its first thought, be they asked for or chosen."""
    rule = Sampling(max_tokens=1, thoughts=True, logprobs=False)
    width = thinker.door.embedding_width
    found = []
    for done in thinker.complete(list(prompts), rule, slots=batch):
        first = done.thoughts[: _first_span(done, thinker.vocab)]
        found.append(torch.stack(first) if first else torch.empty(0, width, device=thinker.device))
    return found


def _first_span(done: Completion, vocab: Vocab) -> int:
    """A model may open another thought before it writes."""
    ids = [*done.prompt.ids, *done.ids]
    silent = [n for n, token in enumerate(ids) if token == vocab.latent]
    return next((n for n, at in enumerate(silent) if at != silent[0] + n), len(silent))
