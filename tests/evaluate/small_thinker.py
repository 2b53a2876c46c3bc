"""A tiny model that has learned a little, so that answers differ in length and in content."""

import torch

from tacit.batch import Batch
from tacit.example import encode
from tacit.methods.coconut import Coconut
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import word_tokenizer
from tacit.models.tokens import add_tokens
from tacit.recipe.training import Eval
from tacit.tasks.prosqa import ProsQASymbolic
from tacit.thinker import Thinker

TASK = ProsQASymbolic(train_rows=32, valid_rows=40, test_rows=8, seed=1)
METHOD = Coconut(max_stage=2)
SETTINGS = Eval(batch=7, max_tokens=8)


def make(family: str = "gpt2", **options) -> Thinker:
    """An untrained thinker in float64, so that sums in another order do not change which token is likeliest."""
    tokenizer = word_tokenizer(TASK.words())
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family=family, layers=2, hidden=32, heads=4, positions=256, init_std=0.2, **options)
    model = build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0)
    return Thinker(model.double(), tokenizer, vocab, METHOD.thinking())


def learn(thinker: Thinker, steps: int = 12) -> Thinker:
    """The smallest training loop: the first rows of the task, over and over."""
    rows = encode(TASK.examples("train"), thinker.tokenizer, TASK.template)
    optimizer = torch.optim.AdamW(thinker.parameters(), 3e-3)
    for step in range(steps):
        stage = step % 3
        batch = Batch.of([METHOD.layouts(row, thinker.vocab, stage, None)["main"] for row in rows], thinker.vocab)
        thinker.loss(batch).backward()
        optimizer.step()
        optimizer.zero_grad()
    return thinker.eval()


def facts() -> dict:
    """What a training session writes into `thought.json`."""
    return {
        "method": {"name": "coconut", **METHOD.model_dump(mode="json")},
        "task": {"name": "prosqa_symbolic", **TASK.model_dump(mode="json")},
        "template": TASK.template.model_dump(mode="json"),
    }
