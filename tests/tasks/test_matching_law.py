"""The law of corrupted instances, place by place: the published generators written out once more, one instance at a time."""

from collections import Counter

import numpy as np
import pytest

from tacit.tasks.digit_rows import corrupt
from tacit.tasks.match2 import SEQUENCES, Match2
from tacit.tasks.match3 import Match3

FRESH = 10**9


def places_changed(most: int, places: int, count: int = 20_000) -> Counter:
    after = corrupt(np.zeros((count, most, places), dtype=np.int64), most, FRESH, np.random.default_rng(1))
    return Counter((after > 0).any(1).sum(1).tolist())


def shares(most: int, places: int, again: bool = True) -> dict[int, float]:
    """How many different places c draws hit, summed over c by hand: k of them in S(c, k) · places! / (places - k)! of places^c
    ways. Without `again`, no place is drawn twice."""
    second = {(1, 1): 1, (2, 1): 1, (2, 2): 1, (3, 1): 1, (3, 2): 3, (3, 3): 1}
    found = dict.fromkeys(range(1, min(most, places) + 1), 0.0)
    for c in range(1, most + 1):
        weight = 0.75 * 0.25 ** (c - 1) if c < most else 0.25 ** (most - 1)
        for k in range(1, c + 1):
            ways = np.prod(np.arange(places - k + 1, places + 1)) if k <= places else 0
            share = second[c, k] * ways / places**c if again else float(k == min(c, places))
            if weight * share:
                found[k] += weight * share
    return found


@pytest.mark.parametrize("places", [1, 2, 3, 4])
def test_a_place_may_be_drawn_twice(places):
    seen = places_changed(3, places)
    expected = shares(3, places)
    assert sum(expected.values()) == pytest.approx(1)
    if places == 3:
        assert expected[1] == pytest.approx(0.75 + 0.1875 / 3 + 0.0625 / 9)

    def fits(law):
        return all(abs(seen[k] / 20_000 - p) < 4 * np.sqrt(p * (1 - p) / 20_000) + 1e-9 for k, p in law.items())

    assert fits(expected)
    assert places == 1 or not fits(shares(3, places, again=False)), "the twin: places without repetition"


def published_count(rng: np.random.Generator, length: int, dimension: int, base: int, true_rate: float) -> int:
    """One instance of Match-2 and its label, in plain loops."""
    half = [[int(d) for d in rng.integers(base, size=dimension)] for _ in range(length // 2)]
    rows = [*half, *[[-d % base for d in row] for row in half]]
    rows = [rows[i] for i in rng.permutation(length)]
    if rng.random() >= true_rate:
        c = min(int(rng.geometric(0.75)), length)
        for place in rng.integers(dimension, size=c).tolist():
            digit = int(rng.integers(base))
            for row in rows[:c]:
                row[place] = digit
    return sum([-d % base for d in row] in rows for row in rows)


@pytest.mark.parametrize(("dimension", "base"), [(4, 10), (2, 4)])
def test_labels_of_match2_follow_the_published_generator(dimension, base):
    task = Match2(dimension=dimension, base=base)
    rng = np.random.default_rng(2)
    ours = Counter(count for _ in range(5) for count in task.matched(task.draw(rng)[0]).sum(1).tolist())
    theirs = Counter(published_count(rng, 10, dimension, base, 0.1) for _ in range(10_000))
    total = ours.total()
    for label in ours | theirs:
        p = (ours[label] + theirs[label]) / (total + 10_000)
        assert abs(ours[label] / total - theirs[label] / 10_000) < 4.5 * np.sqrt(p * (1 - p) * (1 / total + 1e-4)), (
            label
        )
    if base == 10:
        assert 0.61 < ours[8] / total < 0.65, "the published majority is 63 %"


def test_a_row_that_is_its_own_negation_counts():
    task = Match2(length=4, dimension=2)
    rows = np.array([[[5, 0], [1, 2], [3, 4], [0, 0]]])
    assert task.matched(rows).tolist() == [[True, False, False, True]]
    shift = SEQUENCES[3, :8].reshape(1, 4, 2)
    assert task.matched((rows + shift) % 10).tolist() != [[True, False, False, True]], "the twin: in disguise"


def test_an_easy_size_of_the_paper_is_drawn():
    """Ten rows of one digit: one corrupted instance in 235 has no matching triple, and is waited for."""
    rows = list(Match3(length=10, dimension=1, train_rows=300).examples("train"))
    assert abs(np.mean([row.answer == "False" for row in rows]) - 0.5) < 4 * np.sqrt(0.25 / 300)
