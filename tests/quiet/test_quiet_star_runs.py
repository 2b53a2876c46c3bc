"""Thoughts of language models from a recipe to a saved run: what is saved is what is read, parts of a step add up, and what
cannot work is refused with the remedy."""

import json
import warnings

import pytest
import torch
from pydantic import ValidationError

import tacit
from tacit.errors import DataError
from tacit.evaluate import evaluate
from tacit.methods.base import Lesson
from tacit.methods.quiet_star import QuietStar
from tacit.quiet.texts import texts
from tacit.thinker import Thinker
from tests.quiet.test_quiet_star_exact import gradients, lesson, thinker_of

SMALL = {"task.of.train_rows": 16, "task.of.valid_rows": 4, "task.of.test_rows": 4, "train.steps": 2, "train.batch": 4}
SMALL |= {"model.tiny.hidden": 16, "eval.every": None, "train.warmup": 0}


@pytest.mark.parametrize(
    "cast",
    [
        {},
        {"reasoner": "copy"},
        {"base": "fixed", "reasoner": "adapter", "interpreter": "adapter", "rank": 2},
    ],
    ids=["one network", "a copy", "adapters beside a fixed base"],
)
def test_from_a_recipe_to_a_saved_run(tmp_path, cast):
    settings = {
        "method.base": 0.5,
        "method.cast": cast,
        "method.join": "mix",
        "method.reread": False,
        "method.marks_scale": 10.0,
    }
    run = tacit.train("quiet/star-tiny", SMALL | settings, out=tmp_path / "run")
    report = evaluate(run).metrics()
    assert {"nll", "null_nll", "swapped_nll", "used", "base_nll"} <= set(report)
    assert report["used"] == pytest.approx(report["swapped_nll"] - report["nll"])
    # Without thoughts it is the language model that it was read as; thoughts change what it says of every token.
    plain, file = evaluate(run, plain=True).metrics(), tmp_path / "tokens.jsonl"
    assert plain["nll"] == pytest.approx(report["base_nll"], abs=1e-5)
    evaluate(run, tokens=True).write_rows(file)
    told = [nll for line in file.read_text().splitlines() for nll in json.loads(line)["nll"]]
    assert sum(told) / len(told) == pytest.approx(report["nll"], abs=0.05)
    loaded = Thinker.from_pretrained(run)
    twin = Thinker.from_pretrained(run)
    torch.nn.init.normal_(twin.aside.marks)
    method = QuietStar(samples=2, length=4, join="mix", marks_scale=10.0, cast=cast)
    given = lesson(loaded, method)
    first, second = (method.loss(one, given, given.counts()).total.detach() for one in (loaded, loaded))
    assert torch.equal(first, second)
    loaded.save_pretrained(tmp_path / "again")
    again = Thinker.from_pretrained(tmp_path / "again")
    assert torch.equal(method.loss(again, given, given.counts()).total.detach(), first)
    assert not torch.equal(method.loss(twin, given, given.counts()).total.detach(), first)


def test_the_saved_folder_holds_no_weight_twice(tmp_path):
    """An adapter's role is saved as its adapter; a copy is saved whole."""
    sizes = {}
    for kind in ("base", "adapter", "copy"):
        method = QuietStar(samples=2, length=2, cast={"reasoner": kind, "rank": 2})
        thinker_of("gpt2", method).save_pretrained(tmp_path / kind)
        sizes[kind] = (tmp_path / kind / "thought.safetensors").stat().st_size
    assert sizes["base"] < sizes["adapter"] < sizes["copy"] / 4


@pytest.mark.parametrize("places", [None, 3])
def test_parts_of_a_step_add_up(places):
    """Two texts together are each alone, whatever they are padded to."""
    method = QuietStar(samples=2, length=2, reread=True, places=places, base=0.5, ahead=2)
    thinker = thinker_of("gpt2", method)
    both = lesson(thinker, method, lengths=(9, 6))
    whole = gradients(thinker, method.loss(thinker, both, both.counts()).total)
    parts = []
    for number in (0, 1):
        view = both.views["main"]
        ids = view.ids[number][view.keep[number]].tolist()
        one = Lesson(
            {"main": texts([ids], thinker.vocab.pad, 2)},
            1,
            picks=[both.picks[number]],
            step=both.step,
            steps=both.steps,
        )
        parts.append(gradients(thinker, method.loss(thinker, one, both.counts()).total))
    worst = max(float((whole[name] - parts[0][name] - parts[1][name]).abs().max()) for name in whole)
    assert worst < 1e-12


def test_strengths_are_told_and_only_weaken_the_base():
    method = QuietStar(samples=2, length=2, join="mix", strengths=(0.0, 0.5))
    thinker = thinker_of("gpt2", method)
    torch.nn.init.normal_(thinker.aside.levels)
    losses = {}
    for step in (0, 1):
        given = lesson(thinker, method)
        given.step = step
        losses[step] = method.loss(thinker, given, given.counts()).total
    assert losses[0] != losses[1]
    moved = gradients(thinker, losses[1])["feedback.aside.levels"]
    assert bool(moved[1].any()) and not bool(moved[0].any())


def test_more_positions_than_there_are():
    method = QuietStar(samples=2, length=70)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    with pytest.raises(DataError, match=r"come to position 77, but this model has 64 positions.*method.length"):
        method.loss(thinker, given, given.counts())


REFUSED = {
    "no other of its place": {"samples": 1},
    "set it no higher": {"objective": {"learned": 3}},
    "belongs to models of family roles": {"objective": {"judge": True}},
    "thoughts have one length": {"objective": {"length_penalty": 0.1}},
    "set reread: true and join: after": {"echo": 0.5},
    "reread_step is the position": {"reread_step": 1},
    "that of the gate": {"mixer_width": 8},
    "set places to their number": {"place_by": "entropy"},
    "nothing of the base model reaches": {"strengths": (0.0, 0.5)},
    "shares that are dropped": {"strengths": (1.5,), "join": "add"},
    "would never be learned": {"cast": {"base": "fixed"}},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(sentence):
    with pytest.raises(ValidationError, match=sentence):
        QuietStar(**REFUSED[sentence])


def test_roles_of_a_recurrent_model_are_refused():
    method = QuietStar(samples=2, length=2, cast={"reasoner": "copy"})
    with pytest.raises(tacit.errors.ModelError, match="made from transformers"):
        thinker_of("gru", method)


def test_texts_too_short_to_look_ahead():
    from tacit.example import Encoded

    with pytest.raises(DataError, match=r"no longer than method.ahead: 4"):
        QuietStar(ahead=4).check([Encoded("short", (), (), (), (1, 2, 3))])


def test_a_model_that_needs_a_mask_says_so_and_learns_the_same():
    """Dropout on attention weights is not done in two parts."""
    method = QuietStar(samples=2, length=2)
    thinker, dropping = thinker_of("gpt2", method), thinker_of("gpt2", method, dropout=0.1)
    given = lesson(thinker, method)
    with pytest.warns(
        UserWarning, match=r"read under a mask: .* drops 10% of the weights while it trains, so every column"
    ):
        method.loss(dropping, given, given.counts())
    dropping.eval()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # without dropout there is nothing to say
        same = method.loss(dropping, given, given.counts()).total
        assert torch.allclose(same, method.loss(thinker.eval(), given, given.counts()).total)
