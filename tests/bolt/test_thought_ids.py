"""The thought that was weighed is the thought that is learned, token by token."""

import json
import warnings

import pytest

from tacit.bolt.chunks import Chunking
from tacit.bolt.documents import Found, infer_documents, rows_of
from tacit.bolt.infer import Candidate, Inferred
from tacit.bolt.rounds import Inference
from tacit.bolt.statistics import Statistics
from tacit.chunked import IDS, MADE_WITH
from tacit.errors import DataError
from tacit.example import Example, Template, encode, from_row
from tacit.methods.bolt import Bolt, chunks
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.thinking import Thinking
from tacit.train.data import fingerprint
from tacit.train.token_cache import encode_cached

TEXT = "Dogs bark at dogs. Cats purr at cats. Birds sing at birds.\n\nFish swim. Bees hum."


def thinker(vocabulary: int = 300, text: str = TEXT):
    tiny = Scratch(layers=1, hidden=16, heads=2, positions=256)
    model = Model(tiny=tiny, tokenizer="bpe", vocabulary=vocabulary)
    return make_thinker(model, Thinking(), tokens=Bolt.tokens, texts=[text], seed=1)


def documents():
    return [
        Example("a", text=TEXT),
        Example("b", text=TEXT[:18]),
        Example("c", question="What do dogs?", answer="Bark at dogs."),
        Example("d", question="What do cats?", answer="Purr."),
    ]


def inferred(one):
    return infer_documents(one, documents(), Template(), Inference(samples=64, max_tokens=40), Chunking(mean=2))


def read_again(rows, one, warned: bool = False):
    """As the next model reads them from a file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if warned else "error")
        return encode([from_row(json.loads(json.dumps(row))) for row in rows], one.tokenizer, Template())


def test_what_is_learned_is_what_was_weighed():
    """Twin: read from the text, the tokens are other ones."""
    one = thinker()
    found = inferred(one)
    taken = [inner.thought for each in found for inner in each.inferred]
    assert sum(map(bool, taken)) >= 5
    rows = rows_of(found, one)
    again = read_again(rows, one)
    assert [thought for row in again for _, thought in chunks(row)] == taken
    assert [chunk for row in again for chunk, _ in chunks(row)] == [chunk for each in found for chunk, _ in each.pairs]
    from_text = read_again([{key: told for key, told in row.items() if key != MADE_WITH} for row in rows], one)
    assert sum(a != b for a, b in zip([t for row in from_text for _, t in chunks(row)], taken)) >= 5
    assert fingerprint(from_text) != fingerprint(again)


def test_tokens_of_another_tokenizer_are_not_taken_for_ours():
    """Its thoughts are read as text, and that is said."""
    one, other = thinker(), thinker(270, TEXT[::-1])
    rows = rows_of(inferred(one), one)
    with pytest.warns(UserWarning, match="4 examples have thoughts in tokens of another tokenizer"):
        encode([from_row(row) for row in rows], other.tokenizer, Template())
    plain = [{key: told for key, told in row.items() if key != MADE_WITH} for row in rows]
    assert read_again(rows, other, warned=True) == read_again(plain, other)


def made(one, example: Example, ids: tuple[int, ...]):
    """A document whose only chunk has just this thought."""
    [row] = encode([example], one.tokenizer, Template())
    candidate = Candidate(ids, -1.0, True, -2.0)
    return rows_of([Found(example, row, [Inferred([candidate], 0)])], one)


@pytest.mark.parametrize("example", documents()[1:3], ids=["document", "question"])
def test_a_thought_without_words_is_kept_and_counted(example):
    one = thinker()
    if example.text:
        example = Example(example.id, text=example.text, extra={"chunks": [{"text": example.text}]})
    for text, count in ((" ", 1.0), (" a", 0.0)):
        ids = tuple(one.tokenizer(text)["input_ids"])
        rows = made(one, example, ids)
        assert Statistics(rows).numbers()["without_words"] == count
        [row] = read_again(rows, one)
        assert [thought for _, thought in chunks(row)] == [ids]


def test_tokens_that_are_none_are_refused():
    one = thinker()
    [row] = made(one, documents()[2], (5, 6))
    for wrong in ([5, "6"], [-1], 5, [True]):
        with pytest.raises(DataError, match=f"c: {IDS}: expected a list of token numbers"):
            read_again([row | {IDS: wrong}], one)


def test_thoughts_in_tokens_are_never_found_in_the_cache(tmp_path, monkeypatch):
    """The cache knows texts alone."""
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path))
    monkeypatch.setattr("tacit.train.token_cache.WORTH", 0)
    one = thinker()
    for ids in ((5, 6), (6, 5)):
        rows = [from_row(row) for row in made(one, documents()[2], ids)]
        assert encode_cached(rows, one.tokenizer, Template())[0].steps == (ids,)
