"""What `tacit show --batch` and `--estimate` say must be what training does."""

import pytest

from tacit.recipe import load
from tacit.train import preview
from tacit.train.preview import estimate, first_batch
from tacit.train.session import train

NAME = "mult/2x2-filler"


def test_the_first_batch_is_the_first_lesson_of_the_run(tmp_path):
    shown = first_batch(load(NAME, tiny=True).recipe)
    folder = train(NAME, out=tmp_path / "run", tiny=True)
    lesson = (folder / "lesson.txt").read_text()
    tokens = [line for line in shown.splitlines() if line[:4].strip().isdigit()]
    assert tokens
    assert tokens == [line for line in lesson.splitlines() if line[:4].strip().isdigit()]


def test_parameters_are_those_of_the_model_that_is_trained():
    from tacit.models.making import thinker_from_recipe

    recipe = load(NAME).recipe
    examples = list(recipe.resolved_task().examples("train"))[:100]
    real = sum(p.numel() for p in thinker_from_recipe(recipe, examples).model.parameters())
    assert f"{real:,}" in estimate(recipe)["parameters"]


def test_arithmetic_of_a_step_agrees_with_a_counter():
    """Twin: without the factor for the backward pass it would be far off."""
    from torch.utils.flop_counter import FlopCounterMode

    from tacit.batch import Batch
    from tacit.models.making import thinker_from_recipe

    recipe = load(NAME).recipe
    seen = preview.preview(recipe)
    thinker = thinker_from_recipe(recipe, list(recipe.resolved_task().examples("train"))[:100])
    batch = Batch.of([row["main"] for row in seen.rows], thinker.vocab)
    with FlopCounterMode(display=False) as counter:
        thinker.loss(batch).backward()
    told = float(estimate(recipe)["arithmetic of a step"].split()[0])
    assert told == pytest.approx(counter.get_total_flops(), rel=0.15)
    assert told / 3 != pytest.approx(counter.get_total_flops(), rel=0.15)
