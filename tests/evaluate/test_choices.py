"""Behind what an offered answer is scored."""

import pytest

from tacit.batch import Batch
from tacit.engine.complete import Completion
from tacit.errors import DataError
from tacit.evaluate.choices import before_answer
from tacit.layout import Layout, Segment
from tacit.vocab import Vocab

VOCAB = Vocab(latent=1, open=2, close=3, eos=4, pad=4)
CUE = (30,)


def behind(*written: int) -> list[int]:
    done = Completion(Layout(Segment("question", (10, 11))))
    done.ids = list(written)
    return list(before_answer(done, CUE, VOCAB).ids)


def test_behind_everything_that_was_thought():
    assert behind(2, 1, 1, 3, 30, 20) == [10, 11, 2, 1, 1, 3, 30]
    assert behind(1, 12, 30) == [10, 11, 1, 12, 30]
    assert behind(12, 13) == [10, 11, 30]  # nothing was announced


def test_silent_steps_where_no_thought_can_be_are_left_out():
    """A model that was just begun writes anything; the twin is the row as it was written, which no batch takes."""
    written = (2, 1, 3, 1, 1, 12, 1, 30)
    assert behind(*written) == [10, 11, 2, 1, 3, 12, 1, 30]
    Batch.of([Layout(Segment("question", behind(*written)))], VOCAB)
    with pytest.raises(DataError, match="a latent token follows </think>"):
        Batch.of([Layout(Segment("question", (10, 11, *written)))], VOCAB)
