"""What answers earn and how that is compared: the published table, shares instead of samples, functions of the user's own."""

import numpy as np
import pytest
from pydantic import ValidationError

from tacit.errors import DataError, TacitError
from tacit.rl.advantages import advantages, deviation, mean
from tacit.rl.rewards import Function, Judged, Reward, call_function, group_rewards
from tests.rl import toys

WRONG, MALFORMED = Judged(False, True, 8), Judged(False, False, 8)


def right(*lengths: int) -> list[Judged]:
    return [Judged(True, True, length) for length in lengths]


SHARES = [1 / 16] * 16
# Rewards, standard deviation and advantages of one answer of each kind, as published.
TABLE = [
    (right(*[7] * 8, *[8] * 8), {0: (1.00005, 0.330), 8: (0.99995, -0.330)}, 5.16e-5),
    (right(*[8] * 15, 3), {0: (0.999994, -0.050), 15: (1.000094, 0.750)}, 2.5e-5),
    (
        [*right(*[8] * 5, *[10] * 5), *[WRONG] * 6],
        {0: (0.95, 0.648), 5: (1.05, 0.847), 10: (0.0, -1.246)},
        0.502,
    ),
    ([*right(*[8] * 10), *[WRONG] * 6], {0: (1.0, 0.750), 10: (0.0, -1.250)}, 0.5),
    (
        [*right(4, 8, 8, 8), *[WRONG] * 11, MALFORMED],
        {0: (0.925, 1.355), 1: (1.025, 1.538), 4: (0.0, -0.344), 15: (-1.0, -2.181)},
        0.544,
    ),
    (right(*[8] * 16), {0: (1.0, 0.0)}, 0.0),
]


def check(judged, told, spread, reward=Reward(), epsilon=1e-4):  # noqa: B008
    rewards = group_rewards(judged, SHARES, 16, reward)
    better = advantages(rewards, SHARES, epsilon=epsilon, scale=True, sampled=True)
    assert deviation(rewards, SHARES, True) == pytest.approx(spread, rel=0.01, abs=1e-12)
    for at, (earned, advantage) in told.items():
        assert rewards[at] == pytest.approx(earned, abs=1e-6)
        assert better[at] == pytest.approx(advantage, abs=1.5e-3)


@pytest.mark.parametrize("row", TABLE)
def test_the_published_table(row):
    check(*row)


@pytest.mark.parametrize(
    "changed", [{"reward": Reward(shorter=2e-4)}, {"epsilon": 1e-6}, {"reward": Reward(longer=0.2)}]
)
def test_other_settings_give_another_table(changed):
    failed = 0
    for row in TABLE:
        try:
            check(*row, **changed)
        except AssertionError:
            failed += 1
    assert failed


def test_enough_is_a_share_or_a_number():
    judged = [*right(2, 4), WRONG, WRONG]
    shares = [0.25] * 4
    for required, longer_is_better in ((1.0, True), (0.5, False), (0.6, True), (2, False), (3, True)):
        short, long, *_ = group_rewards(judged, shares, 4, Reward(required=required, shorter=0.1))
        assert (long > short) is longer_is_better


def test_weighed_lengths_earn_what_drawn_ones_earn_on_average():
    """With the same chances, and if the group's mean is close to the true one, as it is in large groups."""
    rng, lengths, chances, size = np.random.default_rng(0), [3, 4, 7], [0.7, 0.25, 0.05], 64
    reward = Reward(shorter=0.1)
    known = group_rewards(right(*lengths), chances, size, reward, sampled=False)
    earned = {length: [] for length in lengths}
    for _ in range(400):
        drawn = rng.choice(lengths, size=size, p=chances).tolist()
        for length, value in zip(drawn, group_rewards(right(*drawn), [1 / size] * size, size, reward)):
            earned[length].append(value)
    for length, value in zip(lengths, known):
        assert value == pytest.approx(np.mean(earned[length]), abs=0.003)
    assert known[0] > known[1] > known[2] > 1 - 0.1
    as_drawn = group_rewards(right(*lengths), chances, size, reward)
    assert as_drawn[0] == pytest.approx(known[0], abs=0.003)  # where all lengths are likely to be met


def test_a_rare_shorter_answer_earns_as_much_as_a_drawn_one():
    """However rare it is: it is compared with those that it would be met with."""
    for chance in (1e-3, 1e-6):
        judged, chances = right(3, 4, 9), [chance, 1 - 2 * chance, chance]
        short, usual, long = group_rewards(judged, chances, 16, Reward(shorter=0.1), sampled=False)
        assert 1.05 < short <= 1.1 and 0.9 <= long < 0.95 and abs(usual - 1) < 0.02


def test_shares_are_as_good_as_answers():
    drawn = right(*[3] * 12, *[5] * 4)
    rewards = group_rewards(drawn, SHARES, 16, Reward(shorter=0.1))
    assert rewards[0] > 1 > rewards[12]
    short, long = rewards[0], rewards[12]
    assert mean(rewards, SHARES) == pytest.approx(mean([short, long], [0.75, 0.25]))
    assert deviation(rewards, SHARES, False) == pytest.approx(deviation([short, long], [0.75, 0.25], False))
    assert deviation(rewards, SHARES, True) == pytest.approx(deviation(rewards, SHARES, False) * (16 / 15) ** 0.5)


def test_an_answer_that_is_all_but_impossible_spoils_no_group():
    judged = [*right(2, 4), WRONG]
    short, long, _ = group_rewards(judged, [0.5, 0.49, 0.01], 16, Reward(shorter=0.1), sampled=False)
    assert short > long
    short, long, _ = group_rewards(judged, [0.5, 0.4, 0.1], 16, Reward(shorter=0.1), sampled=False)
    assert short < long


COLUMNS = {"id": [toys.EXAMPLES[0].id, toys.EXAMPLES[1].id]}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("too_few", r"toys:too_few returned 1 numbers for 2 completions; let it return one for each"),
        ("not_a_number", r"toys:not_a_number returned nan for row train-1, completion 'b'; .*finite"),
        ("raises", r"toys:raises raised KeyError at row train-1, completion 'b'"),
        ("missing", r"toys:missing \(.*no attribute 'missing'\); name a function"),
        ("NO_FUNCTION", r"toys:NO_FUNCTION is a int and no reward function"),
    ],
)
def test_faulty_functions_are_named_with_the_row(name, said):
    with pytest.raises((DataError, TacitError), match=said):
        call_function(f"toys:{name}", ["q", "r"], ["a", "b"], COLUMNS)


def test_a_module_that_is_not_there():
    with pytest.raises(TacitError, match=r"No module named 'nowhere'.*PYTHONPATH"):
        call_function("nowhere:reward", ["q"], ["a"], {"id": ["x"]})
    with pytest.raises(ValidationError, match="write MODULE:FUNCTION"):
        Function(function="toys")
