"""First-step losses of the reference implementation of Coconut, measured from outside on random GPT-2 models.

The same weights and rows come from the same seeds; nine published numbers follow, to a hundred-thousandth.
"""

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tacit.batch import Batch
from tacit.layout import Layout, Segment
from tacit.thinker import Thinker
from tacit.vocab import Vocab

QUESTION, ANSWER, PER_STAGE = 64, 24, 2
WITHIN = 1e-5

# (vocabulary, stage, rows, ragged) -> loss
LOSSES = {
    (50257, 0, 8, False): 10.882724,
    (50257, 1, 8, False): 10.867778,
    (50257, 2, 8, False): 10.909549,
    (50257, 3, 8, False): 10.884446,
    (512, 0, 8, False): 6.302906,
    (512, 1, 8, False): 6.303476,
    (512, 2, 8, False): 6.268639,
    (512, 3, 8, False): 6.304454,
    (512, 3, 32, False): 6.297167,
    (512, 3, 8, True): 6.310543,
}


def thinker(words: int) -> Thinker:
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=words + 3, n_embd=256, n_layer=4, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    vocab = Vocab(open=words + 1, latent=words, close=words + 2, eos=-1, pad=0)
    return Thinker(GPT2LMHeadModel(config), None, vocab)


def rows(words: int, stage: int, count: int, ragged: bool, vocab: Vocab) -> list[Layout]:
    chance = torch.Generator().manual_seed(1)

    def draw(low: int, high: int, size: int) -> list[int]:
        return torch.randint(low, high, (size,), generator=chance).tolist()

    made = []
    for _ in range(count):
        length, latents = QUESTION, PER_STAGE * stage
        if ragged:
            length = draw(QUESTION // 2, QUESTION + 1, 1)[0]
            latents = PER_STAGE * draw(0, stage + 1, 1)[0]
        asked = Segment("question", draw(1, words, length))
        made.append(Layout(asked, *vocab.thought(latents), Segment("answer", draw(1, words, ANSWER), 1.0)))
    return made


@pytest.mark.parametrize("setting", LOSSES, ids=lambda s: f"V{s[0]}-stage{s[1]}-B{s[2]}{'-ragged' if s[3] else ''}")
def test_first_losses(setting):
    model = thinker(setting[0])
    with torch.no_grad():
        loss = float(model.loss(Batch.of(rows(*setting, model.vocab), model.vocab)))
    assert loss == pytest.approx(LOSSES[setting], abs=WITHIN)


def test_a_latent_read_as_an_ordinary_token_is_noticed():
    setting = (512, 3, 8, False)
    model = thinker(512)
    batch = Batch.of(rows(*setting, model.vocab), model.vocab)
    batch.thoughts = model.door.embed(batch.ids)
    with torch.no_grad():
        assert float(model.loss(batch)) != pytest.approx(LOSSES[setting], abs=WITHIN)
