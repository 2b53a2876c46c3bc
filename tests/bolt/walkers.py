"""A small model of walks, and the numbers of an inference written out one row at a time."""

import torch
from torch.nn.functional import log_softmax

from tacit.bolt.infer import Asked
from tacit.example import encode
from tacit.layout import Layout
from tacit.methods.base import question
from tacit.methods.bolt import Bolt, Marks
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.tasks.walks import Walks
from tacit.thinking import Thinking

TASK = Walks(states=3, labels=2, hops=2, warm_rows=4, train_rows=4, valid_rows=4, test_rows=2)


@torch.no_grad()
def walker(seed: int = 0, positions: int = 32):
    """Untrained, in float64, with some opinions, and inclined to end thoughts and to use no other mark."""
    tiny = Scratch(layers=1, hidden=8, heads=2, positions=positions, init_std=0.25, tied=False)
    thinker = (
        make_thinker(Model(tiny=tiny), Thinking(), tokens=Bolt.tokens, words=TASK.words(), seed=seed).double().eval()
    )
    lean, vocab, marks = thinker.model.transformer.ln_f.bias, thinker.vocab, Marks.of(thinker.vocab)
    lean.normal_(generator=torch.Generator().manual_seed(seed))
    head = thinker.model.lm_head.weight
    head[marks.end] += 2.0 * lean / lean.square().sum()
    for token in {*marks, vocab.open, vocab.latent, vocab.close, vocab.eos, vocab.pad} - {marks.end}:
        head[token] -= 2.0 * lean / lean.square().sum()
    return thinker


def asked(thinker, count: int = 3) -> list[Asked]:
    rows = encode(TASK.examples("train")[:count], thinker.tokenizer, TASK.template)
    return [Asked(row.id, Layout(question(row)), row.answer) for row in rows]


@torch.no_grad()
def log_p(thinker, ids: list[int], start: int) -> float:
    """Log-probability of ids[start:] behind the others, by the model alone."""
    logits = thinker.model(torch.tensor([ids])).logits[0]
    told = log_softmax(logits.double(), -1)
    return float(sum(told[column - 1, ids[column]] for column in range(start, len(ids))))


def joint(thinker, one: Asked, thought, marked: bool = False) -> float:
    marks = Marks.of(thinker.vocab)
    ids = [*one.context.ids, marks.start, marks.before, *thought, marks.end, *one.chunk, thinker.vocab.eos]
    return log_p(thinker, ids, len(one.context) + (1 if marked else 2))


def guess(thinker, one: Asked, thought) -> float:
    marks = Marks.of(thinker.vocab)
    before = [*one.context.ids, marks.start, marks.end, *one.chunk, marks.start, marks.after]
    return log_p(thinker, [*before, *thought, marks.end], len(before))
