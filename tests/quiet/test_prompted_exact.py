"""Thoughts behind a prompt are what the model alone makes of one row after the other: in values, in choices, in the loss and in
its gradients."""

import pytest
import torch

from tacit.methods.prompted import Prompted
from tacit.quiet.lm.walk import read_text
from tacit.quiet.objective import Values, losses
from tacit.quiet.prompted import thinking
from tacit.quiet.prompted.learning import act
from tacit.quiet.prompted.prompts import in_ids
from tacit.quiet.prompted.thinking import Thought, banned, nothing, readers, understand
from tests.quiet.test_quiet_star_exact import LETTERS, gradients, lesson, near, thinker_of

PREFACE = """
about: for tests
explanation: abcaf
examples:
  - {before: ab, thought: cde, after: f}
  - {before: fe, after: a}
null_thought: ff
"""
CASTS = {
    "one network": {},
    "two adapters": {"reasoner": "adapter", "interpreter": "adapter", "rank": 2},
    "a copy that thinks": {"reasoner": "copy"},
}


@pytest.fixture(scope="module")
def preface(tmp_path_factory):
    file = tmp_path_factory.mktemp("prefaces") / "small.yaml"
    file.write_text(PREFACE, encoding="utf-8")
    return str(file)


def method_of(preface, **more) -> Prompted:
    return Prompted(
        **{"preface": preface, "annotations": 2, "longest": 4, "samples": 2, "places": 4, "place_by": "even"} | more
    )


def made(preface, family="gpt2", **more):
    method = method_of(preface, **more)
    return method, thinker_of(family, method, LETTERS + "\n", positions=128)


def drawn(method, thinker, given, samples=2):
    words = in_ids(method.preface, method.chat, thinker)
    return words, act(method, thinker, words, given, samples, always=True)


def alone(thinker, ids: list[int], role: str) -> torch.Tensor:
    """The model's own states of one row."""
    door = thinker.aside.door(role, thinker.door)
    if door.recurrent:
        return door.body(inputs_embeds=door.embed(torch.tensor([ids]))).last_hidden_state[0]
    mask = torch.ones(1, 1, len(ids), len(ids), dtype=torch.bool).tril() & near(len(ids), door.window)
    return door.body(
        inputs_embeds=door.embed(torch.tensor([ids])), attention_mask=mask, use_cache=False
    ).last_hidden_state[0]


def one_thought(thinker, prompt, ids, i, thought: Thought, ahead: int):
    """Log-probability of what comes next and of the thought behind token i: a plain row, read by itself."""
    vocab = thinker.vocab
    row = [*prompt, *ids[: i + 1], vocab.open, *thought.ids, vocab.close, *ids[i + 1 : i + ahead]]
    opened = len(prompt) + i + 1
    told = thinker.door.head(alone(thinker, row, "reasoner"))
    told = told.index_fill(-1, torch.tensor(banned(thinker)), float("-inf")).log_softmax(-1)
    said = [*thought.ids, *([vocab.close] if thought.ended else [])]
    logp = sum((told[opened + n, token] for n, token in enumerate(said)), torch.zeros(()).double())
    predicted = thinker.door.head(alone(thinker, row, "interpreter")[-ahead:]).log_softmax(-1)
    like = predicted.gather(1, torch.tensor(ids[i + 1 : i + 1 + ahead])[:, None]).sum()
    return like, logp


def slow(thinker, words, given, acted, ahead):
    """Every thought and every null thought, one row at a time, in the shapes of the fast way."""
    rows = given.views["main"].ids.tolist()
    found = torch.zeros(*acted.think.shape, len(acted.thoughts[0][0]), 2).double()
    null = torch.zeros(acted.think.shape).double()
    for b, k in acted.think.nonzero().tolist():
        i = int(acted.places.at[b, k])
        null[b, k] = one_thought(thinker, words.prompt, rows[b], i, Thought(words.null), ahead)[0]
        for t, thought in enumerate(acted.thoughts[b][k]):
            found[b, k, t] = torch.stack(one_thought(thinker, words.prompt, rows[b], i, thought, ahead))
    return *found.unbind(-1), null


def gap(a, b, acted) -> float:
    return float((a - b)[acted.think].detach().abs().max())


@pytest.mark.parametrize("cast", CASTS)
@pytest.mark.parametrize("ahead", [1, 2])
def test_scores_are_those_of_rows_read_alone(preface, cast, ahead):
    method, thinker = made(preface, ahead=ahead, cast=CASTS[cast])
    given = lesson(thinker, method)
    words, acted = drawn(method, thinker, given)
    read = readers(thinker, words.prompt, given.views["main"].ids, ahead)
    fast = understand(thinker, read, acted.places.at, acted.thoughts, ahead)
    null = nothing(thinker, read, acted.places.at, words, ahead)
    like, logp, empty = slow(thinker, words, given, acted, ahead)
    assert max(gap(fast.like, like, acted), gap(fast.logp, logp, acted), gap(null, empty, acted)) < 1e-10
    # Twins: the thought of another place, and the null thought in place of a thought, are both seen.
    other = [row[1:] + row[:1] for row in acted.thoughts]
    assert gap(understand(thinker, read, acted.places.at, other, ahead).like, like, acted) > 1e-4
    assert gap(null[..., None].expand_as(like), like, acted) > 1e-4


@pytest.mark.parametrize("family", ["llama", "qwen2", "mistral", "gru"])
def test_in_other_families(preface, family):
    method, thinker = made(preface, family)
    given = lesson(thinker, method)
    words, acted = drawn(method, thinker, given)
    read = readers(thinker, words.prompt, given.views["main"].ids, 1)
    fast = understand(thinker, read, acted.places.at, acted.thoughts, 1)
    like, logp, _ = slow(thinker, words, given, acted, 1)
    # Llama and its relatives take roots in float32.
    assert max(gap(fast.like, like, acted), gap(fast.logp, logp, acted)) < (1e-10 if family == "gru" else 1e-5)


def test_what_was_drawn_is_as_likely_as_it_was(preface, monkeypatch):
    """Log-probabilities of the sampler, token by token, and of the one read later."""
    method, thinker = made(preface, longest=6)
    given = lesson(thinker, method)
    noted = []

    def complete(thinker, prompts, rule, **options):
        noted.extend(found := kept(thinker, prompts, rule.model_copy(update={"logprobs": True}), **options))
        return found

    kept = thinking.complete
    monkeypatch.setattr(thinking, "complete", complete)
    words, acted = drawn(method, thinker, given, samples=3)
    read = readers(thinker, words.prompt, given.views["main"].ids, 1)
    thinker.eval()
    fast = understand(thinker, read, acted.places.at, acted.thoughts, 1)
    sampled = torch.tensor([sum(one.logprobs) for one in noted]).double()
    assert float((fast.logp[acted.think].flatten() - sampled).detach().abs().max()) < 1e-6
    ended = [one.ended for row in acted.thoughts for several in row for one in several]
    assert any(ended) and not all(ended)
    assert {token for one in noted for token in one.ids}.isdisjoint(banned(thinker))
    stale = [[[one._replace(ended=not one.ended) for one in several] for several in row] for row in acted.thoughts]
    wrong = understand(thinker, read, acted.places.at, stale, 1)
    assert float((wrong.logp[acted.think].flatten() - sampled).detach().abs().max()) > 1e-3  # the twin


@pytest.mark.parametrize("cast", CASTS)
def test_the_loss_and_its_gradient(preface, cast):
    method, thinker = made(preface, cast=CASTS[cast])
    given = method.rollout(thinker, lesson(thinker, method))
    ours = method.loss(thinker, given, given.counts()).total
    theirs = slow_loss(method, thinker, given)
    assert float((ours - theirs).detach().abs()) < 1e-10
    mine, naive = gradients(thinker, ours), gradients(thinker, theirs)
    assert max(float((mine[name] - naive[name]).abs().max()) for name in mine) < 1e-10
    flat = method.model_copy(update={"objective": method.objective.model_copy(update={"policy": 0.0})})
    other = gradients(thinker, flat.loss(thinker, given, given.counts()).total)
    assert max(float((mine[name] - other[name]).abs().max()) for name in mine) > 1e-6  # the twin: nothing of thinking


def slow_loss(method, thinker, given):
    words, acted = in_ids(method.preface, method.chat, thinker), given.extra["acted"]
    like, logp, null = slow(thinker, words, given, acted, method.ahead)
    chosen = torch.ones_like(like)
    real = (acted.places.weight * acted.think).flatten()[None]
    cells = [part.flatten(0, 1)[None] for part in (like, logp, chosen, chosen > 0)]
    parts = losses(method.objective, Values(*cells, real, null.flatten()[None]), False, 0.0)
    goal = method.objective
    return (goal.nll * parts["nll"][0] + goal.policy * parts["policy"][0]) / given.counts()["main"]


def test_places_do_not_depend_on_the_prompt(preface):
    """So prompts are compared at the same places; and the base is the text alone."""
    method, thinker = made(preface, place_by="entropy")
    given = lesson(thinker, method)
    _, first = drawn(method, thinker, given)
    _, second = drawn(method.model_copy(update={"preface": None}), thinker, given)
    assert torch.equal(first.places.at, second.places.at) and torch.equal(first.base, second.base)
    states = read_text(thinker, given.views["main"].ids).hidden
    i = int(first.places.at[0, 0])
    told = thinker.door.head(states[0, i]).log_softmax(-1)[given.views["main"].ids[0, i + 1]]
    assert float((told - first.base[0, 0]).detach().abs()) < 1e-10
    assert first.thoughts != second.thoughts


def test_thoughts_depend_on_their_text_alone(preface):
    """The same thoughts, whatever else is in the batch and however many are written at the same time."""
    method, thinker = made(preface)
    both = lesson(thinker, method, lengths=(7, 7))
    _, whole = drawn(method, thinker, both)
    _, few = drawn(method.model_copy(update={"slots": 3}), thinker, both)
    assert whole.thoughts == few.thoughts
    assert whole.thoughts[0] != whole.thoughts[1]
