"""The gradient of the expected reward: by finite differences where every answer can be listed; both estimators against it; and
policies that learn what is best. With twins."""

import pytest
import torch

from tacit.batch import Batch
from tacit.engine import run
from tacit.engine.complete import Completion
from tacit.engine.shared import SharedBatch
from tacit.layout import Layout, Segment
from tacit.rl import actions as acting_on
from tacit.rl import loss as rl_loss
from tacit.rl.acting import act, answer
from tacit.rl.actions import Actions, rows_of
from tacit.rl.advantages import advantages
from tacit.rl.answers import Group
from tacit.train.optim import trainable
from tests.rl import toys

STEP = 1e-4
PLAIN = {"scale_rewards": False, "max_tokens": 1, "group": 9}
"""Expected gradients are exact only where no reward depends on what else was drawn."""
OWN = {"reward": {"correct": 0, "bad_format": 0, "shorter": 0, "longer": 0, "functions": [{"function": "toys:uneven"}]}}


# --- every answer, listed --------------------------------------------------------------------------------------------


def expected_reward(mind, method) -> torch.Tensor:
    """By adding up the probabilities of all answers of one token, each read alone."""
    vocab = mind.vocab
    prompt = answer_prompt(mind, method)
    total = torch.zeros((), dtype=torch.float64)
    for k in range(toys.MOST + 1):
        row = prompt + Layout(Segment("thought", (vocab.latent,) * k), Segment("close", (vocab.close,)))
        batch = Batch.of([row], vocab)
        hidden = run.run(mind, batch).hidden[0]
        logits = mind.logits(hidden, batch.ids[0]).log_softmax(-1)
        first = len(prompt) - 1
        reached = logits[torch.arange(first, first + k), vocab.latent].sum()
        stopped = logits[first + k, vocab.close] if k < toys.MOST else 0.0
        chances = (reached + stopped + logits[-1]).exp()
        rewards = [toys.worth(k, [token]) for token in range(mind.vocabulary)]
        total = total + (chances * torch.tensor(rewards, dtype=torch.float64)).sum()
    return total


def answer_prompt(mind, method) -> Layout:
    return method.prompt(toys.again(mind, 1).examples[0], mind.vocab)


def every_answer(mind, method, branched: bool) -> Group:
    """The group of all answers, each as large a part of it as it is likely."""
    drawn = answer(toys.method(estimator="exact", **PLAIN), mind, lesson := toys.again(mind, 1), lesson.world)[0]
    assert drawn.stops is not None
    answers, shares = [], []
    with torch.no_grad():
        for k, chance in enumerate(drawn.stops.shares()):
            thought = [mind.vocab.latent] * k + [mind.vocab.close]
            batch = Batch.of([drawn.prompt + Layout(Segment("thought", thought))], mind.vocab)
            last = run.run(mind, batch).hidden[0, -1:]
            words = mind.logits(last, batch.ids[0, -1:]).log_softmax(-1)[0]
            before = [*drawn.stops.go[:k], *(drawn.stops.stop[k : k + 1] or [0.0])]
            for token, likely in enumerate(words.tolist()):
                if likely > float("-inf"):
                    done = Completion(drawn.prompt, [*thought, token], [*before, likely], latents=k)
                    answers.append(done)
                    shares.append(chance * float(words[token].exp()))
    return Group(drawn.prompt, answers, shares, drawn.stops if branched else None)


def policy_gradient(mind, method, group: Group) -> dict[str, torch.Tensor]:
    """That of the loss, turned into one of the expected reward."""
    actions = listed(mind, method, group)
    counts = {"main": -float(method.group), "groups": 1.0, "decisions": 1.0}
    found = rl_loss.policy_loss(mind, actions, counts, clip=(0.2, 0.2), kl=0.0, temperature=1.0)
    return toys.gradients(mind, found.total)


def listed(mind, method, group: Group) -> Actions:
    rewards = [toys.worth(done.latents, done.ids) for done in group.answers]
    better = advantages(rewards, group.shares, epsilon=0.0, scale=False, sampled=False)
    return Actions.of([rows_of(group, better, method.group, mind.vocab, toys.MOST)], mind, {})


def slope(mind, method, direction: dict[str, torch.Tensor]) -> float:
    """How fast the expected reward changes along a direction: five points, so that nothing but rounding is left."""
    parameters = trainable(mind)

    def moved(far: float) -> float:
        with torch.no_grad():
            for name, vector in direction.items():
                parameters[name].add_(far * vector)
            value = float(expected_reward(mind, method))
            for name, vector in direction.items():
                parameters[name].sub_(far * vector)
        return value

    return (8 * (moved(STEP) - moved(-STEP)) - (moved(2 * STEP) - moved(-2 * STEP))) / (12 * STEP)


def directions(mind, count=4):
    generator = torch.Generator().manual_seed(5)
    for _ in range(count):
        yield {name: torch.randn(p.shape, generator=generator, dtype=p.dtype) for name, p in trainable(mind).items()}


def along(gradient, direction) -> float:
    return sum(float((gradient[name] * vector).sum()) for name, vector in direction.items() if name in gradient)


def check_slopes(mind, method, branched: bool) -> None:
    group = every_answer(mind, method, branched)
    assert sum(group.shares) == pytest.approx(1, abs=1e-12)
    gradient = policy_gradient(mind, method, group)
    for direction in directions(mind):
        expected = slope(mind, method, direction)
        assert abs(expected) > 1e-3
        assert along(gradient, direction) == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("branched", [False, True])
@pytest.mark.parametrize("family", ["gpt2", "gru"])
def test_the_gradient_is_that_of_the_expected_reward(family, branched):
    check_slopes(toys.thinker(family=family), toys.method(**PLAIN), branched)


def detached_thoughts(patch):
    enter = run._Walk._enter
    patch.setattr(run._Walk, "_enter", lambda self, column, source, up: enter(self, column, source.detach(), up))


def forced_stops_learned(patch):
    patch.setattr(acting_on, "free", lambda done, vocab, most: [True] * len(done.ids))


def decisions_weighed_alike(patch):
    branched = acting_on._branched

    def wrong(group, better, size):
        rows = branched(group, better, size)
        return [row._replace(actions=[row.actions[0]._replace(weight=1.0), *row.actions[1:]]) for row in rows]

    patch.setattr(acting_on, "_branched", wrong)


@pytest.mark.parametrize(
    ("sabotage", "branched"),
    [
        (detached_thoughts, False),
        (detached_thoughts, True),
        (forced_stops_learned, False),
        (decisions_weighed_alike, True),
    ],
)
def test_another_gradient_is_noticed(sabotage, branched, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises(AssertionError):
        check_slopes(toys.thinker(), toys.method(**PLAIN), branched)


# --- drawn answers ---------------------------------------------------------------------------------------------------


def pushes(mind, acted: Actions) -> torch.Tensor:
    """(groups, 2): where each group's gradient pushes the logit of stopping, before the first silent step and behind it."""
    batch = acted.batch
    assert isinstance(batch, SharedBatch)
    with torch.no_grad():
        likely, _ = acted.choices(mind, 1.0)
    stops = batch.targets == mind.vocab.close
    push = torch.where(stops, 1 - likely.exp(), likely.exp() - 1) * acted.weights * acted.advantages
    (rows, columns), tails = batch.trunk.shape, batch.edges[-1]
    behind = batch.sources - rows * columns
    group = torch.where(behind < 0, batch.sources // columns, behind // tails)
    place, decided = group * 2 + (batch.said == mind.vocab.latent), acted.deciding
    return torch.zeros(2 * rows, dtype=push.dtype).index_add(0, place[decided], push[decided]).view(rows, 2)


def drawn(mind, estimator: str, reward: str = "uneven", times: int = 400) -> torch.Tensor:
    """The pushes of so many groups; both ways draw nine answers for each."""
    own = {"reward": OWN["reward"] | {"functions": [{"function": f"toys:{reward}"}]}}
    method = toys.method(estimator=estimator, answers=3, **PLAIN, **own)
    found = pushes(mind, act(method, mind, toys.again(mind, times)))
    # A mean that an answer is part of is nearer to it than it should be.
    return found * PLAIN["group"] / (PLAIN["group"] - 1) if estimator == "sampled" else found


def true_pushes(mind) -> torch.Tensor:
    method = toys.method(**PLAIN)
    return pushes(mind, listed(mind, method, every_answer(mind, method, True)))[0]


def agree(found: torch.Tensor, true: torch.Tensor) -> bool:
    """Within four standard errors, in both places."""
    error = found.std(0) / len(found) ** 0.5
    return bool(((found.mean(0) - true).abs() <= 4 * error).all())


def test_both_ways_agree_in_expectation():
    mind = toys.thinks_once(toys.thinker())
    true, sampled, exact = true_pushes(mind), drawn(mind, "sampled"), drawn(mind, "exact")
    assert agree(sampled, true) and agree(exact, true)
    ratio = float(sampled.var(0).sum() / exact.var(0).sum())
    print(f"variance of a group's push with as many answers: sampled / exact = {ratio:.3g}")
    assert ratio > 1.5


def test_where_only_the_length_counts_nothing_is_left_to_chance():
    mind = toys.thinks_once(toys.thinker())
    sampled, exact = (drawn(mind, estimator, "two_steps", 100) for estimator in ("sampled", "exact"))
    assert float(exact.std(0).max()) < 1e-12 < 0.1 < float(sampled.std(0).min())
    assert agree(sampled, exact[0])


def test_another_expectation_is_noticed(monkeypatch):
    mind = toys.thinks_once(toys.thinker())
    true = true_pushes(mind)
    decisions_weighed_alike(monkeypatch)
    assert agree(drawn(mind, "sampled"), true) and not agree(drawn(mind, "exact"), true)


@pytest.mark.parametrize("estimator", ["sampled", "exact"])
def test_the_best_policy_is_found(estimator):
    """Two silent steps, where these alone are rewarded; the thinker begins with fewer."""
    mind = toys.thinker(dtype=torch.float32)
    wanted = {"reward": {**OWN["reward"], "functions": [{"function": "toys:two_steps"}]}}
    method = toys.method(estimator=estimator, max_tokens=1, group=8, **wanted)
    optimizer = torch.optim.Adam(mind.parameters(), lr=1e-2)
    lengths = []
    for epoch in range(45):
        lesson = method.rollout(mind, toys.lesson(mind, 2, first=epoch))
        found = method.loss(mind, lesson, lesson.counts())
        lengths.append(float(found.parts["length"]))
        optimizer.zero_grad()
        found.total.backward()
        optimizer.step()
    assert lengths[0] < 1.2 and lengths[-1] > 1.8
    done = mind.complete([method.prompt(ex, mind.vocab) for ex in lesson.examples])
    assert [one.latents for one in done] == [2, 2]
