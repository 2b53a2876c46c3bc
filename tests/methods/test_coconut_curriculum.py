"""Coconut's stage rule, as published, against every mode, stage and flag; and several stages learned from one chain."""

from itertools import product

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tacit.batch import Batch
from tacit.engine.shared import SharedBatch
from tacit.errors import DataError
from tacit.example import Encoded
from tacit.methods.base import Lesson, Progress
from tacit.methods.coconut import Coconut
from tacit.methods.cot import Cot, NoCot, NoThoughts
from tacit.methods.pause import Pause
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.thinking import Thinking
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0)
STEPS = ((10, 11), (20, 21, 22), (30,), (40, 41), (50,))
MODES = {"coconut": Coconut, "pause": Pause, "no_thoughts": NoThoughts, "cot": Cot, "no_cot": NoCot}


def example(count: int) -> Encoded:
    return Encoded(f"x{count}", (6, 7), STEPS[:count], (60,), (70, 71))


def rng(seed: int = 0):
    return np.random.default_rng(seed)


def published(mode: str, stage: int, steps: list, latents: int, cap: int, pad: bool) -> list[int]:
    """The data rule of the published code, in its own order of cases."""
    if stage > cap:
        skipped, blocks = 10_000, cap if pad else min(len(steps), cap)
    else:
        skipped, blocks = stage, stage
    if mode == "no_cot":
        skipped, blocks = 100, 0
    if mode == "cot":
        skipped, blocks = 0, 0
    markers = mode in ("coconut", "pause")
    thought = [1, *[2] * (blocks * latents), 3] if markers else []
    return [6, 7, *thought, *[token for step in steps[skipped:] for token in step], 60, 70, 71, 4]


def ours(mode: str, stage: int, count: int, latents: int, cap: int, pad: bool):
    fields = {"max_stage": cap} if mode in ("coconut", "pause", "no_thoughts") else {}
    fields |= {"latents_per_step": latents, "pad_to_max": pad} if mode in ("coconut", "pause") else {}
    return MODES[mode](**fields).layouts(example(count), VOCAB, stage, rng())["main"]


@pytest.mark.parametrize("mode", MODES)
def test_rows_of_every_stage_and_flag(mode):
    """Stages before, at and beyond the last, examples with fewer steps than stages and with none."""
    for stage, count, latents, cap, pad in product(range(6), range(5), (0, 1, 2), (0, 2, 3), (True, False)):
        layout = ours(mode, stage, count, latents, cap, pad)
        assert layout.ids == published(mode, stage, list(STEPS[:count]), latents, cap, pad)
        unlearned = layout.ids.index(3) + 1 if 3 in layout.ids else 2
        assert layout.labels == [-100] * unlearned + layout.ids[unlearned:]
        assert layout.positions == list(range(len(layout)))


def test_a_rule_that_looks_at_pad_to_max_too_early_would_be_noticed(monkeypatch):
    early = lambda self, count, stage: min(count, stage) if not self.pad_to_max else stage  # noqa: E731
    monkeypatch.setattr(Coconut, "blocks", early)
    with pytest.raises(AssertionError):
        test_rows_of_every_stage_and_flag("coconut")


@pytest.mark.parametrize(
    ("fields", "epochs", "stages"),
    [
        (
            {"epochs_per_stage": 3, "first_stage": 1, "max_stage": 3},
            22,
            [1] * 3 + [2] * 3 + [3] * 3 + [4] * 13,  # the published number goes on to 8, with rows as in 4
        ),
        ({"epochs_per_stage": 5, "max_stage": 6}, 50, [0] * 5 + [1] * 5 + [2] * 5),
        ({"epochs_per_stage": 1, "max_stage": 2, "curriculum": False}, 3, [3, 3, 3]),
    ],
)
def test_the_published_calendars(fields, epochs, stages):
    method = Coconut(**fields)
    found = [method.stage(Progress(0, epoch + 0.5, 1)) for epoch in range(epochs)]
    assert found[: len(stages)] == stages


@pytest.mark.parametrize("pad", [True, False])
def test_prompts_take_the_stages_number_of_blocks_and_not_the_examples(pad):
    """The published rule without padding would tell a question how long its solution is."""
    method = Coconut(latents_per_step=2, max_stage=3, pad_to_max=pad)
    for count in range(5):
        asked = [method.prompt(example(count), VOCAB, stage).ids.count(2) for stage in (0, 1, 2, 3, 9, None)]
        assert asked == [0, 2, 4, 6, 6, 6]


def test_without_a_curriculum_every_row_is_as_in_the_last_stage():
    for kind in (Coconut, Pause):
        flat, staged = kind(max_stage=2, curriculum=False), kind(max_stage=2)
        for stage in (0, 1, 5, None):
            assert flat.layouts(example(4), VOCAB, stage, rng()) == staged.layouts(example(4), VOCAB, 3, rng())
        assert flat.prompt(example(4), VOCAB, 0) == staged.prompt(example(4), VOCAB)
    assert NoThoughts(curriculum=False).layouts(example(4), VOCAB, 0, rng())["main"].ids == [6, 7, 60, 70, 71, 4]


def test_mixing_draws_uniformly_from_all_numbers_of_steps_and_is_seeded():
    method = Coconut(mix=0.6, max_stage=9)

    def stages(seeds):
        rows = [method.layouts(example(4), VOCAB, 1, rng(seed))["main"] for seed in seeds]
        return [row.ids.count(2) for row in rows]

    drawn = stages(range(4000))
    shares = np.bincount(drawn, minlength=5) / len(drawn)
    expected = np.full(5, 0.6 / 5) + np.eye(5)[1] * 0.4
    assert np.abs(shares - expected).max() < 4 * np.sqrt(0.25 / len(drawn))
    assert stages(range(50)) == drawn[:50] and stages(range(50, 100)) != drawn[:50]
    assert method.layouts(example(4), VOCAB, 1, None)["main"].ids.count(2) == 1


# --- several stages from one chain -----------------------------------------------------------------------------------


def thinker(feedback: str = "identity"):
    made = make_thinker(
        Model(tiny=Scratch(layers=2, hidden=16, heads=2)), Thinking(feedback=feedback), texts=["0123456789abcdefghijkl"]
    )
    return made.double()


def rows_of(method, mind, stage: int, count: int = 4, seed: int = 0):
    base = [Encoded(f"x{n}", (6, 7, 8)[: 2 + n % 2], STEPS[: 1 + n % 4], (9,), (5, n + 10)) for n in range(count)]
    small = [ex._replace(steps=tuple(tuple(i % 20 for i in step) for step in ex.steps)) for ex in base]
    return [method.layouts(ex, mind.vocab, stage, rng(seed + n)) for n, ex in enumerate(small)]


def gradients(mind, loss) -> list[torch.Tensor]:
    mind.zero_grad()
    loss.backward()
    return [p.grad.clone() for p in mind.parameters() if p.grad is not None]


def check_shared(method, mind, stage: int) -> None:
    """The loss and all gradients of a step are those of its views as separate rows."""
    rows = rows_of(method, mind, stage)
    views = method.collate(rows, mind.vocab)
    lesson = Lesson(views, len(rows))
    loss = method.loss(mind, lesson, lesson.counts()).total
    single = Batch.of([layout for row in rows for layout in row.values()], mind.vocab)
    wanted = mind.loss(single)
    assert lesson.counts()["main"] == single.learned
    assert abs(float((loss - wanted).detach())) < 1e-12
    for ours, theirs in zip(gradients(mind, loss), gradients(mind, wanted)):
        assert (ours - theirs).abs().max() < 1e-12


@pytest.mark.parametrize("stages", ["mix", "all"])
@pytest.mark.parametrize(("kind", "feedback"), [(Coconut, "identity"), (Pause, "pause")])
def test_stages_of_one_chain_are_learned_as_rows_of_their_own(kind, feedback, stages):
    mind = thinker(feedback)
    for latents, pad in ((1, True), (2, False)):
        method = kind(stages=stages, latents_per_step=latents, max_stage=2, pad_to_max=pad)
        for stage in range(5):
            check_shared(method, mind, stage)


def test_a_lost_view_would_be_noticed(monkeypatch):
    of = SharedBatch.of.__func__
    fewer = classmethod(lambda cls, groups, vocab: of(cls, [group[:-1] for group in groups], vocab))
    monkeypatch.setattr(SharedBatch, "of", fewer)
    with pytest.raises(AssertionError):
        check_shared(Coconut(stages="all"), thinker(), 2)


def test_which_stages_are_learned():
    def latents(method, stage, seed=0):
        views = method.layouts(example(4), VOCAB, stage, rng(seed))
        return {name: layout.ids.count(2) for name, layout in views.items()}

    every = Coconut(stages="all", max_stage=2)
    assert latents(every, 0) == {"main": 0}
    assert latents(every, 2) == {"main": 2, "stage 0": 0, "stage 1": 1}
    assert list(latents(every, 9)) == ["main", "stage 0", "stage 1", "stage 2"]
    one_more = Coconut(stages="mix", max_stage=2)
    found = {tuple(latents(one_more, 2, seed)) for seed in range(40)}
    assert found == {("main", "stage 0"), ("main", "stage 1")} and latents(one_more, 0) == {"main": 0}
    assert list(every.layouts(example(4), VOCAB, 2, None)) == ["main"]  # nothing but the row itself is evaluated


def test_settings_that_exclude_each_other():
    with pytest.raises(ValidationError, match="set mix: 0, or stages: one"):
        Coconut(stages="all", mix=0.3)
    with pytest.raises(ValidationError, match="with latents_per_step: 0 there are none"):
        Coconut(stages="mix", latents_per_step=0)


def test_examples_that_a_curriculum_has_nothing_to_take_from():
    with pytest.raises(DataError, match=r"none of these examples has a written step.*curriculum: false"):
        Coconut().check([example(0), example(0)])
    with pytest.raises(DataError, match=r"first_stage: 3 lies beyond these examples, which have 2"):
        Coconut(first_stage=3).check([example(2), example(1)])
    Coconut(curriculum=False).check([example(0)])
    Coconut(first_stage=3).check([example(3), example(0)])
    Coconut(first_stage=4).check([example(2)])  # all steps at once, which needs none of them one by one
