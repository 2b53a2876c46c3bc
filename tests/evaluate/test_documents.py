"""Held-out documents: how likely they are as plain text, whatever the batch."""

import math

import pytest
import torch

from tacit.errors import DataError
from tacit.evaluate.texts import evaluate_texts
from tacit.example import Example, Template
from tacit.methods.cot import Cot
from tacit.recipe.training import Eval
from tests.thinkers import thinker_of

TEXTS = ["hello 3+4=7", "### hello", "7"]
EXAMPLES = [Example(str(n), text=text) for n, text in enumerate(TEXTS)]


def by_hand(thinker, text: str, bos: bool) -> tuple[float, int]:
    """From the model alone: the sum over tokens, and how many there are."""
    ids = thinker.tokenizer(text, add_special_tokens=False)["input_ids"]
    row = [thinker.vocab.eos, *ids] if bos else ids
    logits = thinker.model(torch.tensor([row])).logits[0].double().log_softmax(-1)
    told = [logits[n - 1, row[n]].item() for n in range(1, len(row))]
    return -math.fsum(told), len(told)


@pytest.mark.parametrize("bos", [False, True])
@pytest.mark.parametrize("batch", [1, 8])
def test_numbers_are_those_of_the_model_alone(bos, batch):
    thinker = thinker_of().double().eval()
    found = evaluate_texts(thinker, Cot(), Template(bos=bos), EXAMPLES, Eval(batch=batch))
    each = [by_hand(thinker, text, bos) for text in TEXTS]
    told = [(nll, count) for nll, count in each if count]
    nats, count = math.fsum(nll for nll, _ in told), sum(count for _, count in told)
    assert len(told) == (3 if bos else 2)  # one token behind nothing cannot be predicted
    assert found["nll"] == pytest.approx(nats / count, rel=1e-9)
    assert found["nll_per_document"] == pytest.approx(nats / 3, rel=1e-9)
    assert found["nll_per_character"] == pytest.approx(nats / sum(map(len, TEXTS)), rel=1e-9)
    assert found["ppl"] == pytest.approx(math.exp(nats / count), rel=1e-9)
    other = [Example("0", text=TEXTS[0]), Example("1", text="## hello"), EXAMPLES[2]]
    assert evaluate_texts(thinker, Cot(), Template(bos=bos), other, Eval(batch=batch))["nll"] != found["nll"]


def test_a_long_document_is_read_as_far_as_the_model_goes():
    thinker = thinker_of().eval()
    long = "hello " * 400
    found = evaluate_texts(thinker, Cot(), Template(), [Example("0", text=long)], Eval())
    assert found["nll_per_document"] == pytest.approx(found["nll"] * 1023, rel=1e-4)


def test_without_documents_there_is_nothing_to_say():
    with pytest.raises(DataError, match="no documents"):
        evaluate_texts(thinker_of(), Cot(), Template(), [], Eval())


def domains(*names):
    return [Example(str(n), text=text, extra={"domain": name}) for n, (text, name) in enumerate(zip(TEXTS, names))]


@pytest.mark.parametrize("batch", [1, 8])
def test_likelihood_by_domain(batch):
    thinker = thinker_of().double().eval()
    found = evaluate_texts(thinker, Cot(), Template(bos=True), domains("seas", "hills", "seas"), Eval(batch=batch))
    sea, hill, other = (by_hand(thinker, text, True) for text in TEXTS)
    assert found["nll/seas"] == pytest.approx((sea[0] + other[0]) / (sea[1] + other[1]), rel=1e-9)
    assert found["nll/hills"] == pytest.approx(hill[0] / hill[1], rel=1e-9)
    plain = evaluate_texts(thinker, Cot(), Template(bos=True), EXAMPLES, Eval(batch=batch))
    assert {name: found[name] for name in plain} == pytest.approx(plain, rel=1e-12)
    assert set(found) - set(plain) == {"nll/seas", "nll/hills"}


@pytest.mark.parametrize("wrong", [None, "", 7])
def test_a_text_without_a_domain_among_others_is_refused(wrong):
    with pytest.raises(DataError, match=r"1: domain: expected a name, got .*; name the domain of every text"):
        evaluate_texts(thinker_of(), Cot(), Template(bos=True), domains("seas", wrong, "seas"), Eval())
