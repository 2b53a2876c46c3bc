"""Every shipped recipe, made tiny, goes from its name to a finished run folder."""

import json

import pytest

from tacit.recipe.sources import names
from tacit.train.session import train

PREPARED = "bolt/finemath"
"""Recipes that read what tacit bolt prepare has written; tests/bolt goes that way with small files."""


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith(PREPARED)])
def test_a_recipe_trains_two_steps(name, tmp_path):
    folder = train(name, out=tmp_path / "run", tiny=True)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert max(line["step"] for line in lines) == 2
    assert any("eval/accuracy" in line or "eval/nll" in line for line in lines)
    assert any((folder / "final").glob("*model.safetensors"))  # whole, or as adapters
