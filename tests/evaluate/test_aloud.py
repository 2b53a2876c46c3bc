"""Steps in words asked for, then the answer; and what several answers to a question add up to."""

import json
import string

import pytest
import torch

from tacit.engine.complete import Completion
from tacit.errors import TacitError
from tacit.evaluate import KEYS, evaluate
from tacit.evaluate.aloud import NUMBER, OPENING, TOKENS, _said, evaluate_aloud, words_of
from tacit.evaluate.votes import votes
from tacit.layout import Layout, Segment
from tacit.methods.coconut import Coconut
from tacit.methods.cot import Cot
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import character_tokenizer
from tacit.models.tokens import add_tokens
from tacit.recipe.training import Eval
from tacit.tasks.gsm8k import Gsm8k
from tacit.thinker import Thinker

ROWS = [{"question": f"{n}+{n}?", "steps": [], "answer": str(2 * n)} for n in range(5)]


@pytest.fixture(scope="module")
def thinker():
    tokenizer = character_tokenizer([string.printable])
    vocab = add_tokens(tokenizer)
    scratch = Scratch(family="gpt2", layers=1, hidden=16, heads=2, positions=256, init_std=0.3)
    torch.manual_seed(0)
    return Thinker(
        build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0).double(), tokenizer, vocab
    ).eval()


@pytest.fixture
def task(tmp_path):
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return Gsm8k(path=str(tmp_path))


def aloud(thinker, task, method=None, **settings):
    examples = list(task.examples("test"))
    return evaluate_aloud(thinker, method or Cot(), task, examples, Eval(max_tokens=9, **settings))


def test_a_row_is_question_opening_steps_announcement_answer(thinker, task):
    """Greedy, against the sampler alone: so many tokens behind the opening, the announcement once, twelve more."""
    report = aloud(thinker, task)
    for row, said in zip(ROWS, report.rows):
        prompt = f"Q: {row['question']}\nA:{OPENING}"
        assert said["prompt"] == prompt and said["text"].count(NUMBER) == 1

        def ids(text):
            return Segment("question", thinker.tokenizer(text, add_special_tokens=False)["input_ids"])

        [steps] = thinker.complete([Layout(ids(prompt))], Eval(max_tokens=9) and _sampling(9))
        [answer] = thinker.complete([Layout(ids(prompt + steps.text + NUMBER))], _sampling(TOKENS))
        assert said["text"] == steps.text + NUMBER + answer.text.split("\n")[0]


def _sampling(tokens):
    from tacit.engine.sampling import Sampling

    return Sampling(max_tokens=tokens, stop=("\nQ:", "\n\n\n") if tokens == 9 else ())


def test_the_batch_changes_nothing_and_the_sample_does(thinker, task):
    one, seven = (aloud(thinker, task, batch=batch, samples=4, temperature=0.9) for batch in (1, 7))
    assert [row["text"] for row in one.rows] == [row["text"] for row in seven.rows]
    assert len({row["text"] for row in one.rows}) > 10 and len(one.rows) == 20
    assert set(one.tables["votes"]) == {"maj@4", "pass@2", "pass@4"}


def test_thoughts_come_before_the_steps(thinker, task):
    report = aloud(thinker, task, Coconut(max_stage=2))
    kinds = [[thought["kind"] for thought in row["thoughts"]] for row in report.rows]
    assert kinds == [["silent", "written"]] * 5 and report.latents_mean == 2


def test_a_stop_string_is_no_part_of_the_steps(thinker):
    ids = tuple(thinker.tokenizer("one two\nQ:", add_special_tokens=False)["input_ids"])
    done = Completion(Layout(Segment("question", (1,))), ids=list(ids), stopped="stop", text="one two")
    assert thinker.tokenizer.decode(_said(thinker, done)) == "one two"
    done.stopped = "length"
    assert _said(thinker, done) == ids
    done.ids, done.stopped = [*ids, thinker.vocab.eos], "eos"
    assert _said(thinker, done) == ids


def test_long_questions_leave_room_for_the_answer(thinker, tmp_path):
    long = {"question": "1+1" * 54 + "?", "steps": [], "answer": "2"}
    (tmp_path / "test.jsonl").write_text(json.dumps(long) + "\n")
    report = evaluate_aloud(
        thinker, Cot(), Gsm8k(), list(Gsm8k(path=str(tmp_path)).examples("test")), Eval(max_tokens=200)
    )
    assert report.rows[0]["text"].count(NUMBER) == 1


def test_as_a_user_meets_it(thinker, task):
    report = evaluate(thinker, task, split="test", check="aloud", max_tokens=5, samples=3, temperature=0.9)
    assert tuple(report.summary())[: len(KEYS)] == KEYS and report.n == 15 and "votes/maj@3" in report.summary()
    with pytest.raises(TacitError, match="all the same"):
        evaluate(thinker, task, split="test", check="aloud", samples=3)


def test_the_announcement_fits_the_answers(task):
    assert words_of(task).cue == NUMBER and words_of(task, "Say {question}").question == "Say {question}"


def test_votes():
    right, wrong = ("3", True), ("4", False)
    told = votes([[right, wrong, wrong], [right, right, wrong]])
    assert told == {"maj@3": 0.5, "pass@2": pytest.approx((2 / 3 + 1) / 2), "pass@3": 1.0}
    assert votes([[right], [wrong]]) == {}
