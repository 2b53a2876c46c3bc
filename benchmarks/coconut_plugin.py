"""The engine behind the interface of an outside Coconut driver: the same model, weights and batches as the reference.

The driver lays its rows out itself, so batches arrive as tensors and prompts as lists of ids.
"""

import torch

from tacit.batch import Batch
from tacit.engine.sampling import Sampling
from tacit.layout import Layout, Segment
from tacit.thinker import Thinker
from tacit.vocab import Vocab


class Plugin:
    def __init__(self, thinker: Thinker):
        self.thinker = thinker

    def train(self) -> None:
        self.thinker.train()

    def eval(self) -> None:
        self.thinker.eval()

    def loss(self, input_ids, attention_mask, labels, position_ids) -> torch.Tensor:
        return self.thinker.loss(
            Batch.from_tensors(input_ids, attention_mask, labels, position_ids, self.thinker.vocab)
        )

    def generate(self, prompts, max_new_tokens) -> list[torch.Tensor]:
        layouts = [Layout(Segment("prompt", p.tolist())) for p in prompts]
        done = self.thinker.complete(layouts, Sampling(max_tokens=max_new_tokens, logprobs=False))
        return [torch.cat([p, torch.tensor(d.ids)]) for p, d in zip(prompts, done)]


def make(base_lm, latent_id: int, start_id: int, end_id: int, eos_id: int) -> Plugin:
    # The driver never stops early and pads with id 0, which is an ordinary token there; -1 is no token at all.
    return Plugin(Thinker(base_lm, None, Vocab(open=start_id, latent=latent_id, close=end_id, eos=eos_id, pad=0)))
