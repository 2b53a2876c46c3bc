"""Fine-tuning: the loss is on what the model is to write, and begins where it is asked."""

import pytest

from tacit.example import Encoded
from tacit.layout import IGNORE
from tacit.methods.bolt import AFTER, BEFORE, END, START, Bolt
from tacit.vocab import Vocab

VOCAB = Vocab(90, 91, 92, 93, 94, {START: 80, END: 81, BEFORE: 82, AFTER: 83})
ROW = Encoded("a", (1, 2, 3), ((4, 5), (6,)), (), (7, 8))


@pytest.mark.parametrize(
    ("order", "asked", "written"),
    [("prior", [1, 2, 3, 80, 82], [4, 5, 6, 81, 7, 8, 93]), ("none", [1, 2, 3, 80], [4, 5, 6, 7, 8, 93])],
)
def test_the_loss_is_on_the_completion_alone(order, asked, written):
    method = Bolt(order=order, completion=True)
    layout = method.layouts(ROW, VOCAB, None, None)["main"]
    assert layout.ids == asked + written
    assert layout.labels == [IGNORE] * len(asked) + written
    assert method.prompt(ROW, VOCAB).ids == asked
    whole = Bolt(order=order).layouts(ROW, VOCAB, None, None)["main"]
    assert IGNORE not in whole.labels[1:]  # as in pretraining, where everything is learned
