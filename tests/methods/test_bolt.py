"""What documents with thoughts look like, and what a coin decides."""

import numpy as np
import pytest

from tacit.chunked import chunk_pairs
from tacit.errors import DataError
from tacit.example import Encoded, Example, encode
from tacit.methods.bolt import Bolt, Marks
from tacit.models.tokenizers import character_tokenizer
from tacit.models.tokens import add_tokens
from tacit.vocab import Vocab

S, E, B, A = 20, 21, 22, 23
VOCAB = Vocab(1, 2, 3, 4, 0, dict(zip(Bolt.tokens, (S, E, B, A))))
PAIRS = (((11, 12), (31,)), ((13,), ()), ((14,), (32, 33)))
DOCUMENT = Encoded("d", (9,), (), (), (11, 12, 13, 14), chunks=PAIRS)
WALK = Encoded("w", (9, 10), ((31, 32), (33, 34)), (), (11,))


def ids(ex, rng=None, **fields):
    layout = Bolt(**fields).layouts(ex, VOCAB, None, rng)["main"]
    assert layout.labels == layout.ids  # every token is learned
    return layout.ids


BEFORE = [9, S, B, 31, E, 11, 12, S, E, 13, S, B, 32, 33, E, 14, 4]
AFTER = [9, S, E, 11, 12, S, A, 31, E, S, E, 13, S, E, 14, S, A, 32, 33, E, 4]


def test_orders():
    assert ids(DOCUMENT) == ids(DOCUMENT, order="prior") == BEFORE
    assert ids(DOCUMENT, order="posterior") == AFTER
    assert ids(DOCUMENT, order="none") == [9, 11, 12, 13, 14, 4]
    assert ids(DOCUMENT, order="prior", marks=False) == [t for t in BEFORE if t != B]
    assert ids(DOCUMENT, order="posterior", marks=False) == [t for t in AFTER if t != A]
    assert ids(WALK) == [9, 10, S, B, 31, 32, 33, 34, E, 11, 4]
    assert ids(WALK, order="posterior") == [9, 10, S, E, 11, S, A, 31, 32, 33, 34, E, 4]


def test_a_coin_for_every_chunk_each_time():
    found = {tuple(ids(DOCUMENT, np.random.default_rng(n))) for n in range(64)}
    assert len(found) == 4 and {tuple(BEFORE), tuple(AFTER)} < found
    first = [B in ids(DOCUMENT, np.random.default_rng(n))[:4] for n in range(400)]
    assert 0.42 < np.mean(first) < 0.58


def test_shares_of_plain_documents_and_of_dropped_thoughts():
    rows = [ids(DOCUMENT, np.random.default_rng(n), raw=0.3) for n in range(400)]
    assert np.mean([S not in row for row in rows]) == pytest.approx(0.3, abs=0.06)
    kept = np.mean([31 in ids(DOCUMENT, np.random.default_rng(n), drop=0.25) for n in range(400)])
    assert kept == pytest.approx(0.75, abs=0.06)
    assert ids(DOCUMENT, np.random.default_rng(0), drop=1.0) == [9, S, E, 11, 12, S, E, 13, S, E, 14, 4]


def test_documents_without_thoughts():
    bare = DOCUMENT._replace(chunks=tuple((chunk, ()) for chunk, _ in PAIRS))
    assert ids(bare) == [9, 11, 12, 13, 14, 4]
    with pytest.raises(DataError, match=r"d has no thought.*method.bare: plain"):
        ids(bare, bare="refuse")


def test_prompts():
    assert Bolt().prompt(WALK, VOCAB).ids == [9, 10, S, B]
    assert Bolt(marks=False, order="prior").prompt(WALK, VOCAB).ids == [9, 10, S]
    assert Bolt(order="none").prompt(WALK, VOCAB).ids == [9, 10]
    assert Marks.of(VOCAB) == (S, E, B, A)


def test_chunks_of_files_ours_and_published():
    tokenizer = character_tokenizer(["abcxyz. #"])
    add_tokens(tokenizer, Bolt.tokens)
    ours = Example("a", text="ab. c.", extra={"chunks": [{"text": "ab.", "thought": "x"}, {"text": " c."}]})
    theirs = Example(
        "a", text="ab. c.", extra={"chunks": [{"suffix": "ab.", "latent": "x"}, {"suffix": " c.", "latent": None}]}
    )
    first, second = encode([ours, theirs], tokenizer)
    assert first == second and [len(part) for pair in first.chunks for part in pair] == [3, 1, 3, 0]
    assert first.answer == encode([Example("a", text="ab. c.")], tokenizer)[0].answer


@pytest.mark.parametrize(
    ("chunks", "reason"),
    [
        ("ab", "expected a list"),
        ([{"text": "a"}], "are not the text"),
        ([{"thought": "a"}], "text is missing"),
        ([{"text": "ab", "thought": 3}], "thought is missing or no text"),
    ],
)
def test_broken_chunks_are_refused(chunks, reason):
    with pytest.raises(DataError, match=f"doc: chunks.*{reason}"):
        chunk_pairs({"chunks": chunks}, "ab", "doc")
