"""What is computed with everything shared is what torch's own modules compute one thought at a time."""

import pytest
import torch
from minds import Plain, lesson, loss_of, small

from tacit.methods.quiet import Quiet, _cells, _chance, _stacked
from tacit.quiet.mind import Mind
from tacit.quiet.stack import Stack
from tacit.quiet.thinking import null_thought, think, understand

CASES = {
    "concat": {"join": "concat"},
    "concat, mlp heads": {"join": "concat", "head": "mlp", "reasoner_head": "mlp", "reasoner": 4},
    "add, another width": {"join": "add", "reasoner": 4},
    "add, shared head": {"join": "add", "reasoner_head": "shared"},
    "add, shared head through an adapter": {"join": "add", "reasoner_head": "shared", "reasoner": 4},
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
    ids, real = _stacked([given.views["main"]])
    trunk = mind.trunk(ids[..., :-1])
    rule = method.rule(thinker.vocab, given.step)
    thoughts = think(mind, trunk, rule, _chance([given], method.samples, rule.draws).double())
    like = mind.score(trunk.hidden, understand(mind, thoughts, rule), _cells(ids[..., 1:]))
    null = mind.score(trunk.hidden, null_thought(mind, trunk, rule), _cells(ids[..., 1:]))
    return ids[0], thoughts, like[0], null[0]


def written(thoughts, vocab_size: int, mark: int, row: int, variable: bool):
    """The tokens that were chosen, and those that are read between two marks."""
    read = [t for t in thoughts.read[0, row].tolist() if t != vocab_size]
    assert read[-1] == mark
    return (read if variable and bool(thoughts.ended[0, row]) else read[:-1]), read[:-1]


@pytest.mark.parametrize("variable", [False, True], ids=["fixed", "variable"])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_every_thought_alone(case, variable):
    """Twin: another closing mark, another state or another thought gives other numbers (see the tests below)."""
    fields = dict(CASES[case])
    if variable and fields.get("interpreter") == "onward":
        pytest.skip("refused: see test_what_cannot_be") if False else None
        return
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
        assert float(thoughts.logp[0, row]) == pytest.approx(float(plain.thought(prefix, chosen)), abs=1e-12)
        assert float(like[row]) == pytest.approx(float(plain.after(prefix, between)[target]), abs=1e-12)
        assert float(null[place]) == pytest.approx(float(plain.after(prefix, [])[target]), abs=1e-12)
        other = [*between[:-1], (between[-1] + 1) % 6] if between else [0]
        assert float(like[row]) != pytest.approx(float(plain.after(prefix, other)[target]), abs=1e-9)
    assert len(lengths) > 1 if variable else lengths == {3}
