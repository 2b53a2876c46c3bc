"""Tokenizers give back what they were given, refuse what they do not know, and survive saving."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from tacit.errors import DataError, ModelError
from tacit.models.tokenizers import (
    bpe_tokenizer,
    character_tokenizer,
    check_round_trip,
    encode,
    encode_many,
    word_tokenizer,
)

PROSE = ["First Citizen:\n  Speak, speak!", " Well said,\t'tis  so . ", "don't\n\n\nstop"]
GRAPH = ["0 1 | 1 2 | 0 3 [Q] 2 3 [R] 0", "[A] 2"]


@pytest.fixture(scope="module")
def byte_pairs():
    return bpe_tokenizer(PROSE, 300)


MAKERS = {
    "characters": (lambda: character_tokenizer(PROSE), PROSE),
    "words": (lambda: word_tokenizer(GRAPH), GRAPH),
    "byte pairs": (lambda: bpe_tokenizer(PROSE, 300), PROSE),
}


@pytest.mark.parametrize("kind", MAKERS)
def test_saved_tokenizer_is_the_same_tokenizer(kind, tmp_path):
    make, texts = MAKERS[kind]
    tokenizer = make()
    tokenizer.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    assert loaded.get_vocab() == tokenizer.get_vocab() == make().get_vocab()
    assert encode_many(loaded, texts) == encode_many(tokenizer, texts) == [encode(tokenizer, text) for text in texts]
    assert (loaded.eos_token, loaded.pad_token, loaded.bos_token) == ("<eos>", "<pad>", None)
    assert loaded.eos_token_id != loaded.pad_token_id
    assert set(loaded(texts[0])) == {"input_ids", "attention_mask"}, "a model refuses any other column"
    check_round_trip(loaded, texts)


@pytest.mark.parametrize("kind", MAKERS)
def test_tokens_added_later_stay_whole(kind):
    make, texts = MAKERS[kind]
    tokenizer = make()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "<latent>", "</think>"]})
    ids = encode(tokenizer, "<think><latent></think>")
    assert [tokenizer.decode([index]) for index in ids] == ["<think>", "<latent>", "</think>"]
    check_round_trip(tokenizer, texts)


def test_a_beginning_is_made_on_request():
    tokenizer = character_tokenizer(["ab"], bos=True)
    assert tokenizer.get_vocab() == {"a": 0, "b": 1, "<eos>": 2, "<pad>": 3, "<bos>": 4}
    assert tokenizer.bos_token_id == 4
    assert encode(tokenizer, "ab") == [0, 1], "special tokens are placed by layouts, never by encode"


@settings(deadline=None)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5))
def test_characters_come_back_whatever_they_are(texts):
    check_round_trip(character_tokenizer(texts), texts)


@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_byte_pairs_take_any_text(byte_pairs, text):
    check_round_trip(byte_pairs, [text])


def test_ids_depend_on_the_texts_alone():
    assert character_tokenizer(PROSE).get_vocab() == character_tokenizer(PROSE[::-1]).get_vocab()
    assert bpe_tokenizer(PROSE, 290).get_vocab() == bpe_tokenizer(PROSE[::-1], 290).get_vocab()


def test_a_list_of_words_fixes_every_id():
    words = [*map(str, range(31)), "|", "[Q]", "[R]", "[A]", "<eos>"]
    vocabulary = word_tokenizer(words).get_vocab()
    assert [vocabulary[word] for word in words] == list(range(36))
    assert vocabulary["<pad>"] == 36


@pytest.mark.parametrize("separator", ["  ", "\n", "\t", "\u00a0"])
def test_round_trip_names_the_text_that_does_not_survive(separator):
    tokenizer = word_tokenizer(GRAPH)
    with pytest.raises(ModelError) as refusal:
        check_round_trip(tokenizer, [GRAPH[0], f"0{separator}1"])
    assert repr(f"0{separator}1") in str(refusal.value)
    assert "'0 1'" in str(refusal.value)


def test_round_trip_catches_a_tokenizer_that_changes_letters():
    backend = Tokenizer(models.WordLevel({letter: index for index, letter in enumerate("abc")}, unk_token=""))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    backend.decoder = decoders.Fuse()
    with pytest.raises(ModelError, match="'aBc' came back as 'abc'"):
        check_round_trip(PreTrainedTokenizerFast(tokenizer_object=backend), ["abc", "aBc"])


def test_round_trip_of_a_long_text_shows_the_place():
    tokenizer = word_tokenizer(["word"])
    text = "word " * 500 + " word" + " word" * 500
    with pytest.raises(ModelError) as refusal:
        check_round_trip(tokenizer, [text])
    assert len(str(refusal.value)) < 500
    assert "…" in str(refusal.value)


@pytest.mark.parametrize(
    ("tokenizer", "text", "named"),
    [
        (character_tokenizer(PROSE), "Speak <eos>Zoë", ["'Z'", "'ë'"]),
        (word_tokenizer(GRAPH), "0 1 | 1 99 [Q] <eos> lempus", ["'99'", "'lempus'"]),
    ],
)
def test_unknown_pieces_are_refused_by_name(tokenizer, text, named):
    for refused in (lambda: encode(tokenizer, text), lambda: encode_many(tokenizer, ["", text])):
        with pytest.raises(DataError) as refusal:
            refused()
        assert f"no token for {', '.join(named)}, needed" in str(refusal.value)
    with pytest.raises(ModelError, match=named[0]):
        check_round_trip(tokenizer, [text])
    with pytest.raises(Exception, match="UNK"):
        tokenizer(text)  # nor are they mapped silently when the tokenizer is called directly


def test_a_foreign_tokenizer_may_not_hide_unknowns():
    table = {"<unk>": 0, "red": 1, "blue": 2}
    backend = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>")
    assert tokenizer("red green")["input_ids"] == [1, 0], "the twin: on its own it does hide them"
    with pytest.raises(DataError, match="'green'"):
        encode_many(tokenizer, ["red", "red green"])
    assert encode(tokenizer, "red <unk> blue") == [1, 0, 2], "written out, it is a token like any other"


def test_faults_that_are_not_about_words_keep_their_own_error(byte_pairs):
    with pytest.raises(TypeError):
        encode_many(byte_pairs, ["fine", None])  # type: ignore[list-item]


def test_what_cannot_be_made_is_refused():
    with pytest.raises(ModelError, match="none were given"):
        character_tokenizer([])
    with pytest.raises(ModelError, match="258"):
        bpe_tokenizer(PROSE, 257)
    assert encode_many(character_tokenizer(["a"]), []) == []
