"""What is computed with everything shared is what torch's own modules compute one thought at a time."""

import pytest
import torch

from tacit.methods.quiet import Quiet
from tacit.quiet import going
from tacit.quiet.mind import Mind
from tacit.quiet.stack import Stack
from tacit.quiet.texts import cells, chances, stacked
from tacit.quiet.thinking import null_thought, think, understand
from tests.quiet.minds import QUIET, Plain, lesson, small

CASES = {
    "concat": {"join": "concat"},
    "concat, mlp heads": {"join": "concat", "head": "mlp", "reasoner_head": "mlp", "reasoner": 4},
    "add, another width": {"join": "add", "reasoner": 4},
    "add, shared head": {"join": "add", "reasoner_head": "shared"},
    "add, shared head through an adapter": {"join": "add", "reasoner_head": "shared", "reasoner": 4},
    "add, halved again and again": {"join": "add", "reasoner": 13, "halving": True},
    "gate": {"join": "gate", "reasoner": 4},
    "warm gate": {"join": "warm_gate", "gate_start": 0.6},
    "alone, no levels": {"join": "alone", "levels": 0, "groups": "AAAA", "reasoner_head": "shared"},
    "one network": {"join": "alone", "levels": 0, "groups": "AAAA", "reasoner_head": "shared", "interpreter": "onward"},
    "all shared": {"join": "add", "groups": "AAAA"},
    "reasoner apart": {"join": "concat", "groups": "AABA"},
}


def computed(thinker, method, given):
    """Thoughts of every place, and log-probabilities of them and of what comes next."""
    mind = Mind(thinker.model.config, Stack([thinker.model]))
    ids, _ = stacked([given.views["main"]])
    trunk = mind.trunk(ids[..., :-1])
    rule = method.rule(thinker.vocab, given.step)
    thoughts = think(mind, trunk, rule, chances([given], method.samples, rule.draws).double())
    like = mind.score(trunk.hidden, understand(mind, thoughts, rule), cells(ids[..., 1:]))
    null = mind.score(trunk.hidden, null_thought(mind, trunk, rule), cells(ids[..., 1:]))
    return ids[0], thoughts, like[0], null[0]


def written(thoughts, vocab_size: int, mark: int, row: int, variable: bool):
    """The tokens that were chosen, and those that are read between two marks."""
    read = [t for t in thoughts.read[0, row].tolist() if t != vocab_size]
    assert read[-1] == mark
    return (read if variable and bool(thoughts.ended[0, row]) else read[:-1]), read[:-1]


@pytest.mark.parametrize("case", CASES)
def test_every_thought_alone(case):
    """Twins: another last token, and a reasoner that forgets, give other numbers."""
    agrees(case, variable=False)


@pytest.mark.parametrize("case", [case for case, roles in CASES.items() if roles.get("interpreter") != "onward"])
def test_every_thought_of_any_length_alone(case):
    """Each token is chosen from a state that has read all tokens before it."""
    agrees(case, variable=True)


@torch.no_grad()
def drawn():
    """Thoughts of up to nine tokens, some of which end at once and some never."""
    thinker = small()
    method = Quiet(length=9, samples=4, variable=True, words_only=False)
    thoughts = computed(thinker, method, lesson(thinker, rows=4, length=6))[1]
    assert {1, 9} <= set(thoughts.chosen.flatten().tolist())
    return thoughts


def same(one, other) -> bool:
    close = zip(one[1:7], other[1:7])
    return torch.equal(one.read, other.read) and all(torch.allclose(a, b, rtol=0, atol=1e-12) for a, b in close)


@pytest.mark.parametrize("late", [1, 2, 99])
def test_news_of_what_goes_on_may_come_late(late, monkeypatch):
    """As it does from a device that is not waited for: by so many tokens, or never."""
    asked = []

    def send(number):
        asked.append(int(number))
        place = len(asked)
        return going.Sent(number, lambda: len(asked) >= place + late)

    wanted = drawn()
    monkeypatch.setattr(going, "send", send)
    assert same(drawn(), wanted)
    assert len(asked) == 8 and asked[-1] < asked[0]


def test_twin_news_that_are_too_small_would_be_noticed(monkeypatch):
    wanted = drawn()
    monkeypatch.setattr(going, "send", lambda number: going.Sent(number - 1, lambda: True))
    assert not same(drawn(), wanted)


@torch.no_grad()
def agrees(case: str, variable: bool) -> None:
    fields = dict(CASES[case])
    thinker = small(head=fields.pop("head", "linear"), **fields)
    thinker.model.steps.fill_(50)
    method = Quiet(length=3, samples=2, variable=variable, words_only=False)
    given = lesson(thinker, rows=2, length=4, step=50)
    ids, thoughts, like, null = computed(thinker, method, given)
    plain, config = Plain(thinker.model), thinker.model.config
    lengths = set()
    for row in range(like.shape[0]):
        place, _ = divmod(row, method.samples)
        column, text = divmod(place, 2)
        prefix, target = ids[text, : column + 1].tolist(), int(ids[text, column + 1])
        chosen, between = written(thoughts, config.vocab_size, config.mark_token_id, row, variable)
        lengths.add(len(between))
        told = plain.choices(prefix, chosen)
        logp = float(sum(one[token] for one, token in zip(told, chosen)))
        entropy = float(-sum((one.exp() * one).sum() for one in told))
        assert float(thoughts.logp[0, row]) == pytest.approx(logp, abs=1e-12)
        assert float(thoughts.entropy[0, row]) == pytest.approx(entropy, abs=1e-12)
        assert float(like[row]) == pytest.approx(float(plain.after(prefix, between)[target]), abs=1e-12)
        assert float(null[place]) == pytest.approx(float(plain.after(prefix, [])[target]), abs=1e-12)
        other = [*between[:-1], (between[-1] + 1) % 6] if between else [0]
        assert float(like[row]) != pytest.approx(float(plain.after(prefix, other)[target]), abs=1e-9)
    assert len(lengths) > 1 if variable else lengths == {3}


@pytest.mark.parametrize("variable", [False, True], ids=["fixed", "variable"])
@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
@torch.no_grad()
def test_a_reasoner_that_forgets_chooses_from_its_first_state(variable, forgets):
    """The mistake of an early experiment is a setting, and not what is computed otherwise."""
    thinker = small()
    method = Quiet(length=4, samples=1, variable=variable, forgets=forgets, words_only=False, objective=QUIET)
    ids, thoughts, *_ = computed(thinker, method, lesson(thinker, rows=2, length=4))
    plain, config = Plain(thinker.model), thinker.model.config
    found = []
    for row in range(thoughts.read.shape[1]):
        column, text = divmod(row, 2)
        prefix = ids[text, : column + 1].tolist()
        chosen, _ = written(thoughts, config.vocab_size, config.mark_token_id, row, variable)
        logp = sum(told[token] for told, token in zip(plain.choices(prefix, chosen, forgets=True), chosen))
        found.append((float(thoughts.logp[0, row]), float(logp), len(chosen)))
    assert all((one == pytest.approx(other, abs=1e-12)) == (forgets or count < 3) for one, other, count in found)
    assert any(count >= 3 for *_, count in found)
