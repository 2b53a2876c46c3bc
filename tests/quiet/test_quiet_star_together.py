"""Thoughts that see each other: all that is thought behind a text, in one long row of the plain model under a mask written out
column by column, has the same numbers and gradients."""

import copy
from typing import NamedTuple
from zlib import crc32

import numpy as np
import pytest
import torch

from tacit.engine import masks
from tacit.engine.sampling import Sampling
from tacit.errors import ModelError
from tacit.layout import Layout, Segment
from tacit.methods.quiet_star import QuietStar
from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, read_text, reread, think
from tacit.quiet.texts import THOUGHTS, numbers
from tests.quiet.test_quiet_star_exact import drawn, fast, gradients, lesson, rows_of, slow_loss, summed_up, thinker_of

METHODS = {
    "plain": {},
    "read again, apart": {"reread": True, "apart": 20, "echo": 0.3},
    "several ahead": {"ahead": 3, "join": "mix", "base": 0.5},
    "against nothing": {"objective": {"baseline": "null", "gate": True}, "reread": True},
}


class Column(NamedTuple):
    """A column of the long row; `place` is -1 for the text itself, whose columns are numbered by `step`."""

    place: int
    sample: int
    step: int
    token: int
    position: int

    def sees(self, other: "Column") -> bool:
        if self.place < 0:
            return other.place < 0 and other.step <= self.step
        if other.place < 0:
            return other.step <= self.place
        if (other.place, other.sample) == (self.place, self.sample):
            return other.step <= self.step
        return other.sample == self.sample and other.place < self.place and other.step <= self.step

    def order(self) -> int:
        """Windows count tokens: thoughts follow their place."""
        return self.step if self.place < 0 else self.place + 1 + self.step


def long_row(thinker, method: QuietStar, ids: list[int], thoughts: list[list[list[int]]]):
    """What `one_thought` says of each of the thoughts (place, sample, token) behind a text, read in one go."""
    vocab, R = thinker.vocab, len(thoughts[0][0])
    row = [Column(-1, 0, i, token, i) for i, token in enumerate(ids)]
    apart = method.apart or 0
    for i, samples in enumerate(thoughts):
        for s, tokens in enumerate(samples):
            read = [vocab.open, *tokens, vocab.close]
            positions = [i + 1 + apart + t for t in range(R + 2)]
            if method.reread:
                read += ids[i : i + method.ahead]
                positions += [i + k for k in range(method.ahead)]
            else:
                read += ids[i + 1 : i + method.ahead]
                positions += [i + R + 3 + k for k in range(method.ahead - 1)]
            row += [Column(i, s, t, *pair) for t, pair in enumerate(zip(read, positions))]
    window = thinker.door.window
    mask = [[c.sees(k) and (window is None or c.order() - k.order() < window) for k in row] for c in row]
    states = thinker.door.body(
        inputs_embeds=thinker.door.embed(torch.tensor([[c.token for c in row]])),
        position_ids=torch.tensor([[c.position for c in row]]),
        attention_mask=torch.tensor(mask)[None, None],
        use_cache=False,
    ).last_hidden_state[0]
    found = []
    for i, samples in enumerate(thoughts):
        for s, tokens in enumerate(samples):
            mine = states[[n for n, c in enumerate(row) if (c.place, c.sample) == (i, s)]]
            found.append(told(thinker, method, ids, i, tokens, states, mine))
    return found


def told(thinker, method: QuietStar, ids, i: int, tokens, states, mine):
    R = len(tokens)
    logits = thinker.door.head(mine[:R]).index_fill(-1, thinker.aside.banned(thinker.vocab), float("-inf"))
    chosen = (logits / method.choice_temperature).log_softmax(-1)
    logp = sum((chosen[n, token] for n, token in enumerate(tokens)), torch.zeros(()).double())
    ahead = mine[-method.ahead :]
    if method.join == "mix":
        weight = thinker.aside.mixer(states[i : i + method.ahead], ahead)
        ahead = (1 - weight) * states[i : i + method.ahead] + weight * ahead
    truth = torch.tensor(ids[i + 1 : i + 1 + method.ahead])
    like = thinker.door.head(ahead).log_softmax(-1).gather(1, truth[:, None]).sum()
    return logp, like, -thinker.door.head(mine[R + 1]).log_softmax(-1)[ids[i]]


def slow(thinker, method: QuietStar, given) -> torch.Tensor:
    tokens = drawn(thinker, method, given).tokens
    found, nulls = [], []
    for b, ids in enumerate(rows_of(given)):
        places = len(ids) - method.ahead
        found += long_row(thinker, method, ids, tokens[b, :places].tolist())
        nulls += [like for _, like, _ in long_row(thinker, method, ids, [[[]]] * places)]
    return summed_up(thinker, method, given, found, nulls)


def check(family: str, settings: dict) -> None:
    method = QuietStar(**{"samples": 2, "length": 3, "together": True} | settings)
    thinker = thinker_of(family, method)
    given = lesson(thinker, method)
    ours, theirs = fast(thinker, method, given), slow(thinker, method, given)
    assert float((ours - theirs).detach().abs()) < 1e-10
    mine, naive = gradients(thinker, ours), gradients(thinker, theirs)
    worst = max(float((mine[name] - naive[name]).abs().max()) for name in mine)
    # Llama and its relatives take roots in float32.
    assert worst < (1e-10 if family == "gpt2" else 1e-6), worst


@pytest.mark.parametrize("name", METHODS)
def test_as_in_one_long_row(name):
    check("gpt2", METHODS[name])


@pytest.mark.parametrize("family", ["llama", "mistral"])
def test_in_other_families_too(family):
    check(family, METHODS["read again, apart"])


LARGER = {
    "other samples too": lambda group, step: (torch.zeros_like(group), step),
    "nobody": lambda group, step: (torch.arange(len(group)), step),
    "all steps": lambda group, step: (group, torch.zeros_like(step)),
}


@pytest.mark.parametrize("name", LARGER)
def test_another_mask_is_seen(name, monkeypatch):
    """The twins: who sees whom is changed, and the loss with it."""
    real = masks.branched

    def wrong(trunk, at, cell, step, keep, width, group, window):
        group, step = LARGER[name](group, step)
        return real(trunk, at, cell, step, keep, width, group, window)

    method = QuietStar(samples=2, length=3, reread=True, together=True, again=True)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    tokens = drawn(thinker, method, given)
    monkeypatch.setattr(masks, "branched", wrong)
    text = read_text(thinker, given.views["main"].ids)
    at = torch.arange(text.hidden.shape[1]).expand(2, -1)
    again = reread(
        thinker,
        text,
        at,
        tokens.tokens,
        Route.of(method, method.ahead),
        Drawing(banned=thinker.aside.banned(thinker.vocab)),
    )
    assert float((again.states - tokens.states).detach().abs().max()) > 1e-3


def test_thoughts_apart_are_another_loss():
    """The twin of the oracle: one thought at a time is not what thoughts are that see each other."""
    method = QuietStar(samples=2, length=3, together=True)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    assert float((fast(thinker, method, given) - slow_loss(thinker, method, given)).detach().abs()) > 1e-6


def test_the_first_place_has_nobody_to_see():
    """Behind the first token a thought is what it is alone; behind the second it is not."""
    method = QuietStar(samples=2, length=3, together=True)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    seen = drawn(thinker, method, given)
    text = read_text(thinker, given.views["main"].ids)
    at = torch.arange(text.hidden.shape[1]).expand(2, -1)
    private = Route.of(method, method.ahead)._replace(together=False)
    apart = reread(thinker, text, at, seen.tokens, private, Drawing(banned=thinker.aside.banned(thinker.vocab)))
    gap = (apart.states - seen.states).detach().abs().amax((0, 2, 3, 4))
    assert float(gap[0]) < 1e-12 and float(gap[1]) > 1e-4


@pytest.mark.parametrize("places", [None, 3])
def test_drawing_together_is_teacher_forcing(places):
    method = QuietStar(samples=3, length=4, ahead=2, reread=True, together=True)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    text = read_text(thinker, given.views["main"].ids, 2)
    at = torch.arange(text.hidden.shape[1]).expand(2, -1)
    chance = numbers(given, THOUGHTS, 3, 4)
    if places:
        at = torch.tensor([[0, 2, 2], [1, 1, 3]])  # the same place twice: neither sees the other
        chance = chance.gather(1, at[..., None, None].expand(-1, -1, 3, 4))
    drawing = Drawing(chance, thinker.aside.banned(thinker.vocab))
    once = think(thinker, text, at, 3, Route.of(method, method.ahead), drawing)
    twice = reread(thinker, text, at, once.tokens, Route.of(method, method.ahead), drawing)
    for name in ("logp", "entropy", "states", "closed"):
        assert float((getattr(once, name) - getattr(twice, name)).detach().abs().max()) < 1e-10
    stale = reread(thinker, text, at, once.tokens.roll(1, 0), Route.of(method, method.ahead), drawing)
    assert float((once.logp - stale.logp).detach().abs().max()) > 1e-4  # the twin


def test_a_recurrent_model_is_refused():
    method = QuietStar(samples=2, length=2, together=True)
    thinker = thinker_of("gru", method)
    given = lesson(thinker, method)
    with pytest.raises(ModelError, match=r"set method\.together: false"):
        method.loss(thinker, given, given.counts())


@pytest.mark.parametrize("mixture", [1, 2])
def test_scored_as_in_one_long_row(mixture):
    """What is predicted of some tokens of a row, behind thoughts at all places before them; the batch does not matter."""
    method = QuietStar(samples=2, length=3, reread=True, together=True, mixture=mixture)
    thinker = thinker_of("gpt2", method).eval()
    rows = [
        Layout(Segment("question", ids[:3]), Segment("answer", ids[3:], 1.0))
        for ids in ([0, 1, 2, 3, 4, 5], [5, 3, 1, 0])
    ]
    found = list(method.predict(thinker, rows, 2))
    apart = QuietStar(samples=2, length=3, reread=True, mixture=mixture)
    for row, told in zip(rows, found):
        ids = row.ids
        chance = [np.random.default_rng(crc32(np.asarray(ids[: i + 1]).tobytes())) for i in range(len(ids))]
        drawn_by = torch.from_numpy(np.stack([one.random(3 * mixture, dtype=np.float32) for one in chance]))[None]
        text = read_text(thinker, torch.tensor([ids]))
        at = torch.arange(len(ids) - 1)[None]
        drawing = Drawing(drawn_by[:, :-1].unflatten(-1, (mixture, 3)), thinker.aside.banned(thinker.vocab))
        tokens = think(thinker, text, at, mixture, Route.of(method), drawing).tokens
        likely = [like for _, like, _ in long_row(thinker, method, ids, tokens[0].tolist())]
        likely = torch.stack(likely).view(-1, mixture).logsumexp(1)[2:] - np.log(mixture)
        ours = told.gather(1, torch.tensor(ids[3:])[:, None])[:, 0]
        assert float((ours - likely).detach().abs().max()) < 1e-10
        [alone] = method.predict(thinker, [row], 1)
        assert float((alone - told).abs().max()) < 1e-12
        [private] = QuietStar.predict(apart, _speaking_apart(thinker), [row], 1)
        assert float((private - told).abs().max()) > 1e-4  # the twin
    with pytest.raises(ModelError, match=r"train with method\.together: false to write"):
        thinker.complete([Layout(Segment("question", [0, 1]))], Sampling(max_tokens=1))


def _speaking_apart(thinker):
    other = copy.deepcopy(thinker)
    other.aside.speech = other.aside.speech.model_copy(update={"together": False})
    return other
