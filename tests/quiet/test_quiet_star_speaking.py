"""What is written or scored behind thoughts is what one plain read at a time would give: each token of a thought drawn alone,
each distribution read off alone."""

import math
from zlib import crc32

import numpy as np
import pytest
import torch

from tacit.engine.sampling import Sampling, uniforms
from tacit.errors import DataError
from tacit.evaluate.account import account
from tacit.evaluate.flops import work
from tacit.layout import Layout, Segment
from tacit.methods.base import Method
from tacit.methods.plain import Plain
from tacit.methods.quiet_star import QuietStar
from tests.quiet.test_quiet_star_exact import FAMILIES, alone, thinker_of

METHODS = {
    "plain": {"length": 2},
    "mixture": {"length": 3, "mixture": 3, "reread": True, "apart": 20},
    "mix": {"length": 1, "join": "mix", "marks_scale": 10.0},
    "empty": {"length": 0, "samples": 1, "objective": {"policy": 0.0, "baseline": "null"}},
    "roles": {"length": 2, "join": "add", "cast": {"reasoner": "adapter", "interpreter": "copy", "rank": 2}},
}


def method_of(name: str) -> QuietStar:
    return QuietStar(**{"samples": 2} | METHODS[name])


def after(thinker, method: QuietStar, ids: list[int], chance: list[float]) -> torch.Tensor:
    """(V,) log-probabilities of what follows `ids`, behind thoughts that are drawn token by token with plain reads."""
    vocab, aside, i = thinker.vocab, thinker.aside, len(ids) - 1
    found = []
    for sample in range(method.mixture):
        draws = chance[sample * method.length : (sample + 1) * method.length]
        tokens: list[int] = []
        for number in draws:
            states = alone(thinker, *written(thinker, method, ids, tokens), "reasoner")
            logits = thinker.door.head(states[-1]).index_fill(-1, aside.banned(vocab), float("-inf"))
            below = logits.softmax(-1).cumsum(-1)
            tokens.append(int((below <= number * below[-1]).sum()))
        column, positions, marks = written(thinker, method, ids, tokens)
        close = vocab.open if method.one_mark else vocab.close
        if aside.scale is not None:
            marks[len(column)] = aside.marks[1] * aside.scale
        column, positions = [*column, close], [*positions, positions[-1] + 1]
        if method.reread:
            column, positions = [*column, ids[-1]], [*positions, i + method.reread_step]
        state = alone(thinker, column, positions, marks, "interpreter")[-1]
        base = alone(thinker, ids, list(range(len(ids))), {})[-1]
        if method.join == "add":
            state = state + base
        elif method.join == "mix":
            weight = aside.mixer(base, state)
            state = (1 - weight) * base + weight * state
        found.append(thinker.door.head(state).log_softmax(-1))
    return torch.stack(found).logsumexp(0) - math.log(len(found))


def written(thinker, method: QuietStar, ids: list[int], tokens: list[int]):
    """The text, the opening mark and what was drawn so far, with positions and marks that have vectors of their own."""
    start = len(ids) + (method.apart or 0)
    marks = {len(ids): thinker.aside.marks[0] * thinker.aside.scale} if thinker.aside.scale is not None else {}
    column = [*ids, thinker.vocab.open, *tokens]
    return column, [*range(len(ids)), *range(start, start + 1 + len(tokens))], marks


ROWS = [
    Layout(Segment("question", [0, 1, 2]), Segment("answer", [3, 4], 1.0)),
    Layout(Segment("question", [5]), Segment("answer", [1, 0, 2, 4], 1.0)),
    Layout(Segment("question", [2, 2])),
]


@pytest.mark.parametrize("name", METHODS)
@torch.no_grad()
def test_predictions_are_those_of_plain_reads(name):
    method = method_of(name)
    thinker = thinker_of("gpt2", method).eval()
    given = list(method.predict(thinker, ROWS, 2))
    for row, told in zip(ROWS, given):
        places = [at - 1 for at, label in enumerate(row.labels) if label >= 0]
        assert len(told) == len(places)
        for place, line in zip(places, told):
            seed = crc32(np.asarray(row.ids[: place + 1], dtype=np.int64).tobytes())
            chance = np.random.default_rng(seed).random(method.mixture * method.length, dtype=np.float32)
            truth = after(thinker, method, row.ids[: place + 1], chance.tolist())
            assert float((line - truth).abs().max()) < 1e-9
            assert float(line.exp().sum()) == pytest.approx(1.0)


@torch.no_grad()
def test_predictions_do_not_depend_on_the_batch_and_are_not_the_plain_models():
    method = method_of("mixture")
    thinker = thinker_of("gpt2", method).eval()
    whole, single = (list(method.predict(thinker, ROWS, batch)) for batch in (7, 1))
    assert all(torch.allclose(a, b, atol=1e-12) for a, b in zip(whole, single))
    plain = list(Plain().predict(thinker, ROWS, 7))
    assert float((plain[0] - whole[0]).abs().max()) > 1e-3
    assert QuietStar.predict is not Method.predict


PAIRS = [(family, name) for family in FAMILIES for name in METHODS if (family, name) != ("gru", "roles")]


@pytest.mark.parametrize(("family", "name"), PAIRS)
@torch.no_grad()
def test_writing_thinks_before_every_token(family, name):
    method = method_of(name)
    thinker = thinker_of(family, method).eval()
    prompts = [Layout(Segment("question", ids)) for ids in ([0, 1, 2], [5], [2, 2, 3, 1])]
    rule = Sampling(max_tokens=3, temperature=1.0, seed=4)
    done = thinker.complete(prompts, rule)
    for number, one in enumerate(done):
        chance, ids = uniforms(4, number), list(prompts[number].ids)
        for token, logprob in zip(one.ids, one.logprobs):
            draws = [next(chance) for _ in range(method.mixture * method.length)]
            marks = torch.tensor(sorted(thinker.vocab.unwritten))
            told = after(thinker, method, ids, draws).index_fill(0, marks, float("-inf")).log_softmax(-1)
            below = told.exp().cumsum(-1)
            assert token == int((below <= next(chance) * below[-1]).sum())
            assert logprob == pytest.approx(float(told[token]), abs=1e-6)
            ids.append(token)
    again = thinker.complete(prompts, rule, slots=1)
    assert [one.ids for one in again] == [one.ids for one in done]


def test_thoughts_are_told_and_counted():
    method = method_of("mixture")
    thinker = thinker_of("gpt2", method)
    [done] = thinker.complete([Layout(Segment("question", [0, 1, 2]))], Sampling(max_tokens=4))
    told = account(done, (), thinker.vocab)
    assert told.thought_tokens == 3 * 3 * len(done.ids) and told.answer_tokens == len(done.ids)
    found = work(done, thinker.vocab)
    n = len(done.ids)
    texts = sum(3 + k for k in range(n))  # columns of the text that each token's thoughts see
    assert found.columns == 3 + n - 1 + 3 * n * 6  # two marks, three tokens, one read again
    assert found.pairs == 9 + sum(4 + k for k in range(n - 1)) + 3 * (6 * texts + n * 21)
    assert found.heads == 3 * n * 4  # three choices and a prediction behind each of three thoughts
    done.before = None
    assert account(done, (), thinker.vocab).thought_tokens == 0  # the twin


def test_prompts_leave_room_for_thoughts():
    thinker = thinker_of("gpt2", QuietStar(samples=2, length=40))
    with pytest.raises(DataError, match="42 of them for the thought before a token"):
        thinker.complete([Layout(Segment("question", [0] * 23))], Sampling(max_tokens=4))
    [done] = thinker.complete([Layout(Segment("question", [0] * 18))], Sampling(max_tokens=40))
    assert done.stopped == "length" and len(done.ids) < 6
