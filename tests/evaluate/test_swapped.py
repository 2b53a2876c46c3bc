"""Answers with another question's thoughts: a model that uses its thoughts then gives that question's answer."""

import pytest

from tacit.engine.sampling import Sampling
from tacit.evaluate import split
from tacit.evaluate.split import evaluate_split
from tacit.evaluate.swapped import thoughts_of
from tacit.example import encode
from tacit.layout import Layout, Segment
from tests.evaluate.small_thinker import METHOD, SETTINGS, TASK

RULE = Sampling(max_tokens=SETTINGS.max_tokens)


def evaluated(thinker, examples, **options):
    return evaluate_split(thinker, METHOD, TASK, TASK.template, examples, SETTINGS, **options)


def prompts_of(thinker, examples):
    return [METHOD.prompt(one, thinker.vocab) for one in encode(examples, thinker.tokenizer, TASK.template)]


def test_every_question_gets_the_thoughts_of_the_next(thinker, examples):
    prompts = prompts_of(thinker, examples)
    given = thoughts_of(thinker, prompts, 7)
    assert all(one.shape == (2, 32) for one in given)
    swapped = evaluated(thinker, examples, swap=True).rows
    shifted = [*given[1:], given[0]]
    done = thinker.complete(prompts, RULE, thoughts=shifted)
    assert [row["text"] for row in swapped] == [one.text for one in done]
    own = evaluated(thinker, examples).rows
    assert [row["text"] for row in own] == [one.text for one in thinker.complete(prompts, RULE, thoughts=given)]


def test_a_count_holds_for_both(thinker, examples):
    report = evaluated(thinker, examples, swap=True, latents=3)
    assert report.latents_mean == 3 and report.ppl is None


def test_thoughts_that_were_chosen_may_be_fewer_or_none(thinker, examples):
    """A model that decides itself gives as many as it took in its first thought."""
    free = [Layout(p.segments[0], Segment("open", (thinker.vocab.open,))) for p in prompts_of(thinker, examples)]
    for prompt, given in zip(free, thoughts_of(thinker, free, 5)):
        (done,) = thinker.complete([prompt])
        run = 0
        while run < len(done.ids) and done.ids[run] == thinker.vocab.latent:
            run += 1
        assert len(given) == run or done.ids[0] != thinker.vocab.latent


def test_giving_a_question_its_own_thoughts_is_noticed(thinker, examples, monkeypatch):
    own = thoughts_of(thinker, prompts_of(thinker, examples), 7)
    monkeypatch.setattr(split, "thoughts_of", lambda *given: own)
    with pytest.raises(AssertionError):
        test_every_question_gets_the_thoughts_of_the_next(thinker, examples)
