"""Parallel continuous thoughts: what is laid out, what is compared, and that only the student is moved."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tacit.batch import Batch
from tacit.errors import DataError
from tacit.example import Encoded
from tacit.methods import pccot_loss
from tacit.methods.base import Lesson
from tacit.methods.pccot import Distance, Pccot
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.thinking import Thinking

ROWS = [
    Encoded("a", (6, 7, 8), ((10, 11), (12,)), (9, 5), (13, 14)),
    Encoded("b", (6, 8), ((10,), (11, 12), (15, 16)), (9, 5), (14,)),
    Encoded("c", (7,), (), (9, 5), (10, 10, 11)),
]


def thinker(method: Pccot):
    model = Model(tiny=Scratch(layers=3, hidden=16, heads=2))
    return make_thinker(model, method.thinking(), texts=["0123456789abcdefghijkl"]).double()


def lesson_of(method: Pccot, mind, rows=ROWS) -> Lesson:
    laid = [method.layouts(row, mind.vocab, 0, np.random.default_rng(0)) for row in rows]
    return Lesson(method.collate(laid, mind.vocab), len(rows))


def learn(method: Pccot, mind, rows=ROWS):
    lesson = lesson_of(method, mind, rows)
    return method.loss(mind, lesson, lesson.counts())


def test_rows():
    method = Pccot(latents=2)
    mind = thinker(method)
    vocab = mind.vocab
    views = method.layouts(ROWS[1], vocab, 0, np.random.default_rng(0))
    thought = [vocab.open, vocab.latent, vocab.latent, vocab.close]
    assert views["main"].ids == [6, 8, *thought, 9, 5, 14, vocab.eos]
    assert views["main"].labels == [-100] * 8 + [14, vocab.eos]
    assert views["teacher"].ids == [6, 8, 10, 11, 12, 9, 5, 14, vocab.eos]  # without its last step
    assert views["teacher"].labels == [-100] * 2 + [10, 11, 12, 9, 5, 14, vocab.eos]
    assert method.prompt(ROWS[1], vocab).ids == views["main"].ids[:8]
    whole = Pccot(latents=2, drop_last=False).layouts(ROWS[1], vocab, 0, np.random.default_rng(0))
    assert whole["teacher"].ids[2:7] == [10, 11, 12, 15, 16]


def reference(method: Pccot, mind, rows=ROWS) -> torch.Tensor:
    """Row by row, each read on its own from the beginning, with the library's own states."""
    student, teacher = [], []
    ours = [method.layouts(row, mind.vocab, 0, np.random.default_rng(0)) for row in rows]
    for views in ours:
        for name, into in (("main", student), ("teacher", teacher)):
            batch = Batch.of([views[name]], mind.vocab)
            vectors = mind(batch).inputs
            out = mind.model(inputs_embeds=vectors, output_hidden_states=True)
            into.append(torch.stack([state[0, views[name].span("cue")[1] - 1] for state in out.hidden_states[1:]]))
    s, t = torch.stack(student, 1), torch.stack(teacher, 1).detach()  # (L, B, H)
    difference = (s - t).abs()
    each = torch.where(difference < 1, difference**2 / 2, difference - 0.5).mean((1, 2))
    return (each / t.reshape(len(t), -1).std(1)).mean()


def check_distance(method: Pccot, mind) -> None:
    loss = learn(method, mind)
    assert abs(float(loss.parts["distill"] - reference(method, mind).detach())) < 1e-7


def test_the_distance_is_that_of_rows_read_alone():
    for feedback in ("identity", "mlp"):
        method = Pccot(latents=3, rounds=2, feedback=feedback)
        check_distance(method, thinker(method))


def test_another_token_would_be_noticed(monkeypatch):
    at = Batch.at
    monkeypatch.setattr(Batch, "at", lambda self, name, k: at(self, name, k) - 1)
    method = Pccot(latents=3, rounds=2)
    with pytest.raises(AssertionError):
        check_distance(method, thinker(method))


def test_terms_add_up_and_the_teacher_is_not_moved():
    method = Pccot(latents=2, teacher=0.5, student=2.0, distill=3.0)
    mind = thinker(method)
    loss = learn(method, mind)
    wanted = 0.5 * loss.parts["teacher"] + 2.0 * loss.parts["student"] + 3.0 * loss.parts["distill"]
    assert abs(float((loss.total - wanted).detach())) < 1e-12
    student, teacher = torch.randn(2, 3, 4, requires_grad=True), torch.randn(2, 3, 4, requires_grad=True)
    pccot_loss.apart(student, teacher, Distance()).sum().backward()
    assert student.grad is not None and teacher.grad is None


def test_as_many_rounds_as_thoughts_are_exact():
    """The parallel thoughts are then those of Coconut, computed one after the other. Twin: fewer rounds are not."""
    one_by_one = Pccot(latents=3)
    mind = thinker(one_by_one)
    batch = lesson_of(one_by_one, mind).views["main"]
    mind.thinking = Thinking(schedule="cached")
    wanted = mind.loss(batch)
    for rounds, same in ((3, True), (5, True), (1, False)):
        mind.thinking = Thinking(schedule="jacobi", rounds=rounds)
        assert (abs(float((mind.loss(batch) - wanted).detach())) < 1e-12) is same


def test_a_step_in_pieces_is_the_same_step():
    """With each row's own scale; over a micro-batch's rows, as published, it is not."""
    for norm, same in (("row_std", True), ("none", True), ("layer_std", False)):
        method = Pccot(latents=2, distance=Distance(norm=norm))
        mind = thinker(method)
        counts = lesson_of(method, mind).counts()
        parts = [method.loss(mind, lesson_of(method, mind, [row]), counts).total for row in ROWS]
        assert (abs(float((sum(parts) - learn(method, mind).total).detach())) < 1e-12) is same


def test_without_distance_no_layer_is_kept(monkeypatch):
    asked = []
    original = pccot_loss.run
    monkeypatch.setattr(pccot_loss, "run", lambda *given, **how: asked.append(how["layers"]) or original(*given, **how))
    for distill in (0.0, 1.0):
        method = Pccot(latents=1, distill=distill)
        assert ("distill" in learn(method, thinker(method)).parts) is bool(distill)
    assert asked == [False, False, True, True]


def test_settings_and_rows_that_cannot_be():
    with pytest.raises(ValidationError, match="the student learns nothing"):
        Pccot(student=0.0, distill=0.0)
    with pytest.raises(DataError, match="no words before the answer"):
        Pccot().layouts(ROWS[0]._replace(cue=()), thinker(Pccot()).vocab, 0, np.random.default_rng(0))
