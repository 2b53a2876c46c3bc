"""Held-out bounds of documents in several chunks, against sums over all thoughts of all chunks."""

import math

import numpy as np
import pytest
import torch

from tacit.batch import Batch
from tacit.bolt.chunks import Chunking
from tacit.bolt.documents import Found, infer_documents
from tacit.bolt.infer import Candidate, Inferred
from tacit.bolt.judging import Bound, bound_of, found_for, judge
from tacit.bolt.rounds import Inference, Rounds
from tacit.errors import TacitError
from tacit.example import Encoded, Example, Template, encode
from tacit.layout import Layout, Segment
from tacit.methods.bolt import Bolt, Marks, posterior, prior
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.thinking import Thinking
from tests.bolt.walkers import TASK, log_p

COUNT = 500
# What the recipe says about learning: a bound must not follow it.
ROUNDS = Rounds(judged=(1, 4), infer=Inference(max_tokens=2, choose="argmax", window=0, temperature=0.5, seed=3))


def document(name: int, last: str = "s1") -> Example:
    return Example(f"d{name}", text=f"s0 {last}", extra={"chunks": [{"text": "s0 "}, {"text": last}]})


@pytest.fixture(scope="module")
def thinker():
    """It has learned that a first thought is l0 rather than l1 and which end each of them leads to, but guesses them evenly."""
    tiny = Scratch(layers=1, hidden=16, heads=2, positions=32, tied=False)
    one = make_thinker(Model(tiny=tiny), Thinking(), tokens=Bolt.tokens, words=TASK.words(), seed=0)
    marks, rng, steps = Marks.of(one.vocab), np.random.default_rng(0), 300
    word = {end: encoded(one, end).chunks[1][0] for end in ("s0", "s1", "s2", "l0", "l1")}
    start = encoded(one).question

    def lesson() -> Layout:
        first, second = (prior if coin else posterior for coin in rng.integers(2, size=2))
        thought = rng.random() < (0.3 if first is prior else 0.5)
        end = thought if rng.random() < 0.9 else not thought
        parts = first(marks, word["l1" if thought else "l0"], word["s0"])
        parts += second(marks, word[("l0", "l1")[rng.integers(2)]], word["s2" if end else "s1"])
        return Layout(Segment("question", start), *parts, Segment("answer", (one.vocab.eos,), 1.0))

    optimizer = torch.optim.Adam(one.parameters())
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.02 * (1 - step / steps) + 1e-4
        loss = one.loss(Batch.of([lesson() for _ in range(32)], one.vocab))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return one.double().eval()


def encoded(one, last: str = "s1") -> Encoded:
    return encode([document(0, last)], one.tokenizer, TASK.template)[0]


def exact(one, row: Encoded) -> float:
    """The probability of both chunks: the sum over both thoughts, the first of which stands before or behind its chunk."""
    vocab, marks = one.vocab, Marks.of(one.vocab)
    special = {*marks, vocab.open, vocab.latent, vocab.close, vocab.eos, vocab.pad}
    thoughts = [token for token in range(one.vocabulary) if token not in special]
    (first, _), (second, _) = row.chunks
    start, told = list(row.question), 0.0
    for z in thoughts:
        before = [*start, marks.start, marks.before, z, marks.end, *first]
        behind = [*start, marks.start, marks.end, *first, marks.start, marks.after, z, marks.end]
        for context in (before, behind):
            for y in thoughts:
                ids = [*context, marks.start, marks.before, y, marks.end, *second, vocab.eos]
                told += 0.5 * math.exp(log_p(one, before, len(start) + 2) + log_p(one, ids, len(context) + 2))
    return told


def nats(one, found: list[Found], samples: int) -> np.ndarray:
    return np.array([bound_of(each, samples, one).nats for each in found])


@pytest.mark.parametrize("last", ["s1", "s2"])
def test_the_mean_bound_of_two_chunks_is_their_probability_before_the_log(thinker, last):
    """Twin: where the heaviest thought, or any, goes on into the context, it is not; with the heaviest, what is told even lies
    above the log-probability and is no bound."""
    whole = exact(thinker, encoded(thinker, last))
    documents = [document(n, last) for n in range(COUNT)]
    logs = {"as judged": nats(thinker, found_for(thinker, documents, TASK.template, ROUNDS, 4), 4)}
    for choose in ("argmax", "uniform"):
        settings = Inference(samples=4, max_tokens=2, choose=choose)
        logs[choose] = nats(thinker, infer_documents(thinker, documents, TASK.template, settings), 4)
    far = {}
    for name, each in logs.items():
        values = np.exp(each)
        far[name] = abs(values.mean() - whole) / (values.std() / math.sqrt(COUNT))
    assert far["as judged"] < 4 < min(far["argmax"], far["uniform"])
    assert logs["as judged"].mean() < math.log(whole)
    if last == "s1":
        assert logs["argmax"].mean() > math.log(whole)


def test_every_number_of_candidates_has_its_own_contexts(thinker):
    """Twin: the first of four candidates, behind thoughts that were taken among four, says something else."""
    documents = [document(n) for n in range(50)]
    both, one = (
        judge(thinker, documents, TASK.template, ROUNDS.model_copy(update={"judged": judged}))
        for judged in ((1, 4), (1,))
    )
    assert one["bound_1"] == pytest.approx(both["bound_1"], abs=1e-9) and one["bound_1"] < both["bound_4"]
    among_four = nats(thinker, found_for(thinker, documents, TASK.template, ROUNDS, 4), 1).mean()
    assert abs(among_four - one["bound_1"]) > 1e-3


TEXT = "Dogs bark. Cats purr. Birds sing. Fish swim. Bees hum. Cows moo. Owls hoot."


def reader(positions: int = 256):
    tiny = Scratch(layers=1, hidden=16, heads=2, positions=positions)
    return make_thinker(Model(tiny=tiny), Thinking(), tokens=Bolt.tokens, texts=[TEXT])


ANY = Rounds(judged=(2,), infer=Inference(max_tokens=40, window=1), chunking=Chunking(mean=3, most=20, even=False))


def test_chunks_are_even_whatever_they_are_in_learning():
    found = found_for(reader(), [Example("a", text=TEXT)], Template(), ANY, 2)
    assert [chunk["text"].count(".") for chunk in found[0].example.extra["chunks"]] == [2, 2, 3]


def made(one, *candidates: Candidate) -> Found:
    row = encoded(one)
    return Found(document(0), row, [Inferred([each]) for each in candidates])


def test_only_chunks_without_a_valid_candidate_count_as_a_floor(thinker):
    """A document as unlikely as text is counts as what it is; the floor is that of a guess where this is less."""
    likely, unlikely, invalid = (Candidate((1,), 0.0, log > -1e9, log) for log in (-2.0, -4000.0, -math.inf))
    assert bound_of(made(thinker, likely, unlikely), 1, thinker) == Bound(-4002.0, 3, False)
    assert bound_of(made(thinker, likely, invalid), 1, thinker) == Bound(-52.0, 3, True)
    long = encoded(thinker)._replace(chunks=(((1,) * 100, ()), ((1,), ())))
    found = Found(document(0), long, [Inferred([invalid]), Inferred([likely])])
    guess = -100 * math.log(thinker.vocabulary)
    assert guess < -50 and bound_of(found, 1, thinker) == Bound(pytest.approx(guess - 2.0), 102, True)
    assert bound_of(Found(document(0), long, [Inferred([likely]), None]), 1, thinker) is None


def test_documents_that_do_not_fit_are_counted():
    """And what is told of a text is not its floor."""
    documents = [Example("a", text=TEXT), Example("b", text=TEXT[:10]), Example("c", text=TEXT[:21])]
    one = reader()
    told = judge(one, documents, Template(), ANY)
    tokens = sum(len(row.answer) + 1 for row in encode(documents, one.tokenizer, Template()))
    assert told["bound_documents"] == 3 and told["bound_left_out"] == 0
    assert told["bound_2_per_token"] == pytest.approx(told["bound_2"] * 3 / tokens)
    assert told["bound_2"] < -100
    short = judge(reader(positions=64), documents, Template(), ANY)
    assert (short["bound_documents"], short["bound_left_out"]) == (1, 2)
    with pytest.raises(TacitError, match="no held-out document fits"):
        judge(reader(positions=48), documents, Template(), ANY)
