"""How a silent step is made: every feedback, source layer, gradient window, replay and position, against the oracle."""

from typing import get_args

import pytest
import torch

from tacit.batch import Batch
from tacit.engine.run import _Walk
from tacit.feedback import Feedback, LinearFeedback
from tacit.layout import Layout, Segment
from tacit.thinking import Kind
from tests.exactness import oracle, tiny
from tests.exactness.tiny import VOCAB, answer, check, naive_loss, question, rows, same, thinker, words

SOME = ("gpt2", "llama", "mistral", "gru")
SCHEDULES = ({"schedule": "cached"}, {"schedule": "recompute"}, {"schedule": "jacobi", "rounds": 4})


# --- feedback --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", ["none", "table"])
@pytest.mark.parametrize("feedback", get_args(Kind))
@pytest.mark.parametrize("family", ["gpt2", "gru"])
def test_every_feedback(family, feedback, scale):
    check(family, thinker(family, feedback=feedback, scale=scale))


@pytest.mark.parametrize("feedback", sorted({*get_args(Kind)} - {"identity", "pause"}))
def test_feedback_left_out_is_noticed(feedback, monkeypatch):
    mind = thinker("gpt2", feedback=feedback)
    monkeypatch.setattr(Feedback, "forward", lambda self, hidden, door: hidden)
    with pytest.raises(AssertionError, match="losses differ"):
        check("gpt2", mind)


def test_an_unscaled_thought_is_noticed():
    mind = thinker("gpt2", scale="table")
    mind.feedback.scaled = False
    with pytest.raises(AssertionError, match="losses differ"):
        check("gpt2", mind)


@pytest.mark.parametrize("family", ["gpt2", "gemma", "gemma3-mixed"])
def test_the_scale_is_that_of_what_enters_the_model(family):
    """Some families multiply what their table holds; a thought has to be as large as what comes out of the embedding."""
    mind = thinker(family, scale="table")
    entering = mind.door.embed(torch.arange(tiny.SIZE))
    thought = mind.thought(torch.randn(4, 32, dtype=torch.float64))
    size = entering.square().mean().sqrt().expand(4)
    torch.testing.assert_close(thought.square().mean(-1).sqrt(), size, rtol=1e-6, atol=0)
    start = Feedback(thinker(family, feedback="pause").thinking, mind.door, VOCAB).module.vector
    torch.testing.assert_close(start, entering.mean(0), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("feedback", ["identity", "mlp"])
def test_scaling_nothing_gives_no_nan(feedback):
    """A recurrent state is zero before the first token, and padding may stand where other rows think."""
    mind = thinker("gru", feedback=feedback, scale="table")
    if feedback == "mlp":
        with torch.no_grad():
            for parameter in (mind.feedback.module.inner.bias, mind.feedback.module.outer.bias):
                parameter.zero_()
            mind.feedback.module.norm.bias.zero_()
    late = Layout(question(2, 1), *VOCAB.thought(1), answer(1, 2))
    early = Layout(question(6, 3), *VOCAB.thought(5), answer(1, 4))
    check("gru", mind, [late, early], batch=Batch.of([late, early], VOCAB, "right"))


# --- source layers ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["schedule"])
@pytest.mark.parametrize("source", ["penultimate", "middle"])
@pytest.mark.parametrize("family", ["gpt2", "mistral"])
def test_source_layers(family, source, schedule):
    check(family, thinker(family, layers=4, source=source, **schedule))


@pytest.mark.parametrize(("ours", "theirs"), [("last", "penultimate"), ("penultimate", "middle"), ("middle", "last")])
def test_another_layer_is_noticed(ours, theirs):
    mind, other = (thinker("gpt2", layers=4, source=source) for source in (ours, theirs))
    batch = Batch.of(rows(), VOCAB)
    with pytest.raises(AssertionError, match="losses differ"):
        same("gpt2", mind, mind.loss(batch), naive_loss(other, rows()))


# --- gradient windows ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("window", [0, 1, 2, 9])
@pytest.mark.parametrize("schedule", SCHEDULES[:2], ids=lambda s: s["schedule"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gru"])
def test_gradient_windows(family, schedule, window):
    check(family, thinker(family, feedback="linear", window=window, **schedule))


@pytest.mark.parametrize("rounds", [2, 4])
def test_gradient_windows_of_jacobi(rounds):
    mind = thinker("gpt2", window=2, schedule="jacobi", rounds=rounds)
    check("gpt2", mind, embeds=lambda seen, layout: oracle.jacobi(seen, layout.ids, rounds))


def test_a_window_that_is_ignored_is_noticed(monkeypatch):
    monkeypatch.setattr(_Walk, "_late", lambda self: None)
    with pytest.raises(AssertionError, match="gradients of"):
        check("gpt2", thinker("gpt2", window=1))


def gradient_through_thoughts() -> None:
    """What the question gets from the loss only by way of what is thought about it: the whole gradient less that with the same
    thoughts given, against finite differences of both losses."""
    mind = thinker("gpt2")
    layout = Layout(question(4, 5), *VOCAB.thought(3), answer(2, 6))
    made, given = Batch.of([layout], VOCAB), Batch.of([layout], VOCAB)
    with torch.no_grad():
        given.thoughts = mind(made).inputs
    table, token, step = mind.door.embedding.weight, layout.ids[1], 1e-6
    found = [tiny.gradients(mind, mind.loss(batch))["model.transformer.wte.weight"] for batch in (made, given)]
    direction = torch.randn(32, dtype=torch.float64)
    losses = []
    with torch.no_grad():
        for move in (step, -2 * step):
            table[token] += move * direction
            losses.append([float(mind.loss(batch)) for batch in (made, given)])
        table[token] += step * direction
    slopes = [(up - down) / (2 * step) for up, down in zip(*losses)]
    through = float((found[0] - found[1])[token] @ direction)
    assert abs(through) > 1e-4
    assert abs(slopes[0] - slopes[1] - through) < 1e-8


def test_gradient_goes_through_thoughts_alone(monkeypatch):
    """Twin: thoughts that let no gradient through."""
    gradient_through_thoughts()
    enter = _Walk._enter
    monkeypatch.setattr(_Walk, "_enter", lambda self, column, *rest: enter(self, column, *rest).detach())
    with pytest.raises(AssertionError):
        gradient_through_thoughts()


# --- thoughts that are given -----------------------------------------------------------------------------------------


def given(layouts, scale=1.0):
    """Vectors for every latent of every row, by column of the row."""
    generator = torch.Generator().manual_seed(3)
    return [
        {c: scale * torch.randn(32, generator=generator, dtype=torch.float64) for c, token in enumerate(layout.ids)}
        for layout in layouts
    ]


@pytest.mark.parametrize("family", SOME)
def test_replayed_thoughts(family):
    mind, layouts = thinker(family), rows()
    vectors = given(layouts)
    batch = Batch.of(layouts, VOCAB)
    # Noise everywhere: only latent columns may take anything from it.
    batch.thoughts = torch.randn(*batch.shape, 32, dtype=torch.float64)
    for r, (row, start) in enumerate(zip(vectors, batch.starts)):
        for column, vector in row.items():
            batch.thoughts[r, start + column] = vector

    def embeds(seen, layout):
        row = vectors[layouts.index(layout)]
        return oracle.replayed(seen, layout.ids, {c: v for c, v in row.items() if layout.ids[c] == VOCAB.latent})

    check(family, mind, layouts, batch=batch, embeds=embeds)
    with pytest.raises(AssertionError, match="losses differ"):
        check(family, mind, layouts, batch=batch)


@pytest.mark.parametrize("schedule", ["cached", "recompute", "jacobi"])
def test_thoughts_replayed_as_they_were_change_nothing(schedule):
    mind, layouts = thinker("gpt2", feedback="linear", rounds=1), rows()
    batch = Batch.of(layouts, VOCAB)
    with torch.no_grad():
        trace = mind(batch, schedule=schedule)
        batch.thoughts = trace.inputs
        torch.testing.assert_close(mind(batch).hidden, trace.hidden, rtol=0, atol=1e-12)
        ordinary = batch.keep & ~batch.latents
        torch.testing.assert_close(trace.inputs[ordinary], mind.door.embed(batch.ids)[ordinary], rtol=0, atol=0)
        if schedule != "jacobi":
            fed = mind.thought(trace.hidden.roll(1, 1))
            torch.testing.assert_close(trace.inputs[batch.latents], fed[batch.latents], rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", SOME)
def test_pause_is_one_read(family):
    mind = thinker(family, feedback="pause")
    assert mind(Batch.of(rows(), VOCAB)).reads == 1
    check(family, mind)


def test_reads_are_counted():
    batch = Batch.of(rows(), VOCAB)
    columns = len(batch.latent_columns)
    for schedule, reads in (("cached", columns + 1), ("recompute", columns + 1), ("jacobi", 3 + 2)):
        assert thinker("gpt2", schedule=schedule, rounds=3)(batch).reads == reads


# --- positions and weights -------------------------------------------------------------------------------------------


def placed() -> list[Layout]:
    """Positions left out, thoughts at positions of their own, two tokens at one position, and plain rows beside them."""
    pairs = Segment("edges", words(6, 12), positions=(1, 1, 2, 2, 3, 3))
    return [
        Layout(question(4, 13), Segment("cut", (), skip=3), answer(3, 14)),
        Layout(Segment("begin", words(2, 15), skip=2), *VOCAB.thought(2), Segment("answer", words(3, 16), 1.0, skip=4)),
        Layout(pairs, Segment("thought", (VOCAB.latent,) * 3, positions=(9, 10, 20)), answer(2, 17)),
        *rows()[:3],
    ]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["schedule"])
@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma3-mixed"])
def test_positions(family, schedule):
    mind = thinker(family, **schedule)
    check(family, mind, placed())
    for layout in placed()[:3]:  # alone and unpadded, skipped positions must not look like packed documents
        check(family, mind, [layout])


def test_positions_counted_through_are_noticed():
    mind, layouts = thinker("gpt2"), placed()
    batch = Batch.of(layouts, VOCAB)
    batch.positions = (batch.keep.long().cumsum(1) - 1).clamp(min=0)
    with pytest.raises(AssertionError, match="losses differ"):
        check("gpt2", mind, layouts, batch=batch)


def weighted() -> list[Layout]:
    return [
        Layout(question(3, 18), *VOCAB.thought(2, 0.3), Segment("steps", words(2, 19), 0.5), answer(2, 20, 2.0)),
        Layout(question(5, 21), answer(2, 22)),
        Layout(question(3, 23), Segment("guess", words(2, 24), 1.5, labels=(7, -100)), answer(1, 25, 0.1)),
    ]


def test_weights_and_other_labels():
    for family in SOME:
        check(family, thinker(family), weighted())


def test_a_forgotten_weight_is_noticed():
    batch = Batch.of(weighted(), VOCAB)
    batch.weights = None
    with pytest.raises(AssertionError, match="losses differ"):
        check("gpt2", thinker("gpt2"), weighted(), batch=batch)


def test_confined_decisions():
    mind = thinker("gpt2", confine=True)
    closed = [layout for layout in rows() if VOCAB.latent not in layout.ids or VOCAB.close in layout.ids]
    check("gpt2", mind, closed)
    with pytest.raises(AssertionError, match="losses differ"):
        same("gpt2", mind, mind.loss(Batch.of(closed, VOCAB)), naive_loss(thinker("gpt2"), closed))


def test_feedback_learns():
    """Gradients reach the learned part, and a part of another width than the states' is possible."""
    mind = thinker("gpt2", feedback="linear")
    found = tiny.gradients(mind, mind.loss(Batch.of(rows(), VOCAB)))
    assert found["feedback.module.map.weight"].abs().max() > 1e-3
    assert LinearFeedback(32, 16)(torch.randn(2, 32), mind.door).shape == (2, 16)
