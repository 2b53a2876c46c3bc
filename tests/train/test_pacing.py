"""A curriculum that listens is part of the run: it survives resumption, and hears the same however a step is cut."""

import json

import pytest
from safetensors.torch import load_file

from tacit.train.session import train

GATED = [
    "train.steps=12", "train.batch=8", "train.save_every=5", "train.log_every=1", "train.warmup=0", "eval.limit=8",
    "task.train_rows=64", "method.gate.most=3", "method.gate.least=2", "method.gate.warmup=0",
]  # fmt: skip


def weights(folder):
    return load_file(folder / "final" / "model.safetensors")


def told(folder, key):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {line["step"]: line[key] for line in lines if key in line}


def test_a_gate_goes_on_where_it_stood(tmp_path, monkeypatch):
    """Twin: a gate that forgets its stage gives other weights."""
    straight = train("mult/2x2-filler", GATED, out=tmp_path / "a")
    stages, first = told(straight, "stage"), weights(straight)
    assert max(stages.values()) >= 2 and stages[6] > 0
    resumed = train("mult/2x2-filler", GATED, out=tmp_path / "a", resume=5)
    assert told(resumed, "stage") == stages
    assert all((first[name] == weight).all() for name, weight in weights(resumed).items())
    monkeypatch.setattr("tacit.methods.gate.GateState.restore", lambda self, state: None)
    forgetful = train("mult/2x2-filler", GATED, out=tmp_path / "a", resume=5)
    assert told(forgetful, "stage") != stages
    assert any((first[name] != weight).any() for name, weight in weights(forgetful).items())


@pytest.mark.parametrize("recipe", ["mult/2x2-filler", "mult/2x2-removal"])
def test_what_a_gate_hears_does_not_depend_on_micro_batches(tmp_path, recipe):
    whole = train(recipe, GATED, out=tmp_path / "whole")
    pieces = train(recipe, [*GATED, "train.micro_batch=2"], out=tmp_path / "pieces")
    for key in ("watched", "token_accuracy"):
        assert told(whole, key) == pytest.approx(told(pieces, key), abs=1e-6)
