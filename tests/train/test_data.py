"""The order of examples: everybody once an epoch, known for any step, and never more tokens than allowed."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import DataError
from tacit.example import encode
from tacit.train.data import Bucketed, Shuffled, fingerprint, lay_out, lengths, lessons, order_of
from tests.train.small_runs import TEMPLATE, make_recipe, make_thinker, sums

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=60)


def met(order, steps):
    """How often each example is met in each epoch."""
    return Counter(pick for step in range(steps) for pick in order.picks(step))


def everybody_once(order, steps, epochs, count):
    found = met(order, steps)
    return all(found[(epoch, index)] == 1 for epoch in range(epochs) for index in range(count))


@given(count=st.integers(1, 50), batch=st.integers(1, 60), epochs=st.integers(1, 3), seed=st.integers(0, 99))
@settings(deadline=None)
def test_everybody_is_met_once_an_epoch(count, batch, epochs, seed):
    order = Shuffled(count, batch, seed)
    assert everybody_once(order, order.steps(epochs), epochs, count)
    assert all(len(order.picks(step)) == batch for step in range(order.steps(epochs)))
    assert order.epoch(order.steps(epochs)) >= epochs > order.epoch(order.steps(epochs) - 1)


@given(lengths=LENGTHS, batch=st.integers(1, 20), seed=st.integers(0, 99))
@settings(deadline=None)
def test_buckets_meet_everybody_once_and_keep_the_budget(lengths, batch, seed):
    order = Bucketed(lengths, batch, 128, seed)
    assert everybody_once(order, order.steps(2), 2, len(lengths))
    for step in range(order.steps(2)):
        rows = [lengths[pick.index] for pick in order.picks(step)]
        assert len(rows) <= batch and len(rows) * max(rows) <= 128


def test_an_order_that_repeats_somebody_is_found_out(monkeypatch):
    order = Shuffled(20, 4, 0)
    picks = order.picks
    monkeypatch.setattr(order, "picks", lambda step: picks(max(0, step - 1)))
    assert not everybody_once(order, order.steps(1), 1, 20)


def test_epochs_and_seeds_have_orders_of_their_own():
    def orders(seed, epoch):
        return [pick.index for step in range(epoch * 10, epoch * 10 + 10) for pick in Shuffled(40, 4, seed).picks(step)]

    assert orders(0, 0) != orders(0, 1) != orders(1, 0)
    assert orders(3, 2) == orders(3, 2)


def test_fractions_of_an_epoch():
    assert Shuffled(40, 8, 0).steps(0.5) == 3  # 20 examples are two steps and a half
    assert Shuffled(40, 8, 0).steps(3) == 15
    assert Shuffled(1000, 10, 0).steps(0.1) == 10  # and not 11, for 0.1 is a little more than a tenth
    assert Shuffled(40, 8, 0).steps(0.01) == 1


def test_buckets_waste_little():
    """Padding stays below the width of a bucket, where rows in any order would waste much more."""
    thinker = make_thinker()
    encoded = encode(sums(200), thinker.tokenizer, TEMPLATE)
    recipe = make_recipe(tokens_per_batch=400, batch=100)
    method = recipe.method.settings
    size = lengths(recipe.train, method, encoded, thinker.vocab)
    order = order_of(recipe.train, method, encoded, thinker.vocab)
    steps = [[size[pick.index] for pick in order.picks(step)] for step in range(order.steps(1))]
    used = sum(map(sum, steps)) / sum(len(rows) * max(rows) for rows in steps)
    shuffled = Shuffled(200, 16, 0)
    steps = [[size[pick.index] for pick in shuffled.picks(step)] for step in range(shuffled.steps(1))]
    assert used > 0.9 > sum(map(sum, steps)) / sum(len(rows) * max(rows) for rows in steps)


def test_lengths_are_those_of_the_longest_view_of_both_ends_of_the_curriculum():
    thinker = make_thinker()
    encoded = encode(sums(10), thinker.tokenizer, TEMPLATE)
    recipe = make_recipe({"name": "coconut", "latents_per_step": 9, "epochs_per_stage": 1, "max_stage": 2}, epochs=3)
    found = lengths(recipe.train, recipe.method.settings, encoded, thinker.vocab)
    for row, length in zip(encoded, found):
        first = len(row.question) + 2 + sum(map(len, row.steps)) + len(row.cue) + len(row.answer) + 1
        last = len(row.question) + 2 + 18 + len(row.cue) + len(row.answer) + 1
        assert length == max(first, last)


def test_an_example_longer_than_the_budget_is_refused():
    with pytest.raises(
        DataError, match=r"example 1 has 60 tokens, more than train.tokens_per_batch: 50; set at least 60"
    ):
        Bucketed([10, 60, 20], 8, 50, 0)


def test_an_example_is_laid_out_alike_whatever_it_shares_a_step_with():
    thinker = make_thinker()
    encoded = encode(sums(20), thinker.tokenizer, TEMPLATE)
    method = make_recipe({"name": "coconut", "mix": 0.5, "epochs_per_stage": 1}).method.settings
    picks = Shuffled(20, 8, 0).picks(1)
    together = lay_out(method, encoded, picks, thinker.vocab, 2, seed=0)
    alone = [lay_out(method, encoded, [pick], thinker.vocab, 2, seed=0)[0] for pick in picks]
    assert together == alone
    assert together != lay_out(method, encoded, picks, thinker.vocab, 2, seed=1)


def test_micro_batches_are_even():
    thinker = make_thinker()
    encoded = encode(sums(7), thinker.tokenizer, TEMPLATE)
    method = make_recipe().method.settings
    rows = lay_out(method, encoded, Shuffled(7, 7, 0).picks(0), thinker.vocab, 0, 0)
    assert [lesson.rows for lesson in lessons(method, rows, thinker.vocab, 4)] == [3, 4]
    assert [lesson.rows for lesson in lessons(method, rows, thinker.vocab, 7)] == [7]


def test_the_fingerprint_sees_every_token_and_every_border():
    encoded = encode(sums(5), make_thinker().tokenizer, TEMPLATE)
    known = fingerprint(encoded)
    row = encoded[3]
    moved = row._replace(question=(*row.question, row.steps[0][0]), steps=(row.steps[0][1:], *row.steps[1:]))
    assert known == fingerprint(list(encoded))
    assert known != fingerprint([*encoded[:3], moved, *encoded[4:]])
    assert known != fingerprint(encoded[:4])
