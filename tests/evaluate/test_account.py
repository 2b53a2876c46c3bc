"""What a completion consists of, read from ids."""

import pytest

from tacit.engine.complete import Completion
from tacit.evaluate.account import Account, Thought, account, after_cue
from tacit.layout import Layout, Segment
from tacit.methods.bolt import AFTER, BEFORE, END, START, Bolt
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=0, pad=9, extra={"<pause>": 4})
QUESTION = Segment("question", (11, 12))
CUE = (7, 8)


def of(*segments, ids) -> Account:
    return account(Completion(Layout(QUESTION, *segments), ids=list(ids)), CUE, VOCAB)


CASES = [
    ("an answer", (), [20, 21, 0], (), 2),
    ("steps in words", (), [30, 31, 32, 7, 8, 20, 0], (("written", 3),), 1),
    ("silent steps of the prompt", VOCAB.thought(2), [7, 8, 20, 0], (("silent", 2),), 1),
    ("silent steps, then steps in words", VOCAB.thought(2), [30, 7, 8, 20], (("silent", 2), ("written", 1)), 1),
    ("the model decides how long", (Segment("open", (1,)),), [2, 2, 3, 20, 0], (("silent", 2),), 1),
    ("the model opens a thought itself", (), [1, 2, 3, 20, 0], (("silent", 1),), 1),
    ("two thoughts", VOCAB.thought(1), [30, 1, 2, 3, 20, 0], (("silent", 1), ("silent", 1)), 2),
    ("a thought in words", (Segment("open", (1,)),), [30, 31, 3, 20, 0], (("written", 2),), 1),
    ("pause tokens", (Segment("open", (1,)), Segment("thought", (4, 4)), Segment("close", (3,))), [20], (("filler", 2),), 1),
    ("dots", (Segment("thought", (15, 15, 15)),), [20, 0], (("filler", 3),), 1),
    ("the cue is in the prompt", (Segment("cue", CUE),), [20, 0], (), 1),
    ("two cues", (), [30, 7, 8, 31, 7, 8, 20, 0], (("written", 4),), 1),
    ("nothing", (), [0], (), 0),
]  # fmt: skip


@pytest.mark.parametrize(("segments", "ids", "thoughts", "answer"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_account(segments, ids, thoughts, answer):
    parts = of(*segments, ids=ids)
    assert parts[:2] == (tuple(Thought(*thought) for thought in thoughts), answer)


def test_silent_and_written_are_added_up_apart():
    parts = of(*VOCAB.thought(2), ids=[30, 7, 8, 20])
    assert (parts.latents, parts.thought_tokens, parts.answer_tokens) == (2, 1, 1)


@pytest.mark.parametrize(
    ("segments", "ids", "count"),
    [
        (VOCAB.thought(6), [7, 8, 20, 0], 8),
        ((Segment("open", (1,)),), [2, 2, 2, 2, 2, 2, 3, 7, 8, 20, 0], 8),
        ((Segment("open", (1,)),), [3, 7, 8, 20, 0], 2),
        ((), [30, 31, 32, 7, 8, 20, 0], 3),
        ((), [7, 8, 20, 0], 0),
        (VOCAB.thought(2), [30, 7, 8, 20, 0], 5),
        ((Segment("thought", (15, 15, 15)), Segment("cue", CUE)), [20, 0], 3),
    ],
)
def test_reasoning_tokens_count_the_marks_of_thoughts(segments, ids, count):
    """As published tables count them: six silent steps are eight tokens, and written steps as many as they have."""
    parts = of(*segments, ids=ids)
    assert parts.announced and parts.reasoning_tokens == count


@pytest.mark.parametrize(("ids", "announced"), [([7, 8, 20, 0], True), ([20, 0], False), ([7, 20, 8, 0], False)])
def test_an_answer_must_be_announced(ids, announced):
    assert of(ids=ids).announced == announced
    assert of(Segment("cue", CUE), ids=ids).announced, "the prompt has done it"
    assert account(Completion(Layout(QUESTION), ids=ids), (), VOCAB).announced, "nothing has to be announced"


BOLT = Vocab(open=1, latent=2, close=3, eos=0, pad=9, extra={START: 31, END: 32, BEFORE: 33, AFTER: 34})


@pytest.mark.parametrize(
    ("ids", "thoughts", "answer", "reasoning"),
    [
        ([20, 21, 32, 22, 0], (Thought("written", 2),), 1, 5),
        ([32, 22, 0], (), 1, 3),
        ([32, 22, 31, 34, 20, 32, 0], (Thought("written", 1),), 1, 7),
        ([20, 21, 22, 0], (), 3, 2),
    ],
    ids=["thought, answer", "no thought", "a second thought behind the answer", "never ended, as plain models do"],
)
def test_marks_of_a_method_are_no_silent_steps(ids, thoughts, answer, reasoning):
    parts = account(Completion(Layout(QUESTION, Segment("mark", (31, 33))), ids=ids), (), BOLT, Bolt.around)
    assert (parts.thoughts, parts.answer_tokens, parts.reasoning_tokens) == (thoughts, answer, reasoning)
    assert parts.latents == 0


def test_twin_marks_that_are_not_told_would_be_silent_steps():
    asked = Completion(Layout(QUESTION, Segment("mark", (31, 33))), ids=[20, 32, 22])
    assert account(asked, (), BOLT).latents == 3


def test_where_a_cue_ends():
    assert after_cue([1, 7, 8, 2, 7], CUE) == 3
    assert after_cue([7, 1, 8], CUE) == 0
    assert after_cue([1, 2], ()) == 0
