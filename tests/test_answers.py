"""Extractors: a table of what models write, and laws that hold for any text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.answers import EXTRACTORS, cot_match, equal, extract
from tacit.errors import TacitError

NUMBERS = [
    ("#### 18", "18"),
    ("<<16-3-4=9>> <<9*2=18>> #### 18", "18"),
    ("### 1,234", "1234"),
    ("The answer is: 18 dollars.", "18"),
    ("The answer is $1,234.50 for 3 nights", "1234.50"),
    ("so she pays 18.", "18"),
    ("first 3, then 4, so 7 apples", "7"),
    ("#### -5", "-5"),
    ("#### $-5", "-5"),
    ("#### -$5", "-5"),
    ("#### \u22125", "-5"),
    ("it drops by 10-4", "4"),
    ("x=-3", "-3"),
    (".5 of it", "0.5"),
    ("about 1/2", "1/2"),
    ("it takes 2 1/2 hours", "2 1/2"),
    ("a fall of 50%", "50"),
    ("costs 5,000,000 in all", "5000000"),
    ("2.50", "2.50"),
    ("speed 3E4", "3e4"),
    ("The answer needs 2 steps: 3+4=7", "7"),
    ("#### 7 #### 8", "8"),
    ("no digits here", None),
    ("####", None),
    ("", None),
]


@pytest.mark.parametrize(("text", "found"), NUMBERS)
def test_numbers(text, found):
    assert extract("number@1", text) == found


SAME = [
    ("1/2", "0.5"),
    ("18", "18.00"),
    ("2 1/2", "2.5"),
    ("-2 1/2", "-2.5"),
    ("1e3", "1000"),
    ("0.3", "0.30000000000000004"),
]
OTHER = [("1/2", "0.51"), ("18", "-18"), ("1/0", "1"), ("9" * 5000, "1"), ("3", "3.001")]


@pytest.mark.parametrize(("a", "b", "same"), [(*pair, True) for pair in SAME] + [(*pair, False) for pair in OTHER])
def test_equal_numbers(a, b, same):
    assert equal("number@1", a, b) is same
    assert equal("number@1", b, a) is same


OTHERS = [
    ("hash@1", "Tom is a terpus.\n### Tom is a lempus.", "Tom is a lempus."),
    ("hash@1", "Tom is a lempus.", "Tom is a lempus."),
    ("hash@1", "#### 1,000", "1000"),
    ("hash@1", "x ###", None),
    ("exact@1", "  8 0\n4 0 ", "8 0 4 0"),
    ("last_line@1", "one\ntwo \n\n", "two"),
    ("last_line@1", "\n\n", None),
    ("choice@1", "### true.", "True"),
    ("choice@1", "True or false? I say FALSE", "False"),
    ("choice@1", "The answer is (B), not (C)", "B"),
    ("choice@1", "A cat sat", None),
    ("boxed@1", r"so \boxed{1} or \boxed{\frac{1}{2}}", r"\frac{1}{2}"),
    ("boxed@1", r"\boxed{open", None),
]


@pytest.mark.parametrize(("name", "text", "found"), OTHERS)
def test_other_extractors(name, text, found):
    assert extract(name, text) == found


def test_boxed_numbers_are_compared_as_numbers():
    assert equal("boxed@1", "1,000", "1000.0")
    assert not equal("boxed@1", "x=2", "y=2")


def test_unknown_extractor_names_the_nearest():
    with pytest.raises(TacitError, match=r"'number'; did you mean number@1\?"):
        extract("number", "1")


anything = st.text() | st.text(alphabet="0123456789.,-+$/e% #\n()answeris:TrueABC{}\\boxd", max_size=40)


def changes_when_repeated(rule, text):
    once = rule(text)
    return once is not None and rule(once) != once


@given(anything)
def test_extracting_twice_is_extracting_once(text):
    for name in EXTRACTORS:
        assert not changes_when_repeated(lambda t, name=name: extract(name, t), text)


def test_twin_a_rule_that_is_not_idempotent_is_noticed():
    assert changes_when_repeated(lambda t: t[1:] or None, "#### 18")


@given(anything, anything)
def test_equality_never_fails_and_is_symmetric(a, b):
    for name in EXTRACTORS:
        x, y = extract(name, a), extract(name, b)
        if x is not None and y is not None:
            assert equal(name, x, x)
            assert equal(name, x, y) == equal(name, y, x)


STEPS = ("<<16-3-4=9>>", "<<9*2=18>>")


@pytest.mark.parametrize(
    "text",
    [
        "<<16-3-4=9>>\n<<9*2=18>>\n### 18",
        "<think><latent><latent></think><<16-3-4=9>> <<9*2=18>> #### 18",
        "<|start-latent|><|latent|><|end-latent|><<16-3-4=9>>\n<<9*2=18>>\n### 18",
    ],
)
def test_cot_match(text):
    assert cot_match(STEPS, text)
    assert cot_match(STEPS, "How much?\n" + text, question="How much?\n")
    assert not cot_match(STEPS, text.replace("9*2", "9*3"))
    assert not cot_match(STEPS[1:], text)


def test_cot_match_of_no_steps():
    assert cot_match((), "<think><latent></think>### 18")
    assert not cot_match((), "<<1+1=2>> ### 18")
