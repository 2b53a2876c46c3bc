"""A working directory as the published commands expect it: `src/`, data and models, all of them tiny."""

from pathlib import Path

import pytest

from tests.compat import standins

ROOT = Path(__file__).parents[2]


def _write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True)
    for split, text in files.items():
        (folder / f"{split}.txt").write_text(text, encoding="utf-8")


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """The directory; tests share it and write into folders of their own."""
    world = tmp_path_factory.mktemp("world")
    for name in ("src", "tacit"):
        (world / name).symlink_to(ROOT / name)
    standins.gpt2(world / "gpt2")
    standins.gpt2(world / "models" / "9_by_9_mult" / "gpt2", positions=60)
    standins.mistral(world / "mistralai" / "Mistral-7B-v0.1")
    data = world / "data"
    _write(data / "4_by_4_mult", train=standins.multiplication(4, 64), valid=standins.multiplication(4, 3, "valid"))
    _write(data / "9_by_9_mult", test_bigbench=standins.multiplication(9, 3, "test"))
    rows = "\n".join(standins.GSM8K)
    _write(data / "gsm8k", train="\n".join([rows] * 9), valid=rows)
    return world


@pytest.fixture
def here(world, monkeypatch, tmp_path):
    """In the world, with a folder of one's own for results."""
    monkeypatch.chdir(world)
    return tmp_path
