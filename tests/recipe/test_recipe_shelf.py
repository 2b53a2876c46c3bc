"""Every recipe that comes with the package can be run, in full and tiny, and says what it is."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tacit.example import encode
from tacit.methods.base import Lesson, Progress, World
from tacit.models.making import thinker_from_recipe
from tacit.recipe import FaultyRecipe, load
from tacit.recipe.sources import SHELF, abouts, names

PROMISED = [
    *(f"prosqa/{method}-tiny" for method in ("coconut", "cot", "no_cot", "pause")),
    *(
        f"{task}/{method}"
        for task in ("gsm8k", "prosqa", "prontoqa")
        for method in ("coconut", "cot", "no_cot", "pause")
    ),
    *(f"arithmetic/{method}-tiny" for method in ("cot", "no_cot", "no_thoughts", "coconut", "pause")),
    *(f"adaptive/latent-6{kind}+rl{size}" for kind in ("", "-by-1") for size in ("", "-tiny")),
    "grpo/cot-tiny",
    "mult/2x2-cot-tiny",
]


def test_what_is_promised_is_there():
    assert set(PROMISED) <= set(names())


@pytest.mark.parametrize("tiny", [False, True], ids=["full", "tiny"])
@pytest.mark.parametrize("name", names())
def test_every_recipe_is_sound(name, tiny):
    loaded = load(name, tiny=tiny, disk=False)
    assert loaded.recipe.about and loaded.recipe.run.folder == f"runs/{name.replace('/', '-')}"
    assert load(SHELF / f"{name}.yaml", tiny=tiny, disk=False).recipe.method == loaded.recipe.method


def test_a_recipe_that_is_not_sound_would_be_noticed(tmp_path):
    (tmp_path / "wrong.yaml").write_text("extends: arithmetic/cot-tiny\ntrain: {epoch: 3}")
    with pytest.raises(FaultyRecipe, match="train has no such field"):
        load(tmp_path / "wrong.yaml", disk=False)


def test_every_recipe_says_something_of_its_own():
    told = list(abouts().values())
    assert all(told) and len(set(told)) == len(told)


ELSEWHERE = ("gsm8k/", "bolt/finemath", "bolt/finetune", "quiet/")
"""Recipes whose rows would have to be downloaded, or prepared first, or ask nothing."""


@pytest.mark.parametrize("name", [name for name in names() if not name.startswith(ELSEWHERE)])
def test_every_recipe_makes_a_thinker_that_learns_and_asks(name):
    """Tiny, with its own task, tokenizer, template and method."""
    few = ["task.train_rows=12", "task.valid_rows=2"]
    recipe = load(name, few, tiny=True, disk=False).recipe
    task, method = recipe.resolved_task(), recipe.method.settings
    rows = list(task.examples("train"))
    thinker = thinker_from_recipe(recipe, rows)
    encoded = encode(rows[:4], thinker.tokenizer, task.template)
    stage = method.stage(Progress(100, 7.0, 200))
    laid = [method.layouts(row, thinker.vocab, stage, np.random.default_rng(0)) for row in encoded]
    about = World(task, rows, start=method.start(thinker))
    picks = [(0, number) for number in range(len(laid))]
    lesson = Lesson(method.collate(laid, thinker.vocab), len(laid), encoded, picks=picks, world=about)
    lesson = method.rollout(thinker, lesson)
    method.loss(thinker, lesson, lesson.counts()).total.backward()
    assert len(method.prompt(encoded[0], thinker.vocab)) >= len(encoded[0].question)
    assert task.grade(rows[0], f"{task.template.cue}{rows[0].answer}").correct


CURRICULA = [("gsm8k/coconut", 6), ("prosqa/coconut", 6), ("prontoqa/coconut", 6), ("arithmetic/coconut-tiny", 3)]


CONTROLS = [(twin, n) for name, n in CURRICULA if (twin := name.replace("coconut", "pause")) in names()]


@pytest.mark.parametrize(("name", "latents"), CURRICULA + CONTROLS)
def test_a_curriculum_reaches_its_last_stage(name, latents):
    """And its control takes as many steps through as many epochs."""
    recipe = load(name, disk=False).recipe
    method, epochs = recipe.method.settings, recipe.train.epochs
    assert method.stage(Progress(0, 0.0, 1)) == (1 if name.startswith("gsm8k/") else 0)
    assert method.stage(Progress(0, epochs - 0.01, 1)) > method.max_stage
    assert method.latents_per_step * method.max_stage == latents


def test_coconut_of_gsm8k_follows_its_published_run():
    recipe = load("gsm8k/coconut", disk=False).recipe
    stages = [recipe.method.settings.stage(Progress(0, epoch, 1)) for epoch in range(22)]
    assert stages == [1] * 3 + [2] * 3 + [3] * 3 + [4] * 13
    assert (recipe.model.path, recipe.train.batch, recipe.train.lr) == ("runs/gsm8k-cot", 128, 1e-4)


def test_the_start_of_coconut_must_be_trained_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FaultyRecipe) as caught:
        load("gsm8k/coconut", {"run.after": None})
    [fault] = caught.value.faults
    assert fault.sentence == "runs/gsm8k-cot does not exist; train it first with tacit train gsm8k/cot"
    assert load("gsm8k/coconut").recipe.run.after == "gsm8k/cot"  # and is, by the same command
    (tmp_path / "runs/gsm8k-cot").mkdir(parents=True)
    assert load("gsm8k/coconut", {"run.after": None}).recipe.model.path == "runs/gsm8k-cot"


LOADED = """
import sys
{before}
from tacit.recipe import load
for name in ("gsm8k/coconut", "prosqa/pause", "mult/2x2-cot-tiny", "quiet/gru-tiny"):
    load(name, disk=False).recipe.thinking()
print(*sorted({{"torch", "transformers", "peft", "datasets"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(("before", "loaded"), [("", ""), ("import torch", "torch")])
def test_a_recipe_is_read_without_torch(before, loaded):
    """And an import of it would be noticed."""
    words = [sys.executable, "-c", LOADED.format(before=before)]
    environment = {**os.environ, "PYTHONPATH": str(SHELF.parents[1])}
    done = subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.split() == loaded.split()
