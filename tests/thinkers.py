"""Small thinkers of every kind, and a batch with thoughts of different lengths."""

import torch

from tacit.batch import Batch
from tacit.layout import Layout, Segment
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Lora, Model
from tacit.thinking import Thinking

TEXTS = ["3+4=7 ### hello <<\n", "0123456789"]
SMALL = {"layers": 2, "hidden": 16}


def thinker_of(
    family="gpt2", tied=None, feedback="identity", lora=None, dtype="auto", precision="fp32", seed=0, **more
):
    sizes = SMALL if family in ("gru", "lstm") else SMALL | {"heads": 2}
    adapters = Lora(r=4, dropout=0.0) if lora is True else lora
    section = Model(tiny=Scratch(family=family, tied=tied, **sizes), lora=adapters, dtype=dtype)
    return make_thinker(section, Thinking(feedback=feedback, **more), texts=TEXTS, precision=precision, seed=seed)


def batch_of(thinker):
    def ids(text):
        return thinker.tokenizer(text, add_special_tokens=False)["input_ids"]

    rows = [(ids("3+4="), 3, ids("7")), (ids("hello"), 1, ids("7 7")), (ids("4"), 0, ids("3"))]
    layouts = [Layout(Segment("q", q), *thinker.vocab.thought(n, 1.0), Segment("answer", a, 1.0)) for q, n, a in rows]
    return Batch.of(layouts, thinker.vocab)


def prompts_of(thinker):
    ids = thinker.tokenizer("hello 3+4", add_special_tokens=False)["input_ids"]
    return [Layout(Segment("q", ids[:k]), *thinker.vocab.thought(n)) for k, n in ((9, 2), (5, 0), (7, 4))]


def nudged(thinker):
    """With a value of its own for every trained parameter, as after training: nothing is still as it was made."""
    with torch.no_grad():
        for parameter in thinker.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn_like(parameter)
    return thinker
