"""Text to values and back: nothing may change its type on the way."""

import math

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.recipe.reader import put, read_words, read_yaml, tree, write

TRICKY = [
    *("1e4", "1e-4", "1.5", ".5", "+1", "007", "0x1f", "0o7", "1_000", ".inf", "-.inf", ".nan", "12:30", "2024-01-01"),
    *(
        "no",
        "yes",
        "on",
        "off",
        "y",
        "null",
        "~",
        "",
        "true",
        "False",
        "<<",
        "=",
        "@",
        "`",
        "*a",
        "&a",
        "!x",
        "%",
        "|",
        ">",
    ),
    *(
        " ",
        " a",
        "a ",
        "\t",
        "\n",
        "a\n",
        "\na\n\n",
        "# a",
        "a # b",
        "a: b",
        "- a",
        "[a",
        "{a",
        "'",
        '"',
        "\\",
        "é",
        "\x85",
    ),
    *("\u2028", "\ufeff", "😀", "a" * 300, "The answer is:", "### ", "{question}\n"),
]


def check_texts(writer) -> None:
    for text in TRICKY:
        layer, faults = read_yaml(writer({"a": {"b": text, "list": [text]}}), "file")
        assert not faults and tree(layer) == {"a": {"b": text, "list": [text]}}, text


def test_tricky_texts_stay_texts():
    check_texts(write)


def test_a_plain_writer_would_be_noticed():
    with pytest.raises(AssertionError):
        check_texts(yaml.safe_dump)


@pytest.mark.parametrize("text", TRICKY)
def test_other_readers_see_the_same_texts(text):
    """A run's recipe.yaml is read by other tools too, with YAML 1.1 rules."""
    assert yaml.safe_load(write({"a": text})) == {"a": text}


WORDS = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=4)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12)
LEAVES = SCALARS | st.lists(SCALARS, max_size=3)
TREES = st.dictionaries(
    WORDS, st.recursive(LEAVES, lambda inner: st.dictionaries(WORDS, inner, max_size=3)), max_size=4
)


@settings(max_examples=150, deadline=None)
@given(TREES)
def test_any_tree_survives(values):
    layer, faults = read_yaml(write(values), "file")
    assert not faults
    back = tree(layer)
    assert back == values and repr(back) == repr(values)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e4", 10_000),
        ("1.0e4", 1e4),
        ("1e-4", 1e-4),
        ("1e400", math.inf),
        ("-.inf", -math.inf),
        ("0x10", 16),
        ("1__0", "1__0"),
    ],
)
def test_numbers(text, value):
    layer, _ = read_words([f"a={text}"])
    assert layer["a"].value == value and type(layer["a"].value) is type(value)


def test_dotted_keys_of_a_file_are_paths():
    layer, faults = read_yaml("train.lr: 1\ntrain: {latents.rounds: 2}\n", "file")
    assert not faults and tree(layer) == {"train": {"lr": 1, "latents": {"rounds": 2}}}
    assert layer["train.latents.rounds"].origin == "file:2"


def test_put_replaces_what_is_in_the_way():
    layer = {}
    put(layer, "a", {"b": 1, "c": {"d": 2}}, "x")
    put(layer, "a.c", 3, "y")
    assert tree(layer) == {"a": {"b": 1, "c": 3}}
    put(layer, "a", {}, "y")
    assert tree(layer) == {"a": {"b": 1, "c": 3}}
    put(layer, "a", None, "y")
    put(layer, "a.e", 4, "z")
    assert tree(layer) == {"a": {"e": 4}}
