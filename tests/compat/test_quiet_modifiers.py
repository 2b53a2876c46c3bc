"""Every published modifier is a fragment with the values of the published configuration, and trains."""

import pytest

from tacit.compat.quiet.options import MODIFIERS, OPTIONS, REQUIRED, modified
from tacit.compat.quiet.plan import BASE, plan
from tacit.recipe import load
from tacit.recipe.sources import names
from tacit.train.session import train

DEFAULTS = {name: option.default for name, option in OPTIONS.items() if option.default is not REQUIRED}
WIDTH = {"base_lm_hidden_dim": 32}
ALONE = [name for name in MODIFIERS if name not in ("SameHdim", "GRUSeparateScaleExperiment")]
"""Those that say what to build; the other two are laid over one of them."""


def by_command(*modifiers: str, **options) -> dict:
    values, same = modified(modifiers)
    made = plan({**DEFAULTS, **WIDTH, **values, **options}, same)
    assert not made.faults
    kept = {name: value for name, value in made.values.items() if value is not None or name == "task.path"}
    kept = {name: value for name, value in kept.items() if not name.startswith("model.parts")}
    return recipe(BASE, kept)


def recipe(base: str, values: dict) -> dict:
    loaded = load(base, values, disk=False).recipe.model_dump(mode="json")
    return {name: section for name, section in loaded.items() if name not in ("about", "run")}


def by_fragment(tmp_path, *modifiers: str) -> dict:
    file = tmp_path / "recipe.yaml"
    listed = ", ".join(f"fragments/quiet/{name}" for name in modifiers)
    file.write_text(f"extends: [{listed}]\ntrain: {{seed: {1 if 'DebugRunConfig' in modifiers else 7}}}\n")
    return recipe(str(file), {})


@pytest.mark.parametrize("name", ALONE)
def test_a_fragment_has_the_published_values(name, tmp_path):
    assert by_fragment(tmp_path, name) == by_command(name)


@pytest.mark.parametrize("pair", [("GRUConcatExperiment", "SameHdim"), (ALONE[0], "GRUSeparateScaleExperiment")])
def test_fragments_are_laid_over_each_other(pair, tmp_path):
    """Twin: another value of the command is another recipe."""
    assert by_fragment(tmp_path, *pair) == by_command(*pair)
    assert by_fragment(tmp_path, *pair) != by_command(*pair, trice_samples=3)


def test_there_is_a_fragment_for_every_name():
    assert {name.rpartition("/")[2] for name in names(fragments=True) if name.startswith("fragments/quiet/")} == set(
        MODIFIERS
    )


@pytest.mark.parametrize(
    "name", [*ALONE, *(f"{ALONE[0]}, fragments/quiet/{name}" for name in MODIFIERS if name not in ALONE)]
)
def test_it_trains_two_steps(name, tmp_path):
    """On generated text, since no other is at hand."""
    file = tmp_path / "recipe.yaml"
    file.write_text(f"extends: [fragments/quiet/{name}]\n")
    small = {"train.batch": 2, "train.limit": 4, "eval.limit": 2}
    assert (train(file, small, out=tmp_path / "run", tiny=True) / "final").is_dir()
