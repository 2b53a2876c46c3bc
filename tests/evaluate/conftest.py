"""A tiny model that has learned a little, trained once, and its folder."""

import pytest
import torch

from tacit.thinker import Thinker
from tests.evaluate.small_thinker import TASK, facts, learn, make


@pytest.fixture(scope="session")
def thinker() -> Thinker:
    torch.manual_seed(0)
    return learn(make())


@pytest.fixture(scope="session")
def examples():
    return TASK.examples("valid")


@pytest.fixture(scope="session")
def folder(thinker, tmp_path_factory):
    """A run folder as far as evaluation looks at it."""
    run = tmp_path_factory.mktemp("runs") / "small"
    thinker.save_pretrained(run / "final", facts())
    (run / "recipe.yaml").write_text("eval: {limit: 6, max_tokens: 5, batch: 4}\n")
    return run
