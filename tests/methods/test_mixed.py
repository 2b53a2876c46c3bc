"""Renderings of the mixture: how often, with which labels, asked how, and what is counted of each."""

from collections import Counter

import numpy as np
import pytest
import torch

from tacit.batch import Batch
from tacit.example import Encoded
from tacit.methods.filler import PAUSE
from tacit.methods.mixed import Echo, Mixed, rendering
from tacit.methods.mixed_loss import accuracies
from tacit.models.scratch import Scratch, build
from tacit.objectives import nll
from tacit.thinker import Thinker
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0, extra={PAUSE: 5})
EXAMPLE = Encoded("x", (50, 51, 52, 53, 9), ((10, 11), (20,)), (60,), (70,))
ONLY = {
    "cot": Mixed(cot=1, filler=0, ask="cot", fillers=3),
    "filler": Mixed(cot=0, filler=1, fillers=3),
    "none": Mixed(cot=0, filler=0, none=1, ask="none"),
}
MIDDLE = {"cot": [10, 11, 20], "filler": [5, 5, 5], "none": []}


def laid_out(method, seed=0):
    return method.layouts(EXAMPLE, VOCAB, 0, np.random.default_rng(seed))["main"]


def drawn(method, count=2000) -> Counter:
    return Counter(rendering(laid_out(method, seed)) for seed in range(count))


def fits(found: Counter, shares: dict[str, float]) -> bool:
    total = found.total()
    return all(abs(found[name] / total - p) <= 4 * np.sqrt(p * (1 - p) / total) for name, p in shares.items())


def test_renderings_are_drawn_at_their_rates():
    assert fits(drawn(Mixed()), {"cot": 0.5, "filler": 0.5, "none": 0.0})
    mixed = drawn(Mixed(cot=0.5, filler=0.3, none=0.2))
    assert fits(mixed, {"cot": 0.5, "filler": 0.3, "none": 0.2})
    assert not fits(mixed, {"cot": 0.5, "filler": 0.2, "none": 0.3})  # the twin
    assert fits(drawn(Mixed(cot=3, filler=1)), {"cot": 0.75, "filler": 0.25, "none": 0.0})


@pytest.mark.parametrize("name", MIDDLE)
def test_masks_learn_all_behind_the_question_or_the_answer_alone(name):
    whole, final = laid_out(ONLY[name]), laid_out(ONLY[name].model_copy(update={"mask": "Final"}))
    end = [60, 70, 4]
    assert whole.ids == final.ids == [*EXAMPLE.question, *MIDDLE[name], *end]
    assert whole.labels == [-100] * 5 + [*MIDDLE[name], *end]
    assert final.labels == [-100] * (len(final) - 2) + [70, 4]
    assert rendering(whole) == name


def test_the_answer_may_weigh_more():
    layout = laid_out(Mixed(answer_weight=5.0))
    assert {s.name: s.learn for s in layout.segments if s.name in ("cue", "answer")} == {"cue": 1.0, "answer": 5.0}


def test_prompts_feed_fillers_or_ask_at_once_or_begin_the_steps():
    def asked(ask, example=EXAMPLE):
        return Mixed(fillers=3, none=0.1, ask=ask).prompt(example, VOCAB).ids

    assert asked("filler") == [*EXAMPLE.question, 5, 5, 5, 60]
    assert asked("none") == [*EXAMPLE.question, 60]
    assert asked("cot") == [*EXAMPLE.question, 10]
    assert asked("cot", EXAMPLE._replace(steps=())) == list(EXAMPLE.question)
    assert len(Mixed(fillers=0).prompt(EXAMPLE, VOCAB)) == len(EXAMPLE.question) + 1


def test_an_echo_repeats_the_question_between_its_fillers():
    method = Mixed(cot=0, filler=1, echo=Echo(stretches=2, width=2))
    layout = laid_out(method)
    assert layout.ids == [*EXAMPLE.question, 50, 51, 5, 5, 52, 53, 5, 5, 5, 5, 60, 70, 4]
    assert method.prompt(EXAMPLE, VOCAB).ids == layout.ids[:-2]
    # As long as the written steps of Match-2 with nine rows of four digits: 9 × 8 + 4.
    steps = laid_out(Mixed(cot=0, filler=1, echo=Echo(stretches=9, width=4)), 0)
    assert len(steps) == len(EXAMPLE.question) * 2 + 9 * 4 + 4 + 3


def test_no_rendering_at_all_is_refused():
    with pytest.raises(ValueError, match="all zero; set at least one"):
        Mixed(cot=0, filler=0)


@pytest.fixture(scope="module")
def thinker():
    torch.manual_seed(0)
    return Thinker(build(Scratch(layers=1, hidden=16, heads=2, positions=32), 80, eos=4, pad=0, seed=0), None, VOCAB)


def test_hits_are_counted_by_rendering(thinker):
    """The numbers of a batch against those of each rendering in a batch of its own."""
    rows = {name: laid_out(method) for name, method in ONLY.items()}
    method = Mixed()

    def learned(layouts):
        batch = Batch.of(layouts, VOCAB)
        lesson = type("Lesson", (), {"views": {"main": batch}})
        return batch, method.loss(thinker, lesson, {"main": batch.learned})

    batch, loss = learned([rows["cot"], rows["filler"], rows["none"], rows["none"]])
    hidden = thinker(batch, end=batch.end).hidden
    assert torch.allclose(loss.total, nll(thinker, hidden, batch, batch.learned))
    parts = {name: float(value) for name, value in loss.parts.items()}
    assert [parts[f"seen/{name}/tokens"] for name in ("cot", "filler", "none")] == [6, 6, 6]
    assert [parts[f"seen/{name}/answer"] for name in ("cot", "filler", "none")] == [1, 1, 2]
    for name, row in rows.items():
        _, alone = learned([row])
        assert alone.parts.keys() == loss.parts.keys()  # processes add what has equal names
        factor = 2 if name == "none" else 1
        for what in ("tokens", "answer"):
            assert parts[f"right/{name}/{what}"] == factor * float(alone.parts[f"right/{name}/{what}"])


def test_accuracies_are_ratios_of_what_was_there():
    parts = {
        "nll": 2.0,
        "right/cot/tokens": 3.0,
        "seen/cot/tokens": 4.0,
        "right/cot/answer": 1.0,
        "seen/cot/answer": 1.0,
    }
    none = {f"{kind}/none/{what}": 0.0 for kind in ("right", "seen") for what in ("tokens", "answer")}
    assert accuracies(parts | none) == {"nll": 2.0, "cot/tokens": 0.75, "cot/answer": 1.0, "token_accuracy": 0.75}
