"""What is sampled is what is scored; what a prompt gets is its own affair; truncation keeps exactly what it should."""

import pytest
import torch

from tacit.batch import Batch
from tacit.engine import sampling as choosing
from tacit.engine.complete import _Sampler
from tacit.engine.sampling import Sampling, choose, log_probability
from tests.exactness import tiny
from tests.exactness.test_exact_complete import inclined, mixed
from tests.exactness.tiny import SILENT, VOCAB, thinker

SOME = ("gpt2", "llama", "mistral", "gru")
WARM = Sampling(max_tokens=8, temperature=0.7, seed=3, thoughts=True)


def rescored(mind, done, temperature):
    """The log-probabilities of what was sampled, from one read of the finished rows; and the vectors fed back in them."""
    batch = Batch.of([completion.layout for completion in done], VOCAB)
    with torch.no_grad():
        hidden = mind(batch, schedule="cached").hidden
        fed = mind.thought(hidden.roll(1, 1))
    logprobs, thoughts = [], []
    for r, completion in enumerate(done):
        start, end = batch.starts[r] + len(completion.prompt), batch.starts[r] + len(completion.layout)
        said = batch.ids[r, start - 1 : end - 1]
        logits = mind.logits(hidden[r, start - 1 : end - 1], said)
        logprobs.append(log_probability(logits, batch.ids[r, start:end], temperature))
        thoughts.append(fed[r, batch.latents[r]])
    return logprobs, thoughts


def check_rescored(mind, layouts, sampling=WARM, **options):
    done = mind.complete(layouts, sampling, **options)
    logprobs, thoughts = rescored(mind, done, sampling.temperature)
    for completion, scored, vectors in zip(done, logprobs, thoughts):
        assert len(completion.logprobs) == len(completion.ids)
        ids = completion.layout.ids
        for i, (sampled, again) in enumerate(zip(completion.logprobs, scored.tolist()), len(completion.prompt)):
            cap = mind.thinking.max_latents
            if sampled == 0 and ids[i] == VOCAB.close and ids[i - cap : i] == [VOCAB.latent] * cap:
                continue  # the cap decided, not the model
            assert abs(sampled - again) <= 1e-10, f"log-probabilities differ by {abs(sampled - again):.3g}"
        assert len(completion.thoughts) == len(vectors) == completion.latents == ids.count(VOCAB.latent)
        for ours, theirs in zip(completion.thoughts, vectors):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    return done


@pytest.mark.parametrize("slots", [2, None])
@pytest.mark.parametrize("family", SOME)
def test_sampled_is_scored(family, slots):
    check_rescored(thinker(family), mixed(), slots=slots)


@pytest.mark.parametrize("confine", [False, True])
@pytest.mark.parametrize("family", SOME)
def test_sampled_is_scored_when_the_model_thinks_on_its_own(family, confine):
    mind = inclined(family, SILENT, 1.5, confine=confine, feedback="linear")
    done = check_rescored(mind, mixed(), slots=3)
    assert sum(token == VOCAB.latent for completion in done for token in completion.ids) >= 3


def test_the_cap_closes_a_thought():
    mind = inclined("gpt2", [VOCAB.latent], 50.0, confine=True, max_latents=4)
    layouts = [layout for layout in mixed() if layout.ids[-1] == VOCAB.open]
    for completion in check_rescored(mind, layouts):
        assert completion.ids[:5] == [VOCAB.latent] * 4 + [VOCAB.close]
        assert completion.logprobs[4] == 0.0 and completion.latents == 4


@pytest.mark.parametrize("slots", [1, 2, None])
def test_the_cap_counts_one_thought(slots):
    """The prompt's own silent steps are no part of a thought that the model begins behind them."""
    mind = inclined("gpt2", [VOCAB.latent], 50.0, max_latents=3)
    for completion in mind.complete(mixed()[:2] + mixed()[3:5], Sampling(max_tokens=1), slots=slots):
        assert completion.ids[:4] == [VOCAB.latent] * 3 + [VOCAB.close]


def test_confined_decisions_only():
    mind = inclined("gpt2", SILENT, 1.5, confine=True)
    for completion in mind.complete(mixed(), WARM):
        ids = [*completion.prompt.ids[-1:], *completion.ids]
        for before, token in zip(ids, ids[1:]):
            assert (before in (VOCAB.open, VOCAB.latent)) == (token in (VOCAB.latent, VOCAB.close))


# --- twins -----------------------------------------------------------------------------------------------------------


def another_temperature(patch):
    patch.setattr(choosing, "log_probability", lambda logits, ids, temperature: log_probability(logits, ids, 1.0))


def unconfined_when_sampling(patch):
    ask = _Sampler._ask

    def free(self, *given):
        self.thinker.thinking = self.thinker.thinking.model_copy(update={"confine": False})
        try:
            return ask(self, *given)
        finally:
            self.thinker.thinking = self.thinker.thinking.model_copy(update={"confine": True})

    patch.setattr(_Sampler, "_ask", free)


def scored_after_truncation(patch):
    truncate = choosing._truncate
    patch.setattr(choosing, "log_probability", lambda l, i, t: log_probability(truncate(l / t, TOPS), i, 1.0))


TOPS = WARM.model_copy(update={"top_k": 3})


@pytest.mark.parametrize("sabotage", [another_temperature, unconfined_when_sampling, scored_after_truncation])
def test_sabotage_is_noticed(sabotage, monkeypatch):
    mind = inclined("gpt2", SILENT, 1.5, confine=True)
    check_rescored(mind, mixed(), TOPS)
    sabotage(monkeypatch)
    with pytest.raises(AssertionError, match="log-probabilities differ"):
        check_rescored(mind, mixed(), TOPS)


# --- whose random numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "mistral", "gru"])
def test_company_changes_nothing(family):
    """Slots, other prompts and other samplings in the batch leave a prompt's sample as it was."""
    mind, layouts = thinker(family), mixed()
    alone = [c.ids for c in mind.complete(layouts, WARM)]
    for slots in (1, 3):
        assert [c.ids for c in mind.complete(layouts, WARM, slots=slots)] == alone
    assert [c.ids for c in mind.complete(layouts[:3], WARM)] == alone[:3]
    others = [WARM, *[Sampling(max_tokens=3)] * (len(layouts) - 1)]
    assert mind.complete(layouts, others)[0].ids == alone[0]


def test_draws_belong_to_prompts():
    """Prompts that come in another order, or without some of the others, keep their random numbers if they are told which."""
    mind, layouts = thinker("gpt2"), mixed()
    alone = [c.ids for c in mind.complete(layouts, WARM)]
    order = [6, 2, 5, 0]
    some = [layouts[i] for i in order]
    assert [c.ids for c in mind.complete(some, WARM, draws=order, slots=2)] == [alone[i] for i in order]
    assert [c.ids for c in mind.complete(some, WARM)] != [alone[i] for i in order]


def test_seeds_and_rows_differ():
    mind, prompt = thinker("gpt2"), mixed()[0]
    hot = Sampling(max_tokens=8, temperature=1.0)
    draws = [tuple(c.ids) for c in mind.complete([prompt] * 8, hot)]
    assert len(set(draws)) > 4
    again = [tuple(c.ids) for c in mind.complete([prompt] * 8, hot.model_copy(update={"seed": 1}))]
    assert again != draws
    torch.manual_seed(99)  # the global random state has no part in it
    assert [tuple(c.ids) for c in mind.complete([prompt] * 8, hot)] == draws


def test_several_samplings_in_one_call():
    mind, layouts = thinker("llama"), mixed()
    kinds = [
        Sampling(max_tokens=3),
        Sampling(max_tokens=6, temperature=0.9, top_k=4, logprobs=False),
        Sampling(max_tokens=5, temperature=1.3, top_p=0.8, seed=7),
    ]
    each = [kinds[i % 3] for i in range(len(layouts))]
    done = mind.complete(layouts, each, slots=4)
    for i, (sampling, completion) in enumerate(zip(each, done)):
        assert completion.ids == mind.complete(layouts, sampling)[i].ids
        assert bool(completion.logprobs) == sampling.logprobs
        assert completion.stopped == "eos" or sum(t not in SILENT for t in completion.ids) == sampling.max_tokens


def test_frequencies_are_the_models():
    """Four thousand draws of one token against the distribution they are drawn from."""
    mind, prompt = thinker("gpt2"), mixed()[0]
    hot = Sampling(max_tokens=1, temperature=1.2)
    drawn = [c.ids[0] for c in mind.complete([prompt] * 4000, hot, slots=1000)]
    seen = tiny.mind(mind)
    with torch.no_grad():
        p = (seen.forward(tiny.oracle.thoughtful(seen, prompt.ids))[0][-1] / 1.2).softmax(-1)
    counts = torch.bincount(torch.tensor(drawn), minlength=tiny.SIZE).double()
    assert _chi_square(counts, 4000 * p) < 50  # 23 degrees of freedom: exceeded once in a thousand
    assert _chi_square(counts, 4000 * p.roll(1)) > 200


def _chi_square(counts, expected) -> float:
    return float(((counts - expected) ** 2 / expected).sum())


# --- truncation ------------------------------------------------------------------------------------------------------


def allowed(logits, temperature, k, p) -> set[int]:
    """The slow way: sort, take k, take as many as reach p of what is left."""
    ranked = sorted(range(len(logits)), key=lambda i: -logits[i])
    ranked = ranked[:k] if k else ranked
    weight = [float(torch.tensor(logits[i] / temperature).exp()) for i in ranked]
    total, so_far, kept = sum(weight), 0.0, set()
    for i, w in zip(ranked, weight):
        if kept and so_far / total >= p:
            break
        kept.add(i)
        so_far += w
    return kept


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
@pytest.mark.parametrize(("k", "p"), [(0, 1.0), (1, 1.0), (4, 1.0), (0, 0.3), (0, 0.9), (6, 0.7), (99, 0.999)])
def test_truncation_by_brute_force(temperature, k, p):
    sampling = Sampling(temperature=temperature, top_k=k, top_p=p)
    logits = 2 * torch.randn(20, 12, dtype=torch.float64)
    chances = torch.linspace(0, 1, 2001, dtype=torch.float64)[:-1]
    for row in logits:
        found, logprobs = choose(row.expand(len(chances), -1), sampling, chances)
        kept = allowed(row.tolist(), temperature, k, p)
        mass = (row / temperature).softmax(-1)
        whole = sum(float(mass[i]) for i in kept)
        counts = torch.bincount(found, minlength=12) / len(chances)
        for i in range(12):
            wanted = float(mass[i]) / whole if i in kept else 0.0
            assert abs(float(counts[i]) - wanted) <= 1e-3, (i, kept)
        torch.testing.assert_close(logprobs, mass.log()[found])  # before truncation


def test_greedy_is_the_likeliest():
    logits = torch.randn(50, 12)
    found, logprobs = choose(logits, Sampling(), None)
    assert found.tolist() == [max(range(12), key=lambda i: row[i]) for row in logits.tolist()]
    torch.testing.assert_close(logprobs, logits.log_softmax(-1).max(-1).values)
