"""What begins anew when a token is removed, and what goes on while the share of fillers rises in every step."""

import pytest

from tacit.errors import TacitError
from tacit.methods.base import Method
from tacit.recipe import load
from tacit.train import fit
from tacit.train.folder import RunFolder
from tacit.train.session import train

SMALL = {"task.train_rows": 64, "train.batch": 16, "train.steps": 8, "train.warmup": 0, "eval.limit": 4, "eval.every": 8,
         "train.reset_optimizer": "stage", "train.save_every": None}  # fmt: skip


def forgotten(monkeypatch, folder, **method) -> int:
    """How often the optimizer forgets in eight steps."""
    seen = []
    monkeypatch.setattr(fit, "forget", seen.append)
    train("fragments/mult-2x2", {**SMALL, "method": method}, out=folder)
    return len(seen)


def test_optimizers_forget_when_a_token_goes_and_not_while_a_share_rises(monkeypatch, tmp_path):
    filler = {"name": "filler", "supervised": True}
    assert forgotten(monkeypatch, tmp_path / "share", **filler) == 0
    assert forgotten(monkeypatch, tmp_path / "removal", **filler, removal={"every": 3}) == 2
    assert forgotten(monkeypatch, tmp_path / "icot", name="icot", removal={"every": 3}) == 2
    # The twin: with every stage an era of its own, the averages of one step are all there is.
    monkeypatch.setattr("tacit.methods.filler.Filler.era", Method.era)
    assert forgotten(monkeypatch, tmp_path / "twin", **filler) == 7


def test_the_best_begins_anew_when_a_token_goes_and_not_while_a_share_rises(monkeypatch, tmp_path):
    filler = {"name": "filler", "supervised": True}
    each = {"eval.every": 1, "eval.best_metric": "n"}  # never better than before: the first is the best

    def best(folder, **method) -> int:
        train("fragments/mult-2x2", {**SMALL, **each, "method": method}, out=folder)
        return RunFolder(folder).manifest()["best"]["step"]

    assert best(tmp_path / "share", **filler) == 1
    assert best(tmp_path / "removal", **filler, removal={"every": 3}) == 7
    monkeypatch.setattr("tacit.methods.filler.Filler.era", Method.era)
    assert best(tmp_path / "twin", **filler) == 8


@pytest.mark.parametrize("method", [{"name": "filler", "from_step": 8}, {"name": "icot", "removal": {"from_step": 8}}])
def test_what_would_begin_when_training_is_over_is_refused(method):
    with pytest.raises(TacitError, match=r"it would begin at step 8, and training ends after\s+8"):
        load("fragments/mult-2x2", {**SMALL, "method": method})
    load("fragments/mult-2x2", {**SMALL, "train.steps": 9, "method": method})
