"""The learned stop and what stands at its end; how the learned parts begin; thoughts that are given instead of made."""

import pytest
import torch
from pydantic import ValidationError

from tacit.batch import Batch
from tacit.engine import run
from tacit.engine.complete import _Sampler
from tacit.engine.sampling import Sampling
from tacit.engine.shared import SharedBatch, shared_loss
from tacit.layout import Layout, Segment
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tests.exactness import oracle, tiny
from tests.exactness.tiny import VOCAB, answer, check, question, rows, same, thinker

SOME = ("gpt2", "llama", "gru")
CLOSED = [layout for layout in rows() if VOCAB.latent not in layout.ids or VOCAB.close in layout.ids]
END = {"close": "token+thought", "feedback": "mlp"}


# --- how the learned parts begin -------------------------------------------------------------------------------------


def made(**thinking) -> Thinker:
    return Thinker(tiny.model("gpt2"), None, VOCAB, Thinking(**thinking))


def test_how_an_mlp_begins():
    module = made(feedback="mlp").feedback.module
    for layer in (module.inner, module.outer):
        bound = (6 / 64) ** 0.5
        assert 0.95 * bound < float(layer.weight.detach().abs().max()) <= bound and not layer.bias.any()
    assert (module.norm.weight == 1).all() and not module.norm.bias.any()
    assert (made(feedback="mlp", gain=0.1).feedback.module.norm.weight == 0.1).all()
    free = made(feedback="mlp", init="default", inner=48).feedback.module
    assert free.inner.weight.shape == (48, 32) and free.inner.bias.any()
    assert float(free.inner.weight.detach().abs().max()) <= 32**-0.5


def test_how_the_correlation_of_embeddings_begins():
    mind = made(feedback="linear_ecf")
    module, table = mind.feedback.module, mind.model.get_input_embeddings().weight.detach()
    torch.testing.assert_close(module.map.weight, table.T @ table / tiny.SIZE)
    gain = table.norm(dim=1).mean() / 32**0.5
    torch.testing.assert_close(module.norm.weight, gain.expand(32))
    assert not module.map.bias.any() and not module.shift.any()


@pytest.mark.parametrize(
    "wrong",
    [
        {"gain": 0.1},
        {"feedback": "linear_ecf", "gain": 0.1},
        {"feedback": "linear", "inner": 8},
        {"init": "default"},
        {"stop_temperature": 2.0},
        {"stop_detached": True},
        {"close": "token+thought", "schedule": "jacobi"},
    ],
)
def test_settings_that_would_do_nothing_are_refused(wrong):
    with pytest.raises(ValidationError):
        Thinking(**wrong)


# --- the decision ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "gpt2-untied", "llama-tied", "gru"])
def test_the_stop_is_a_choice_between_two(family):
    """Its loss is the cross-entropy of two classes, whatever else the vocabulary holds."""
    mind = thinker(family, confine=True, stop_temperature=2.0)
    check(family, mind, CLOSED)
    layouts = [Layout(question(3, 1), *VOCAB.thought(n, 1.0)) for n in (1, 4)]
    classes = [VOCAB.latent, VOCAB.close]
    total = 0.0
    for layout in layouts:
        seen = tiny.mind(mind)
        logits, _ = seen.forward(oracle.thoughtful(seen, layout.ids))
        for column in range(4, len(layout)):
            two = logits[column - 1, classes] / 2.0
            total = total + torch.nn.functional.cross_entropy(two, torch.tensor(classes.index(layout.ids[column])))
    same(family, mind, mind.loss(Batch.of(layouts, VOCAB)), total / 7)


def test_another_temperature_is_noticed():
    mind = thinker("gpt2", confine=True, stop_temperature=2.0)
    ours = mind.loss(Batch.of(CLOSED, VOCAB))
    mind.thinking = mind.thinking.model_copy(update={"stop_temperature": 1.0})
    with pytest.raises(AssertionError, match="losses differ"):
        same("gpt2", mind, ours, tiny.naive_loss(mind, CLOSED))


def test_a_detached_decision_moves_its_two_rows_alone():
    mind, free = (thinker("gpt2-untied", confine=True, stop_detached=on) for on in (True, False))
    decided = Batch.of([Layout(question(3, 1), *VOCAB.thought(3, 1.0))], VOCAB)
    assert float(mind.loss(decided).detach()) == float(free.loss(decided).detach())
    moved = {name for name, found in tiny.gradients(mind, mind.loss(decided)).items() if found.any()}
    assert moved == {"model.lm_head.weight"}
    assert len({name for name, found in tiny.gradients(free, free.loss(decided)).items() if found.any()}) > 10
    text = Batch.of([Layout(question(3, 1), *VOCAB.thought(3), answer(2, 5))], VOCAB)
    ours = mind.loss(text)
    mind.thinking = free.thinking
    same("gpt2-untied", mind, ours, mind.loss(text))


# --- a state behind the last thought ---------------------------------------------------------------------------------


@pytest.mark.parametrize("schedule", ["cached", "recompute"])
@pytest.mark.parametrize("family", SOME)
def test_a_close_that_gets_a_thought(family, schedule):
    check(family, thinker(family, schedule=schedule, **END))
    check(family, thinker(family, schedule=schedule, close="token+thought", feedback="pause"))
    check(family, thinker(family, schedule=schedule, window=2, **END))
    empty = [Layout(question(3, 1), *VOCAB.thought(0), answer(2, 5))]
    check(family, thinker(family, schedule=schedule, **END), empty)


@pytest.mark.parametrize("family", SOME)
def test_a_close_that_gets_a_thought_in_a_shared_chain(family):
    mind = thinker(family, **END)
    groups = [
        [Layout(question(3, n), *VOCAB.thought(n), answer(2, n)), Layout(question(3, n), answer(4, n))] for n in (2, 0)
    ]
    ours = shared_loss(mind, SharedBatch.of(groups, VOCAB, closing=True))
    same(family, mind, ours, tiny.naive_loss(mind, [layout for group in groups for layout in group]))


@pytest.mark.parametrize("family", SOME)
def test_a_close_that_gets_a_thought_when_answering(family):
    """Closes of the prompt, closes that the model chooses, beside rows that are somewhere else."""
    mind = thinker(family, confine=True, **END)
    prompts = [Layout(question(3, 1), *VOCAB.thought(2)), Layout(question(5, 2), Segment("open", (VOCAB.open,)))]
    prompts += [Layout(question(2, 3), *VOCAB.thought(0)), Layout(question(4, 4))]
    done = mind.complete(prompts, Sampling(max_tokens=6, thoughts=True))
    for prompt, one in zip(prompts, done):
        naive = oracle.greedy(tiny.mind(mind), prompt.ids, 6, VOCAB.eos, (VOCAB.open, VOCAB.close), cap=6)
        assert one.ids == naive.ids
        if naive.thoughts:
            torch.testing.assert_close(torch.stack(one.thoughts), torch.stack(naive.thoughts), rtol=0, atol=1e-12)


def closes_without_a_thought(patch):
    patch.setattr(run._Walk, "_placed", lambda self, thought, looked_up, column: torch.where(
        self.batch.latents[:, column, None], thought, looked_up
    ))  # fmt: skip


def closes_without_their_token(patch):
    def wrong(self, thought, looked_up, column):
        fed = self.batch.latents | self.batch.closes
        return torch.where(fed[:, column, None], thought, looked_up)

    patch.setattr(run._Walk, "_placed", wrong)


@pytest.mark.parametrize("sabotage", [closes_without_a_thought, closes_without_their_token])
def test_a_wrong_close_is_noticed(sabotage, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises(AssertionError, match="losses differ"):
        check("gpt2", thinker("gpt2", **END))


# --- given thoughts --------------------------------------------------------------------------------------------------


def check_given(mind):
    """A prompt's thoughts are the given ones; a prompt beside it makes its own."""
    prompts = [Layout(question(n, n), *VOCAB.thought(3)) for n in (3, 5, 4)]
    generator = torch.Generator().manual_seed(3)
    vectors = [torch.randn(3, 32, generator=generator, dtype=torch.float64), None, None]
    done = mind.complete(prompts, Sampling(max_tokens=6, thoughts=True), thoughts=vectors)
    own = mind.complete(prompts, Sampling(max_tokens=6, thoughts=True))
    assert torch.equal(torch.stack(done[0].thoughts), vectors[0])
    assert done[0].ids != own[0].ids
    assert [one.ids for one in done[1:]] == [one.ids for one in own[1:]]
    first = len(prompts[0]) - 4
    seen = tiny.mind(mind)
    embeds = oracle.replayed(seen, prompts[0].ids, {first + i: vector for i, vector in enumerate(vectors[0])})
    for token in done[0].ids:
        assert int(seen.forward(embeds)[0][-1].argmax()) == token, "another answer"
        embeds += seen.embed([token])


@pytest.mark.parametrize("schedule", [{}, {"schedule": "jacobi", "rounds": 1}])
@pytest.mark.parametrize("family", SOME)
def test_given_thoughts_enter_as_they_are(family, schedule):
    check_given(thinker(family, **schedule))


def test_given_thoughts_that_are_ignored_are_noticed(monkeypatch):
    start = _Sampler._start

    def forgetful(self, index):
        row = start(self, index)
        row.given.clear()
        return row

    monkeypatch.setattr(_Sampler, "_start", forgetful)
    with pytest.raises(AssertionError):
        check_given(thinker("gpt2"))
