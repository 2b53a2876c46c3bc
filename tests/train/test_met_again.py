"""Graphs that are met in other words in every epoch, and curricula that begin with some of the examples."""

import numpy as np
import pytest

from tacit.errors import DataError
from tacit.example import encode
from tacit.methods.gate import Gate
from tacit.methods.superposition import Superposition
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.tasks.layered import Layered
from tacit.thinking import Thinking
from tacit.train.checkpoint import Position
from tacit.train.data import Pick, lay_out
from tacit.train.feed import Feed
from tacit.train.fit import fit
from tests.train.small_runs import make_recipe, same, weights

TASK = Layered(train_rows=40)
METHOD = Superposition(ramp=2, gate=Gate(stages=4))
RECIPE = {"name": "superposition", "ramp": 2, "gate": {"stages": 4, "least": 1, "warmup": 0, "most": 2}}


def small(task=TASK):
    tiny = Scratch(hidden=16, heads=2, positions=64)
    thinker = make_thinker(Model(tiny=tiny), Thinking(), words=[*task.words(), "[A]"])
    return thinker, encode(list(task.examples("train")), thinker.tokenizer, task.template)


def test_an_epoch_has_words_of_its_own_and_the_method_sees_the_same():
    thinker, encoded = small()
    picks = [Pick(epoch, index) for epoch in range(3) for index in range(5)]
    rows = lay_out(METHOD, encoded, picks, thinker.vocab, 4, 0)
    assert len({example.question for example in rows.examples}) == len(picks)
    for example, views in zip(rows.examples, rows):
        assert views["main"].ids[: len(example.question)] == list(example.question)
    assert rows.examples == lay_out(METHOD, encoded, picks, thinker.vocab, 4, 0).examples
    assert lay_out(METHOD, encoded, picks, thinker.vocab, 4, 1).examples[0] != rows.examples[0]
    _, still = small(Layered(train_rows=40, fresh=False))  # the twin: rows that shall not change
    assert len({row.question for row in lay_out(METHOD, still, picks, thinker.vocab, 4, 0).examples}) == 5


@pytest.mark.parametrize("tokens", [None, 400])
def test_a_ramp_meets_short_graphs_first_and_then_all(tokens):
    thinker, encoded = small()
    train = make_recipe(steps=50, tokens_per_batch=tokens).train
    feed = Feed(train, METHOD, encoded, thinker.vocab)
    hops = {
        stage: {encoded[pick.index].graph.hops for step in range(30) for pick in feed.picks(Position(step=step), stage)}
        for stage in (0, 1)
    }
    assert hops == {0: {2}, 1: {2, 3, 4}}
    short = [index for index, ex in enumerate(encoded) if ex.graph.hops == 2]
    met = np.bincount([p.index for step in range(30) for p in feed.picks(Position(step=step), 0)], minlength=40)
    assert set(np.flatnonzero(met)) == set(short) and np.ptp(met[short]) <= 1 + (tokens is not None)
    plain = Feed(train, METHOD.model_copy(update={"ramp": None}), encoded, thinker.vocab)
    assert plain.picks(Position(step=3), 0) == plain.order.picks(3)


def test_a_ramp_below_every_graph_is_refused():
    thinker, encoded = small()
    feed = Feed(make_recipe().train, METHOD.model_copy(update={"ramp": 1}), encoded, thinker.vocab)
    with pytest.raises(DataError, match="none of the 40 training examples is met at stage 0"):
        feed.picks(Position(), 0)


def test_a_run_with_a_ramp_goes_on_bit_equal(tmp_path):
    """Stages end by their caps, so the run is resumed behind the ramp in an order that began with it."""
    recipe = make_recipe(RECIPE, steps=9, save_every=4, keep=9)
    thinkers = []
    for resume in (None, 4):
        thinker, encoded = small()
        fit(recipe, thinker, recipe.method.settings, encoded, folder=tmp_path / "run", resume=resume)
        thinkers.append(weights(thinker))
    assert same(*thinkers)
