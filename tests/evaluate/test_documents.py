"""Held-out documents: how likely they are as plain text, whatever the batch."""

import math

import pytest
import torch

from tacit.errors import DataError
from tacit.evaluate.documents import evaluate_documents
from tacit.example import Example, Template
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
    found = evaluate_documents(thinker, Template(bos=bos), EXAMPLES, batch)
    each = [by_hand(thinker, text, bos) for text in TEXTS]
    told = [(nll, count) for nll, count in each if count]
    assert found["documents"] == len(told) == (3 if bos else 2)  # one token behind nothing cannot be predicted
    assert found["nll"] == pytest.approx(sum(nll for nll, _ in told) / len(told), rel=1e-9)
    assert found["nll_per_token"] == pytest.approx(sum(nll / count for nll, count in told) / len(told), rel=1e-9)
    assert found["ppl"] == pytest.approx(math.exp(sum(n for n, _ in told) / sum(c for _, c in told)), rel=1e-9)
    other = [Example("0", text=TEXTS[0]), Example("1", text="## hello"), EXAMPLES[2]]
    assert evaluate_documents(thinker, Template(bos=bos), other, batch)["nll"] != found["nll"]


def test_a_long_document_is_read_as_far_as_the_model_goes():
    thinker = thinker_of().eval()
    long = "hello " * 400
    found = evaluate_documents(thinker, Template(), [Example("0", text=long)], 1)
    assert found["nll"] == pytest.approx(found["nll_per_token"] * 1023, rel=1e-4)


def test_without_documents_there_is_nothing_to_say():
    with pytest.raises(DataError, match="no documents"):
        evaluate_documents(thinker_of(), Template(), [], 1)
