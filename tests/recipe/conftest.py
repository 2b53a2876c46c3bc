"""Stand-ins for tasks and methods: recipes must work for any class in the registries, not for the ones we ship."""

from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field, model_validator

from tacit.example import Template
from tacit.methods import METHODS
from tacit.settings import Settings
from tacit.tasks import TASKS
from tacit.thinking import Thinking


class Complete(Settings):
    """Needs nothing that could be missing."""

    def absent(self):
        return ()

    def refuses(self, thinking):
        return ()


class Latent(Complete):
    """Thoughts as vectors."""

    latents_per_step: int = Field(1, ge=1)
    """Silent steps per written step."""
    max_stage: int = 3
    """Stages of the curriculum."""
    window: tuple[int, int] | None = None
    noise: float = 0.0
    feedback: Literal["identity", "mlp"] = "identity"
    schedule: Literal["cached", "recompute", "jacobi"] = "cached"

    def thinking(self):
        return Thinking(feedback=self.feedback, schedule=self.schedule)

    @model_validator(mode="after")
    def _window_is_a_range(self):
        if self.window and self.window[0] > self.window[1]:
            raise ValueError(f"window {list(self.window)} ends before it starts")
        return self


class Written(Complete):
    """Thoughts in words."""

    max_stage: int = 0
    """Known to both, so it survives a change of method."""
    label: str = "plain"

    def thinking(self):
        return Thinking()


class Chain(Settings):
    """Additions, one after the other."""

    length: int = 3
    shuffled: bool = False
    file: Path | None = None
    weights: dict[str, float] = Field(default_factory=dict)
    template: Template = Template(kind="symbolic", step="{step} ;")


class Graph(Settings):
    """Paths in a graph."""

    nodes: int = 8


@pytest.fixture
def registries(monkeypatch):
    """Nothing is registered but these."""
    for registry, only in [
        (METHODS, {"latent": Latent, "written": Written}),
        (TASKS, {"chain": Chain, "graph": Graph}),
    ]:
        for name in [*registry]:
            monkeypatch.delitem(registry, name)
        for name, cls in only.items():
            monkeypatch.setitem(registry, name, cls)


BASE = """\
about: a small recipe
model:
  tiny: {layers: 2}
task: {name: chain, length: 4}
method:
  name: latent
  latents_per_step: 2
train:
  steps: 100
  batch: 64
"""


@pytest.fixture
def shelf(tmp_path, registries):
    """Writes recipe files and gives the path of the last one; `base.yaml` is there already."""

    def write(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
        return str(tmp_path / f"{list(files)[-1]}.yaml")

    write(base=BASE)
    return write


@pytest.fixture
def base(tmp_path, shelf):
    """The path of a sound recipe."""
    return str(tmp_path / "base.yaml")
