"""No dropout where something is sampled, scored or evaluated, and the model is left as it was found."""

import pytest
import torch
from torch import nn

from tacit.engine.dropout import without_dropout
from tacit.thinker import Thinker


class Half(nn.Module):
    """As dropout does to a linear map."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.drop(x)


def test_modes_come_back_whatever_happens():
    module = Half()
    with without_dropout(module):
        assert not module.training and not module.drop.training
    assert module.training and module.drop.training
    with pytest.raises(ZeroDivisionError), without_dropout(module):
        raise ZeroDivisionError
    assert module.drop.training
    module.eval()
    with without_dropout(module):
        pass
    assert not module.training and not module.drop.training


def test_nothing_is_dropped_inside_and_something_outside():
    ones, module = torch.ones(1000), Half()
    with without_dropout(module):
        assert torch.equal(module(ones), ones)
    assert not torch.equal(module(ones), ones)


def test_a_loaded_thinker_is_in_evaluation_mode(tmp_path):
    from tests.train.small_runs import make_thinker

    thinker = make_thinker(dropout=0.5)
    assert thinker.training, "one that was just built is to be trained"
    thinker.save_pretrained(tmp_path / "one")
    loaded = Thinker.from_pretrained(tmp_path / "one")
    assert not any(module.training for module in loaded.modules())
