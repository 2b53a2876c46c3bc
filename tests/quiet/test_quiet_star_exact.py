"""Thoughts at all places at once are what one thought at a time would be, each read alone behind its own beginning of the text:
in values, in the loss and in all gradients."""

from typing import Any

import numpy as np
import pytest
import torch

from tacit.methods.base import Lesson, Method
from tacit.methods.quiet_star import QuietStar
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.quiet.goal import Objective
from tacit.quiet.lm import learning
from tacit.quiet.lm.places import every, likely, some
from tacit.quiet.lm.route import Route
from tacit.quiet.lm.walk import Drawing, read_text, reread, think
from tacit.quiet.objective import Values, losses
from tacit.quiet.texts import THOUGHTS, numbers, texts
from tacit.recipe.schema import Model
from tacit.thinking import Cast

LETTERS = "abcdef"
FAMILIES = {
    "gpt2": {},
    "llama": {"kv_heads": 2},
    "qwen2": {},
    "mistral": {"window": 4},
    "gru": {"heads": 4},
}
METHODS = {
    "plain": {},
    "read again, apart": {"reread": True, "apart": 20, "echo": 0.3},
    "read again one further": {"reread": True, "reread_step": 1},
    "apart, two ahead": {"apart": 20, "ahead": 2},
    "one mark": {"one_mark": True, "reread": True},
    "several ahead": {"ahead": 3, "reread": True, "join": "add"},
    "original": {
        "ahead": 3,
        "join": "mix",
        "base": 0.5,
        "choice_temperature": 3.0,
        "marks_scale": 100.0,
        "objective": {"baseline": "mean", "only_positive": True, "policy": 5.0, "nll": 0.5},
    },
    "against nothing": {"objective": {"baseline": "null", "gate": True}, "reread": True},
    "two copies": {"cast": {"reasoner": "copy", "interpreter": "copy"}, "join": "add", "base": 0.3},
    "two adapters": {"cast": {"reasoner": "adapter", "interpreter": "adapter", "rank": 2}, "join": "mix"},
    "one that thinks and reads": {"cast": {"reasoner": "copy", "interpreter": "reasoner"}, "join": "mix"},
    "fixed": {
        "cast": {"base": "fixed", "reasoner": "adapter", "interpreter": "reasoner"},
        "marks_scale": 1.0,
        "objective": {"baseline": "null"},
    },
    "empty": {"length": 0, "reread": True, "samples": 1, "objective": {"policy": 0.0, "baseline": "null"}},
}


def thinker_of(family: str, method: Method, letters: str = LETTERS, **more):
    shape = {"family": family, "layers": 2, "hidden": 16, "positions": 64} | FAMILIES[family] | more
    if family == "gru":
        shape = {"family": "gru", "layers": 1, "hidden": 16}
    made = make_thinker(Model(tiny=Scratch(**shape)), method.thinking(), texts=[letters], seed=0).double()
    if made.aside.mixer is not None:  # it begins at zero, where it would hide everything
        torch.nn.init.normal_(made.aside.mixer.last.weight, generator=torch.Generator().manual_seed(1))
    for p in made.aside.roles.parameters():  # so that no role is what it was made from
        if p.requires_grad:
            torch.nn.init.normal_(p, std=0.1, generator=torch.Generator().manual_seed(2))
    return made.train()


def lesson(thinker, method: Any, lengths=(7, 5), seed: int = 0) -> Lesson:
    rng = np.random.default_rng(seed)
    view = texts([rng.integers(0, 6, n).tolist() for n in lengths], thinker.vocab.pad, method.ahead)
    return Lesson({"main": view}, len(lengths), picks=[(0, n) for n in range(len(lengths))], step=2, steps=10)


def alone(thinker, ids: list[int], positions: list[int], vectors: dict[int, torch.Tensor], role="base") -> torch.Tensor:
    """The model's own states of one row, with nothing shared; `vectors` replace embeddings."""
    door = thinker.aside.door(role, thinker.door)
    embeds = door.embed(torch.tensor([ids]))
    for column, vector in vectors.items():
        embeds = torch.cat([embeds[:, :column], vector.view(1, 1, -1), embeds[:, column + 1 :]], 1)
    if door.recurrent:
        return door.body(inputs_embeds=embeds).last_hidden_state[0]
    return door.body(
        inputs_embeds=embeds,
        position_ids=torch.tensor([positions]),
        attention_mask=torch.ones(1, 1, len(ids), len(ids), dtype=torch.bool).tril()
        & near(len(ids), thinker.door.window),
        use_cache=False,
    ).last_hidden_state[0]


def near(count: int, window: int | None) -> torch.Tensor:
    at = torch.arange(count)
    return torch.ones(count, count, dtype=torch.bool) if window is None else at[:, None] - at < window


def one_thought(thinker, method: QuietStar, ids: list[int], i: int, tokens: list[int], shift: int = 0):
    """Log-probability of the tokens and of what comes next, and the loss of an echo: behind token i, alone."""
    vocab, aside, R = thinker.vocab, thinker.aside, len(tokens)
    close = vocab.open if method.one_mark else vocab.close
    column = [*ids[: i + 1], vocab.open, *tokens, close]
    apart = method.apart or 0
    positions = [*range(i + 1), *(i + 1 + apart + t + shift for t in range(R + 2))]
    marks = {}
    if aside.scale is not None:
        marks = {i + 1: aside.marks[0] * aside.scale, i + R + 2: aside.marks[1] * aside.scale}
    if method.reread:
        column += ids[i : i + method.ahead]
        positions += [i + method.reread_step + k for k in range(method.ahead)]
    else:
        column += ids[i + 1 : i + method.ahead]
        first = i + 1 if method.apart else i + R + 3
        positions += range(first, first + method.ahead - 1)
    thinking, states = (alone(thinker, column, positions, marks, role) for role in ("reasoner", "interpreter"))
    heads = thinker.door.head(thinking[i + 1 : i + 1 + R])
    banned = thinker.aside.banned(thinker.vocab)
    told = heads.index_fill(-1, banned, float("-inf")) / method.choice_temperature
    told = told.log_softmax(-1)
    logp = sum((told[n, token] for n, token in enumerate(tokens)), torch.zeros(()).double())
    ahead = states[-method.ahead :]
    if method.join != "after":
        base = alone(thinker, ids[: i + method.ahead], list(range(i + method.ahead)), {})[i:]
        if method.join == "add":
            ahead = ahead + base
        else:
            weight = aside.mixer(base, ahead)
            ahead = (1 - weight) * base + weight * ahead
    truth = torch.tensor(ids[i + 1 : i + 1 + method.ahead])
    like = thinker.door.head(ahead).log_softmax(-1).gather(1, truth[:, None]).sum()
    echo = -thinker.door.head(states[i + R + 2]).log_softmax(-1)[ids[i]]
    return logp, like, echo


def slow_loss(thinker, method: QuietStar, given: Lesson, shift: int = 0) -> torch.Tensor:
    """The whole loss, one thought at a time, of the thoughts that the fast way has drawn."""
    tokens = drawn(thinker, method, given).tokens
    found, nulls = [], []
    for b, ids in enumerate(rows_of(given)):
        for i in range(len(ids) - method.ahead):
            thoughts = tokens[b, i].tolist()
            found += [one_thought(thinker, method, ids, i, thought, shift) for thought in thoughts]
            nulls.append(one_thought(thinker, method, ids, i, [])[1])
    return summed_up(thinker, method, given, found, nulls)


def rows_of(given: Lesson) -> list[list[int]]:
    view = given.views["main"]
    return [ids[: int(keep.sum())].tolist() for ids, keep in zip(view.ids, view.keep)]


def summed_up(thinker, method: QuietStar, given: Lesson, found: list, nulls: list) -> torch.Tensor:
    """The loss, given what `one_thought` finds of every thought, and the likelihood behind the empty thought of every place."""
    plain, read = torch.zeros(()).double(), 0
    for ids in rows_of(given):
        states = alone(thinker, ids, list(range(len(ids))), {})
        plain = plain + torch.nn.functional.cross_entropy(
            thinker.door.head(states[:-1]), torch.tensor(ids[1:]), reduction="sum"
        )
        read += len(ids) - 1
    logp, like, echo = (torch.stack(part).view(1, -1, method.samples) for part in zip(*found))
    chosen = torch.full(like.shape, method.length)
    values = Values(like, logp, chosen, chosen < 0, torch.ones(1, like.shape[1]).double(), torch.stack(nulls)[None])
    goal = method.objective
    parts = losses(goal, values, False, given.step / given.steps)
    count = given.counts()
    total = goal.nll * parts["nll"][0] / method.ahead + method.echo * echo.mean(-1).sum()
    total = total + goal.policy * parts.get("policy", torch.zeros(1))[0]
    return total / count["main"] + method.base * plain / count["read"]


def drawn(thinker, method: QuietStar, given: Lesson):
    view = given.views["main"]
    with torch.no_grad():
        text = read_text(thinker, view.ids, method.ahead, "reasoner")
        at = torch.arange(text.hidden.shape[1]).expand(len(view.ids), -1)
        chance = numbers(given, THOUGHTS, method.samples, max(1, method.length))
        return think(
            thinker,
            text,
            at,
            method.samples,
            Route.of(method, method.ahead),
            Drawing(chance, thinker.aside.banned(thinker.vocab)),
        )


def gradients(thinker, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    named = {name: p for name, p in thinker.named_parameters() if p.requires_grad}
    found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
    return {name: torch.zeros_like(p) if g is None else g for (name, p), g in zip(named.items(), found)}


def fast(thinker, method: QuietStar, given: Lesson) -> torch.Tensor:
    return method.loss(thinker, given, given.counts()).total


def check(family: str, settings: dict) -> None:
    method = QuietStar(**{"samples": 2, "length": 3} | settings)
    thinker = thinker_of(family, method)
    given = lesson(thinker, method)
    ours, theirs = fast(thinker, method, given), slow_loss(thinker, method, given)
    assert float((ours - theirs).detach().abs()) < 1e-10
    mine, naive = gradients(thinker, ours), gradients(thinker, theirs)
    worst = max(float((mine[name] - naive[name]).abs().max()) for name in mine)
    # Llama and its relatives take roots in float32.
    assert worst < (1e-10 if family in ("gpt2", "gru") else 1e-6), worst


@pytest.mark.parametrize("name", METHODS)
def test_as_one_thought_at_a_time(name):
    check("gpt2", METHODS[name])


@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "gpt2"])
def test_in_other_families(family):
    check(family, METHODS["read again, apart"])


PAIRS = [(f, n) for f in FAMILIES for n in METHODS if f != "gpt2" and not (f == "gru" and "cast" in METHODS[n])]
"""A recurrent model has no roles of its own."""


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), PAIRS)
def test_every_method_in_every_family(family, name):
    check(family, METHODS[name])


def test_a_role_of_its_own_is_seen(monkeypatch):
    """The twin: the base model in the place of who thinks."""
    method = QuietStar(samples=2, length=2, join="add", cast={"reasoner": "copy", "interpreter": "copy"})
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    right = slow_loss(thinker, method, given)
    monkeypatch.setattr(Cast, "player", lambda self, role: "base")
    assert float((fast(thinker, method, given) - right).detach().abs()) > 1e-6


def test_other_positions_are_seen():
    """The twin: one position off in the thoughts changes the loss."""
    method = QuietStar(samples=2, length=3, reread=True, apart=20)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    assert float((fast(thinker, method, given) - slow_loss(thinker, method, given, shift=1)).detach().abs()) > 1e-6


def test_other_places_are_seen(monkeypatch):
    """The twin: thoughts that stand one place further on."""
    method = QuietStar(samples=2, length=2)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    right = slow_loss(thinker, method, given)
    shifted = lambda real: every(real)._replace(at=every(real).at.roll(1, 1))  # noqa: E731
    monkeypatch.setattr(learning, "every", shifted)
    assert float((fast(thinker, method, given) - right).detach().abs()) > 1e-6


@pytest.mark.parametrize("family", ["gpt2", "llama", "gru"])
def test_drawing_is_teacher_forcing(family):
    """What was computed while drawing, and what is computed of the same tokens in one go."""
    method = QuietStar(samples=3, length=4, ahead=2, reread=True)
    thinker = thinker_of(family, method)
    given = lesson(thinker, method)
    text = read_text(thinker, given.views["main"].ids, 2)
    at = torch.arange(text.hidden.shape[1]).expand(2, -1)
    chance = numbers(given, THOUGHTS, 3, 4)
    once = think(
        thinker, text, at, 3, Route.of(method, method.ahead), Drawing(chance, thinker.aside.banned(thinker.vocab))
    )
    twice = reread(
        thinker,
        text,
        at,
        once.tokens,
        Route.of(method, method.ahead),
        Drawing(chance, thinker.aside.banned(thinker.vocab)),
    )
    for name in ("logp", "entropy", "states", "closed"):
        assert float((getattr(once, name) - getattr(twice, name)).detach().abs().max()) < 1e-6
    assert not torch.equal(once.tokens[:, :, 0], once.tokens[:, :, 1])
    stale = reread(
        thinker,
        text,
        at,
        once.tokens.roll(1, 1),
        Route.of(method, method.ahead),
        Drawing(chance, thinker.aside.banned(thinker.vocab)),
    )
    assert float((once.logp - stale.logp).detach().abs().max()) > 1e-4  # the twin


def test_read_again_in_one_go_is_the_same_step():
    settings = {"samples": 2, "length": 3, "reread": True, "apart": 20}
    method = QuietStar(**settings)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    once = gradients(thinker, fast(thinker, method, given))
    twice = gradients(thinker, fast(thinker, QuietStar(**settings, again=True), given))
    assert max(float((once[name] - twice[name]).abs().max()) for name in once) < 1e-12


@pytest.mark.parametrize("by", ["even", "entropy"])
def test_some_places_stand_for_all(by):
    """In the mean over many choices, sums over some places are sums over all: within four standard errors."""
    rng = torch.Generator().manual_seed(0)
    real = torch.tensor([[1.0] * 9 + [0.0] * 3, [1.0] * 4 + [0.0] * 8]).double()
    worth = torch.rand(2, 12, generator=rng).double()
    entropy = torch.rand(2, 12, generator=rng).double() * 3
    sums = []
    for _ in range(4000):
        chance = torch.rand(2, 12, generator=rng)
        chosen = some(real, 5, chance) if by == "even" else likely(real, entropy, 5, chance)
        sums.append((worth.gather(1, chosen.at) * chosen.weight).sum(1))
    found = torch.stack(sums)
    truth, error = (worth * real).sum(1), found.std(0) / len(found) ** 0.5
    assert bool(((found.mean(0) - truth).abs() <= 4 * error + 1e-9).all())
    unweighed = torch.stack([worth.gather(1, chosen.at).sum(1)])
    assert float((unweighed - truth).abs().max()) > 0.5  # the twin: without weights


def test_positions_are_those_of_the_published_formula():
    route = Route(length=3, ahead=2, reread=True, reread_step=0, apart=129)
    assert route.thought == [130, 131, 132, 133, 134]  # t = 1 … R + 2, at i + t + S
    assert route.behind == [0, 1]
    assert Route(3, reread=True, reread_step=1, apart=129).behind == [1]
    assert Route(3, ahead=3, apart=129).behind == [1, 2]
    original = Route(length=9, ahead=4)  # every pass adds one to all positions
    assert [*original.thought, *original.behind] == list(range(1, 15))


def test_what_is_banned_is_never_thought():
    method = QuietStar(samples=8, length=4)
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    banned = set(thinker.aside.banned(thinker.vocab).tolist())
    assert banned.isdisjoint(drawn(thinker, method, given).tokens.flatten().tolist())
    free = QuietStar(samples=8, length=4, words_only=False)
    assert not banned.isdisjoint(drawn(thinker_of("gpt2", free), free, given).tokens.flatten().tolist())


def test_nothing_is_learned_of_thinking_with_weight_zero():
    """The control: with policy 0 the loss does not depend on how likely thoughts were."""
    method = QuietStar(samples=2, length=2, join="add", objective=Objective(policy=0.0))
    thinker = thinker_of("gpt2", method)
    given = lesson(thinker, method)
    parts = method.loss(thinker, given, given.counts()).parts
    assert "policy" not in parts
    taught = QuietStar(samples=2, length=2, join="add")
    assert "policy" in taught.loss(thinker, given, given.counts()).parts
