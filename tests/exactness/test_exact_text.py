"""What is read of a completion: its text, stop strings, and the pieces that are streamed while it is written."""

import pytest
import torch

from tacit.engine import complete as completing
from tacit.engine.sampling import Sampling
from tacit.layout import Layout, Segment
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import bpe_tokenizer, character_tokenizer, encode, word_tokenizer
from tacit.models.tokens import add_tokens
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tests.exactness.tiny import thinker

TEXT = "naïve € 漢字 😀 αβγ — ok"
ALPHABET = "abcd \n"


def speaker(tokenizer, **thinking) -> Thinker:
    """A small model for a tokenizer, all tokens about equally likely."""
    vocab = add_tokens(tokenizer)
    scratch = Scratch(layers=1, hidden=16, heads=2, positions=128)
    model = build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0).double()
    return Thinker(model, tokenizer, vocab, Thinking(**thinking))


@pytest.fixture(scope="module")
def bytes_speaker():
    """Byte pairs with hardly any merges: a character takes up to four tokens, and random bytes are no characters at all."""
    return speaker(bpe_tokenizer([TEXT], 262))


@pytest.fixture(scope="module")
def letters():
    return speaker(character_tokenizer([ALPHABET]))


def prompt(mind, text="ab") -> Layout:
    return Layout(Segment("question", encode(mind.tokenizer, text)))


def streamed(mind, prompts, sampling, **options):
    """Completions, and for each the pieces of text and the ids that the callback was given."""
    pieces, ids = [[] for _ in prompts], [[] for _ in prompts]

    def on_token(index, token, text):
        pieces[index].append(text)
        ids[index].append(token)

    return mind.complete(prompts, sampling, on_token=on_token, **options), pieces, ids


def scripted(mind, monkeypatch, text):
    """Makes the model say just this, and then the end."""
    script = iter([*encode(mind.tokenizer, text), mind.vocab.eos])

    def logits(self, hidden, said):
        out = torch.zeros(len(hidden), self.vocabulary, dtype=torch.float64)
        out[:, next(script)] = 1
        return out

    monkeypatch.setattr(Thinker, "logits", logits)


# --- streaming -------------------------------------------------------------------------------------------------------


def check_streamed(mind, sampling, rows=12, **options):
    """The pieces are the text, nothing is taken back, and the callback sees every token."""
    plain = mind.complete([prompt(mind)] * rows, sampling)
    done, pieces, ids = streamed(mind, [prompt(mind)] * rows, sampling, **options)
    for completion, without, parts, seen in zip(done, plain, pieces, ids):
        assert completion.text == without.text and completion.ids == without.ids
        assert "".join(parts) == completion.text
        assert seen == completion.ids
    return done


STOPS = ((), ("ab",), ("c d", "dd", "abca"))


@pytest.mark.parametrize("stop", STOPS)
@pytest.mark.parametrize("slots", [3, None])
def test_pieces_are_the_text(letters, bytes_speaker, stop, slots):
    sampling = Sampling(max_tokens=30, temperature=1.0, stop=stop)
    check_streamed(letters, sampling, slots=slots)
    check_streamed(bytes_speaker, sampling, slots=slots)


def test_characters_of_several_tokens(bytes_speaker, monkeypatch):
    assert len(encode(bytes_speaker.tokenizer, "😀")) == 4
    scripted(bytes_speaker, monkeypatch, TEXT)
    (completion,), (pieces,), _ = streamed(bytes_speaker, [prompt(bytes_speaker)], Sampling(max_tokens=99))
    assert completion.text == TEXT == "".join(pieces)
    assert not any("\ufffd" in piece for piece in pieces)
    assert "😀" in pieces and "€" in pieces


def test_a_character_that_is_never_finished(bytes_speaker, monkeypatch):
    scripted(bytes_speaker, monkeypatch, "a😀")
    (completion,), (pieces,), _ = streamed(bytes_speaker, [prompt(bytes_speaker)], Sampling(max_tokens=3))
    assert completion.text == "".join(pieces) == "a\ufffd" and completion.stopped == "length"


def test_words(monkeypatch):
    mind = speaker(word_tokenizer(["the cat sat on the mat"]))
    scripted(mind, monkeypatch, "cat sat on the mat")
    (completion,), (pieces,), _ = streamed(mind, [prompt(mind, "the")], Sampling(stop=("on the cat", "the mat")))
    assert completion.text == "".join(pieces) == "cat sat on " and completion.stopped == "stop"


@pytest.mark.parametrize(
    ("speaker", "stop", "careless"),
    [("bytes_speaker", (), len), ("letters", STOPS[2], lambda text: len(text.rstrip("\ufffd")))],
)
def test_showing_too_early_is_noticed(speaker, stop, careless, monkeypatch, request):
    monkeypatch.setattr(completing, "_settled", lambda text, stop: careless(text))
    with pytest.raises(AssertionError):
        check_streamed(request.getfixturevalue(speaker), Sampling(max_tokens=30, temperature=1.0, stop=stop))


# --- stop strings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", STOPS[1:])
def test_stop_strings(letters, stop):
    """By brute force: the text up to the first of them, and not one token more than is needed to see it."""
    free = Sampling(max_tokens=60, temperature=1.0)
    prompts = [prompt(letters)] * 30
    whole = letters.complete(prompts, free)
    stopped = letters.complete(prompts, free.model_copy(update={"stop": stop}), slots=7)
    assert {c.stopped for c in stopped} >= {"stop", "eos"}
    for without, completion in zip(whole, stopped):
        starts = [at for at in (without.text.find(s) for s in stop) if at >= 0]
        if not starts:
            assert (completion.ids, completion.text) == (without.ids, without.text)
            continue
        ends = [without.text.find(s) + len(s) for s in stop if s in without.text]
        assert completion.stopped == "stop"
        seen = without.text[: min(ends)]
        marks = (letters.vocab.open, letters.vocab.latent, letters.vocab.close)
        assert letters.tokenizer.decode([i for i in completion.ids if i not in marks]) == seen
        assert completion.text == seen[: min(seen.find(s) for s in stop if s in seen)]


# --- ends ------------------------------------------------------------------------------------------------------------


def test_the_end_of_the_text_is_no_text(letters, monkeypatch):
    scripted(letters, monkeypatch, "abc")
    (completion,) = letters.complete([prompt(letters)], Sampling())
    assert completion.text == "abc" and completion.stopped == "eos" and completion.ids[-1] == letters.vocab.eos


@pytest.mark.parametrize("kind", ["open", "close", "latent"])
def test_a_model_that_never_writes_comes_to_an_end(letters, kind, monkeypatch):
    """Thought markers are not counted as written, and a recurrent model has no last position."""
    token = getattr(letters.vocab, kind)

    def logits(self, hidden, said):
        out = torch.zeros(len(hidden), self.vocabulary, dtype=torch.float64)
        out[:, token] = 1
        return out

    monkeypatch.setattr(Thinker, "logits", logits)
    mind = thinker("gru", max_latents=3)
    sampling = Sampling(max_tokens=4)
    (completion,) = mind.complete([Layout(Segment("question", (5, 6)))], sampling)
    assert completion.stopped == "length" and completion.text == "" and len(completion.ids) <= 9 * 4


@pytest.mark.parametrize("kind", ["latent", "text"])
def test_the_last_position_is_the_end(letters, kind, monkeypatch):
    """A model with 128 positions reads no column beyond them, be it silent or not."""
    token = letters.vocab.latent if kind == "latent" else encode(letters.tokenizer, "a")[0]

    def logits(self, hidden, said):
        out = torch.zeros(len(hidden), self.vocabulary, dtype=torch.float64)
        out[:, token] = 1
        return out

    monkeypatch.setattr(Thinker, "logits", logits)
    long = Layout(Segment("question", encode(letters.tokenizer, "ab" * 60)))
    done, pieces, _ = streamed(letters, [long, prompt(letters)], Sampling(max_tokens=20))
    assert done[0].stopped == "length" and len(done[0].layout) == 128
    assert "".join(pieces[0]) == done[0].text
