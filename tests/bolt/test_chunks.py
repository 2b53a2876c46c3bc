"""Cutting loses nothing, and depends on the text alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tacit.bolt.chunks import UNITS, Chunking, cut, paragraphs, sentences, words

TEXTS = st.text(alphabet="abJ. \n\t!?\"')1é。\u3000", max_size=60)


@given(TEXTS)
def test_units_and_chunks_make_up_the_text(text):
    for unit, split in UNITS.items():
        assert "".join(split(text)) == text
        for even in (False, True):
            pieces = cut(text, Chunking(unit=unit, mean=3, even=even))
            assert "".join(pieces) == text and all(pieces)


def test_what_units_are():
    assert words(" a  bc\nd ") == [" a", "  bc", "\nd", " "]
    assert paragraphs("one\ntwo\n\n\nthree\n \nfour") == ["one\ntwo\n\n\n", "three\n \n", "four"]
    text = 'Dr. Who met J. Smith. Really? "Yes!" He left.\n\nIn 3.5 hours, etc. and so on.'
    assert sentences(text) == [
        "Dr. Who met J. Smith.",
        " Really?",
        ' "Yes!"',
        " He left.\n\n",
        "In 3.5 hours, etc. and so on.",
    ]


def test_sizes_follow_the_text_and_the_seed():
    text = " ".join(f"w{n}" for n in range(4000))
    chunking = Chunking(unit="word", mean=8, least=2, most=12)
    pieces = cut(text, chunking)
    sizes = np.array([len(piece.split()) for piece in pieces[:-1]])
    assert sizes.min() >= 2 and sizes.max() <= 12 and 7.5 < sizes.mean() < 8.2 and sizes.std() > 1.5
    assert cut(text, chunking) == pieces
    assert cut(text, chunking.model_copy(update={"seed": 43})) != pieces
    assert cut(text + "!", chunking)[:5] != pieces[:5]


def test_even_chunks():
    text = " ".join(f"w{n}" for n in range(50))
    sizes = [len(piece.split()) for piece in cut(text, Chunking(unit="word", mean=8, even=True))]
    assert sum(sizes) == 50 and len(sizes) == 7 and max(sizes) - min(sizes) <= 1


def test_impossible_sizes_are_refused():
    with pytest.raises(ValidationError, match="set them in this order"):
        Chunking(mean=5, most=4)
    assert cut("", Chunking()) == []
