"""Tokenised once: the same rows again from disk, and never somebody else's."""

import numpy as np
import pytest

from tacit.example import Example, Template, encode
from tacit.models.tokenizers import character_tokenizer
from tacit.train import token_cache
from tacit.train.token_cache import encode_cached

TEXTS = "0123456789abcdefghij+=\n# "


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(token_cache, "WORTH", 3)
    return tmp_path / "cache"


def examples(count=5):
    rng = np.random.default_rng(0)
    return [Example(f"row-{i}", f"{rng.integers(99)}+{i}", ("ab", "cd")[: i % 3], f"{i}") for i in range(count)]


def test_a_second_run_reads_what_the_first_encoded(here, monkeypatch):
    tokenizer = character_tokenizer([TEXTS])
    first = encode_cached(examples(), tokenizer, Template())
    assert first == encode(examples(), tokenizer, Template())
    monkeypatch.setattr(token_cache, "encode", lambda *_: pytest.fail("encoded again"))
    assert encode_cached(examples(), tokenizer, Template()) == first
    assert len(list(here.iterdir())) == 1


@pytest.mark.parametrize("change", ["text", "template", "tokenizer", "split"])
def test_whatever_decides_the_ids_is_part_of_the_key(here, change):
    rows, tokenizer, template = examples(), character_tokenizer([TEXTS]), Template()
    encode_cached(rows, tokenizer, template)
    if change == "text":
        rows[2] = Example("row-2", "9+9", rows[2].steps, "2")
    elif change == "template":
        template = Template(cue="# ")
    elif change == "tokenizer":
        tokenizer = character_tokenizer([TEXTS + "kl"])
    else:  # the same letters, cut elsewhere
        rows[2] = Example("row-2", rows[2].question, ("a", "bcd"), "2")
    assert encode_cached(rows, tokenizer, template) == encode(rows, tokenizer, template)
    assert len(list(here.iterdir())) == 2


def test_a_damaged_file_is_made_again(here):
    tokenizer = character_tokenizer([TEXTS])
    first = encode_cached(examples(), tokenizer, Template())
    (file,) = here.iterdir()
    file.write_bytes(file.read_bytes()[:-40])
    assert encode_cached(examples(), tokenizer, Template()) == first
    assert encode_cached(examples(), tokenizer, Template()) == first


def test_a_place_that_cannot_be_written_costs_only_time(here, monkeypatch):
    here.write_text("a file stands where the folder should be")
    tokenizer = character_tokenizer([TEXTS])
    assert encode_cached(examples(), tokenizer, Template()) == encode(examples(), tokenizer, Template())


def test_few_examples_are_not_worth_a_file(here):
    encode_cached(examples(2), character_tokenizer([TEXTS]), Template())
    assert not here.exists()
