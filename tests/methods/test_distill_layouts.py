"""What a student and its teacher say: counts of silent steps, what is learned and what is given, stages, refusals."""

import numpy as np
import pytest
from pydantic import ValidationError

from tacit.example import Encoded
from tacit.layout import IGNORE
from tacit.methods.base import Progress
from tacit.methods.distance import Distance
from tacit.methods.distill import Count, Distill, Stages
from tacit.thinking import Thinking
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0)
STEPS = ((10, 11), (20, 21, 22), (30,))
EXAMPLE = Encoded("x", (50, 51), STEPS, (60, 61), (70,))
CUE, END = [60, 61], [70, 4]


def views(example=EXAMPLE, stage=0, seed=0, **fields):
    return Distill(**fields).layouts(example, VOCAB, stage, np.random.default_rng(seed))


@pytest.mark.parametrize(
    ("count", "steps", "expected"),
    [
        (Count(), 3, 6),
        (Count(plus=2), 9, 2),
        (Count(per_step=1, plus=5, most=10), 3, 8),
        (Count(per_step=1, plus=5, most=10), 9, 10),
        (Count(per_step=2, plus=4, most=8), 1, 6),
        (Count(per_step=2, plus=4, most=8), 3, 8),
        (Count(per_step=1, plus=0, least=3), 1, 3),
        (Count(per_step=0.5, plus=0), 5, 2),
    ],
)
def test_how_many_silent_steps(count, steps, expected):
    assert count.of(steps) == expected


def test_the_student_learns_its_decisions_and_what_it_writes():
    student = views(latents=Count(plus=2))["main"]
    assert student.ids == [50, 51, 1, 2, 2, 3, *CUE, *END]
    assert student.labels == [IGNORE] * 3 + [2, 2, 3, *CUE, *END]


def test_given_silent_steps_are_not_learned():
    student = views(latents=Count(plus=2), stop=0.0, learn_cue=False)["main"]
    assert student.labels == [IGNORE] * 8 + END
    prompt = Distill(latents=Count(plus=2), stop=0.0, learn_cue=False).prompt(EXAMPLE, VOCAB)
    assert prompt.ids == student.ids[: len(prompt)] == [50, 51, 1, 2, 2, 3, *CUE]


def test_the_teacher_writes_all_steps_but_the_last():
    assert views()["teacher"].ids == [50, 51, 10, 11, 20, 21, 22, *CUE, *END]
    assert views(drop_last=False)["teacher"].ids == [50, 51, 10, 11, 20, 21, 22, 30, *CUE, *END]
    assert views(opened=True)["teacher"].ids == [50, 51, 1, 10, 11, 20, 21, 22, *CUE, *END]
    assert views()["teacher"].labels == [IGNORE] * 2 + [10, 11, 20, 21, 22, *CUE, *END]


def test_a_step_that_is_not_written_still_counts():
    one = EXAMPLE._replace(steps=STEPS[:1])
    found = views(one, latents=Count(per_step=1, plus=0))
    assert found["teacher"].ids == [50, 51, *CUE, *END] and found["main"].ids.count(2) == 1


@pytest.mark.parametrize(
    ("stage", "latents", "left"),
    [(0, 0, [10, 11, 20, 21, 22]), (1, 1, [20, 21, 22]), (2, 2, []), (3, 6, []), (None, 6, [])],
)
def test_stages(stage, latents, left):
    method = Distill(stages=Stages(last=3, mix=0.0))
    student = method.layouts(EXAMPLE, VOCAB, stage, None)["main"]
    assert student.ids == [50, 51, 1, *[2] * latents, 3, *left, *CUE, *END]
    given = method.model_copy(update={"stop": 0.0})
    prompt = given.prompt(EXAMPLE, VOCAB, stage)
    assert student.ids[: len(prompt)] == prompt.ids and prompt.ids.count(2) == latents


@pytest.mark.parametrize(("stage", "said"), [(1, True), (2, True), (3, False), (None, False)])
def test_words_that_are_not_given_yet_are_learned(stage, said):
    """While steps are written, nobody knows where they end: also in a row that has none left, and with few silent steps."""
    method = Distill(latents=Count(plus=1), stop=0.0, learn_cue=False, stages=Stages(last=3, mix=0.0))
    for example in (EXAMPLE, EXAMPLE._replace(steps=STEPS[:1])):
        student = method.layouts(example, VOCAB, stage, None)["main"]
        start, end = student.span("cue")
        assert student.labels[start:end] == (CUE if said else [IGNORE] * 2)
        prompt = method.prompt(example, VOCAB, stage).ids
        assert prompt == [50, 51, 1, 2, 3, *([] if said else CUE)] == student.ids[: len(prompt)]


def test_words_before_the_steps_are_the_teachers():
    example = EXAMPLE._replace(opening=(80, 81))
    found = views(example, latents=Count(plus=1), stop=0.0)
    assert found["main"].ids == [50, 51, 1, 2, 3, *CUE, *END]
    assert found["teacher"].ids == [50, 51, 80, 81, 10, 11, 20, 21, 22, *CUE, *END]
    assert list(found["teacher"].pieces("steps")) == [(4, 6), (6, 9)]
    staged = views(example, stage=1, stages=Stages(last=3, mix=0.0))["main"]
    assert staged.ids == [50, 51, 1, 2, 3, 80, 81, 20, 21, 22, *CUE, *END]


def test_thoughts_made_at_once_are_laid_out_as_others():
    """Parallel continuous thoughts: given silent steps, then the words before the answer."""
    method = Distill(latents=Count(plus=2), thoughts=Thinking(schedule="jacobi"), stop=0.0, learn_cue=False)
    found = method.layouts(EXAMPLE, VOCAB, 0, None)
    assert found["main"].ids == [50, 51, 1, 2, 2, 3, *CUE, *END]
    assert found["main"].labels == [IGNORE] * 8 + END
    assert found["teacher"].ids == [50, 51, 10, 11, 20, 21, 22, *CUE, *END]
    assert method.prompt(EXAMPLE, VOCAB).ids == found["main"].ids[:8]


def test_stages_come_with_steps_and_some_rows_lag_behind():
    method = Distill(stages=Stages(every=100, last=3, mix=0.5))
    assert [method.stage(Progress(step, 0.0, 1000)) for step in (0, 99, 100, 299, 300, 900)] == [0, 0, 1, 2, 3, 3]
    counts = [method.layouts(EXAMPLE, VOCAB, 3, np.random.default_rng(i))["main"].ids.count(2) for i in range(200)]
    assert {0, 1, 2, 6} == set(counts) and 60 < counts.count(6) < 140


def test_no_teacher_at_all():
    assert views(teacher=0.0, codi=0.0).keys() == {"main"}
    assert views(teacher=0.0).keys() == {"main", "teacher"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"stop": 0.0, "latents": {"per_step": 1.0}},
        {"learn_cue": False},
        {"student": 0.0, "codi": 0.0},
        {"target": 0},
        {"codi": -1.0},
        {"distance": {"blocks": (3, 2)}},
        {"latents": {"plus": 0}},
        {"latents": {"most": 0}, "codi": 0.0, "meaned": 1.0},
        {"latents": {"least": 5, "most": 3}},
        {"latents": {"plus": 65}},
        {"thoughts": {"schedule": "jacobi"}},
        {"thoughts": {"window": 2}},
    ],
)
def test_what_cannot_work_is_refused(wrong):
    with pytest.raises(ValidationError):
        Distill(**wrong)
    assert Distance(blocks=(2, 2)).blocks == (2, 2)
