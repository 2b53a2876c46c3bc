"""Documents that share a row are learned as if each had a row of its own; without the mask they are not."""

import numpy as np
import pytest
import torch

from tacit.batch import Batch
from tacit.errors import DataError, ModelError, TacitError
from tacit.layout import Layout, Segment
from tacit.methods.cot import Cot
from tacit.methods.distill import Distill
from tacit.recipe.training import Train
from tacit.train.packing import Packing, joined, pack, packing_of
from tests.thinkers import thinker_of


def documents(thinker, lengths=(10, 4, 7, 5, 2, 8)):
    rng = np.random.default_rng(0)
    rows = [rng.integers(thinker.vocab.eos, size=n).tolist() for n in lengths]
    return [
        Layout(Segment("question", row[: len(row) // 2]), Segment("answer", row[len(row) // 2 :], 1.0)) for row in rows
    ]


def learned(thinker, layouts):
    """The loss and its gradients."""
    thinker.zero_grad()
    batch = Batch.of(layouts, thinker.vocab)
    loss = thinker.loss(batch, 1.0)
    loss.backward()
    return float(loss.detach()), [p.grad.clone() for p in thinker.model.parameters() if p.grad is not None], batch


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral"])
def test_packed_is_unpacked(family, attention):
    """Values and gradients. Twin: as one text, they differ."""
    thinker = thinker_of(family).double()
    thinker.model.set_attn_implementation(attention)
    thinker.__dict__.pop("door", None)
    rows = documents(thinker)
    loss, gradients, alone = learned(thinker, rows)
    packed = pack(rows, 14, apart=True)
    assert [len(row) for row in packed] == [14, 13, 9] and len(packed) < len(rows)
    found, other, batch = learned(thinker, packed)
    assert len(batch.targets) == len(alone.targets) and batch.tokens == alone.tokens
    assert found == pytest.approx(loss, abs=1e-10)
    assert all(torch.allclose(a, b, atol=1e-10, rtol=0) for a, b in zip(gradients, other))
    as_text, _, batch = learned(thinker, pack(rows, 14, apart=False))
    assert as_text != pytest.approx(loss, abs=1e-3)


def test_where_documents_stand():
    rows = [Layout(Segment("a", (5, 6, 7), 1.0)), Layout(Segment("b", (8,)), Segment("c", (9, 9), 1.0, skip=4))]
    apart, text = joined(rows, True), joined(rows, False)
    assert apart.ids == text.ids == [5, 6, 7, 8, 9, 9]
    assert apart.positions == [0, 1, 2, 0, 5, 6] and apart.breaks == (3,)
    assert text.positions == [0, 1, 2, 3, 8, 9] and text.breaks == ()
    assert joined(rows[:1], True).breaks == ()


def test_long_documents_have_rows_of_their_own():
    rows = [Layout(Segment("a", (1,) * n)) for n in (3, 20, 5, 2)]
    assert [len(row) for row in pack(rows, 8, True)] == [20, 8, 2]


def test_what_cannot_be_packed():
    assert packing_of(Train(steps=1), Cot()) is None
    assert packing_of(Train(steps=1, pack=64), Cot()) == Packing(64, True)
    with pytest.raises(TacitError, match=r"method distill has to tell rows apart; set train.pack: null"):
        packing_of(Train(steps=1, pack=64), Distill())
    thinker = thinker_of()
    silent = Layout(Segment("q", (5, 6)), *thinker.vocab.thought(1), Segment("a", (7,), 1.0))
    with pytest.raises(DataError, match=r"silent steps and recurrent models.*train.pack: null"):
        learned(thinker, [joined([silent, silent], True)])
    gru = thinker_of("gru")
    with pytest.raises(DataError, match=r"train.pack: null"):
        learned(gru, [joined(documents(gru)[:2], True)])
    thinker.door.__dict__["attention"] = "flash_attention_2"
    with pytest.raises(ModelError, match=r"takes no masks.*model.attention: sdpa"):
        learned(thinker, [joined(documents(thinker)[:2], True)])
