"""Candidates, weights, bounds and choices against sums over all thoughts there are."""

import itertools
import math

import numpy as np
import pytest

from tacit.bolt.infer import Candidate, Inferred, _take, draw, infer, weigh
from tacit.bolt.rounds import Inference
from tacit.methods.bolt import Marks
from tests.bolt.walkers import asked, guess, joint, walker

SHORT = Inference(samples=64, max_tokens=2, seed=1)


def everything(thinker, longest: int):
    """All valid thoughts of up to so many tokens."""
    vocab = thinker.vocab
    special = {*Marks.of(vocab), vocab.open, vocab.latent, vocab.close, vocab.eos, vocab.pad}
    plain = [token for token in range(thinker.vocabulary) if token not in special]
    return [z for n in range(1, longest + 1) for z in itertools.product(plain, repeat=n)]


def test_probabilities_are_those_of_each_row_alone():
    """Twin: with the mark counted, the joint probability is another one, by just that mark's."""
    thinker = walker()
    questions = asked(thinker)
    for marked in (False, True):
        settings = SHORT.model_copy(update={"mark_counts": marked})
        found = infer(thinker, questions, settings)
        valid = 0
        for one, inferred in zip(questions, found):
            for candidate in inferred.candidates:
                if not candidate.valid:
                    assert candidate.log_weight == -math.inf
                    continue
                valid += 1
                assert candidate.log_q == pytest.approx(guess(thinker, one, candidate.ids), abs=1e-9)
                assert candidate.log_p == pytest.approx(joint(thinker, one, candidate.ids, marked), abs=1e-9)
                assert candidate.log_p != pytest.approx(joint(thinker, one, candidate.ids, not marked), abs=1e-6)
        assert valid > 20


def test_the_mean_weight_is_the_probability_of_chunk_and_valid_thought():
    """Unbiased: over many candidates it comes to the sum over all thoughts. Twin: without the division by q it does not."""
    thinker = walker()
    (one,) = asked(thinker, 1)
    settings = Inference(samples=200, max_tokens=2, seed=3)
    weights: list[float] = []
    joints: list[float] = []
    for seed in range(20):
        (found,) = infer(thinker, [one], settings.model_copy(update={"seed": seed}))
        weights += [math.exp(c.log_weight) for c in found.candidates]
        joints += [math.exp(c.log_p) for c in found.candidates]
    # A thought must end itself, so two tokens leave room for one and its end.
    exact = sum(math.exp(joint(thinker, one, z)) for z in everything(thinker, 1))
    error = np.std(weights) / math.sqrt(len(weights))
    assert error < 0.1 * exact
    assert np.mean(weights) == pytest.approx(exact, abs=4 * error)
    assert abs(np.mean(joints) - exact) > 4 * np.std(joints) / math.sqrt(len(joints))


def test_what_is_taken_is_taken_in_proportion_to_its_weight():
    candidates = [Candidate((n,), 0.0, n != 3, log) for n, log in enumerate((-1.0, -2.0, -0.5, 5.0))]
    weights = np.exp([-1.0, -2.0, -0.5])
    counts = np.bincount([_take(candidates, "resample", np.random.default_rng(n)) for n in range(4000)], minlength=4)
    expected = 4000 * weights / weights.sum()
    assert (
        counts[3] == 0 and (((counts[:3] - expected) ** 2) / expected).sum() < 13.8
    )  # chi square, 2 degrees, p = .001
    even = np.bincount([_take(candidates, "uniform", np.random.default_rng(n)) for n in range(4000)], minlength=4)
    assert even[3] == 0 and (((even[:3] - expected) ** 2) / expected).sum() > 100
    assert _take(candidates, "argmax", np.random.default_rng(0)) == 2
    assert _take([candidates[3]], "resample", np.random.default_rng(0)) is None


def test_resampled_thoughts_come_nearer_to_the_true_posterior():
    """The law of what is taken, against p(Z | X) by enumeration: more candidates, less distance. Twin: uniform choice, which
    stays at q however many there are."""
    thinker = walker(2)
    (one,) = asked(thinker, 1)
    law = [Candidate(z, guess(thinker, one, z), True, joint(thinker, one, z)) for z in everything(thinker, 1)]
    q, p = (np.exp([getattr(c, name) for c in law]) for name in ("log_q", "log_p"))
    posterior = p / p.sum()
    rng = np.random.default_rng(0)
    distance = {}
    for how, samples in (("resample", 1), ("resample", 4), ("resample", 32), ("uniform", 32)):
        counts = np.zeros(len(law))
        for _ in range(2000):
            drawn = rng.choice(len(law), samples, p=q / q.sum())
            counts[drawn[_take([law[n] for n in drawn], how, rng)]] += 1
        distance[how, samples] = 0.5 * np.abs(counts / counts.sum() - posterior).sum()
    assert distance["resample", 32] < 0.5 * distance["resample", 4] < 0.5 * distance["resample", 1]
    assert distance["uniform", 32] > 0.8 * distance["resample", 1]


def test_a_chunk_gets_its_thoughts_whatever_else_is_asked():
    """Twin: another name, other thoughts."""
    thinker = walker()
    questions = asked(thinker)
    whole = infer(thinker, questions, SHORT)
    (alone,) = infer(thinker, questions[1:2], SHORT.model_copy(update={"batch": 7}))
    assert [c.ids for c in alone.candidates] == [c.ids for c in whole[1].candidates] and alone.taken == whole[1].taken
    (renamed,) = infer(thinker, [type(questions[1])("other", questions[1].context, questions[1].chunk)], SHORT)
    assert [c.ids for c in renamed.candidates] != [c.ids for c in alone.candidates]


def test_more_candidates_begin_with_the_same_ones():
    thinker = walker()
    questions = asked(thinker, 1)
    few, many = (draw(thinker, questions, SHORT.model_copy(update={"samples": n}))[0].candidates for n in (3, 9))
    assert [c.ids for c in many[:3]] == [c.ids for c in few]


def test_bounds_are_log_means():
    found = Inferred([Candidate((n,), 0.0, True, math.log(w)) for n, w in enumerate((1.0, 3.0, 2.0, 2.0))])
    assert found.bound(1) == pytest.approx(0.0) and found.bound(2) == pytest.approx(math.log(2))
    assert found.bound(4) == pytest.approx(math.log(2)) and found.effective == pytest.approx(64 / 18)
    assert Inferred([Candidate((), 0.0, False)]).effective == 0.0


def test_bounds_grow_with_candidates_and_stay_below_the_probability():
    """Over fixed seeds, without any slack. Twin: without the division by K they pass it."""
    thinker = walker()
    (one,) = asked(thinker, 1)
    exact = math.log(sum(math.exp(joint(thinker, one, z)) for z in everything(thinker, 1)))
    found = [infer(thinker, [one], SHORT.model_copy(update={"seed": seed}))[0] for seed in range(20)]
    few, many = (np.mean([one.bound(k) for one in found]) for k in (16, 64))
    assert -math.inf < few < many < exact
    assert many + math.log(64) > exact


def test_equal_candidates_are_read_once(monkeypatch):
    import tacit.bolt.infer as module

    thinker = walker()
    questions = asked(thinker, 1)
    found = draw(thinker, questions, SHORT)
    rows = []
    score = module.log_probabilities
    monkeypatch.setattr(module, "log_probabilities", lambda t, layouts, n: rows.extend(layouts) or score(t, layouts, n))
    weigh(thinker, questions, found, SHORT)
    different = {c.ids for c in found[0].candidates if c.valid}
    assert len(rows) == len(different) < sum(c.valid for c in found[0].candidates)
