"""A report depends on the questions alone: not on batches, order or processes; and it counts what it says it counts."""

import multiprocessing
import random
from pathlib import Path

import pytest
import torch

from tacit.engine import masks
from tacit.errors import DataError, TacitError
from tacit.evaluate import KEYS, asking, split
from tacit.evaluate.report import accuracy_error
from tacit.evaluate.split import evaluate_split, with_latents
from tacit.example import Example
from tacit.layout import Layout, Segment
from tacit.methods.cot import Cot
from tests.evaluate.small_thinker import METHOD, SETTINGS, TASK

SAMPLED = {"temperature": 1.0, "samples": 2}


def report(thinker, examples, **settings):
    return evaluate_split(thinker, METHOD, TASK, TASK.template, examples, SETTINGS.model_copy(update=settings))


def told(report) -> tuple:
    """Everything that may depend on the questions only; sums over tokens to all digits but the last few."""
    summary = report.summary() | {"seconds": None, "examples_per_second": None, "ppl": f"{report.ppl:.10g}"}
    return summary, report.tables, sorted(map(str, report.rows))


@pytest.fixture(scope="module", params=[{}, SAMPLED], ids=["greedy", "sampled"])
def alone(request, thinker, examples):
    return request.param, told(report(thinker, examples, batch=1, **request.param))


@pytest.mark.parametrize("batch", [7, 64])
def test_the_batch_does_not_matter(thinker, examples, alone, batch):
    settings, expected = alone
    assert told(report(thinker, examples, batch=batch, **settings)) == expected


def test_the_order_does_not_matter(thinker, examples, alone):
    settings, expected = alone
    shuffled = random.Random(3).sample(examples, len(examples))
    assert told(report(thinker, shuffled, **settings)) == expected


def test_twin_without_the_padding_mask_it_would(thinker, examples, alone, monkeypatch):
    settings, expected = alone
    causal = masks.causal
    monkeypatch.setattr(masks, "causal", lambda width, past, keep, *more: causal(width, past, None, *more))
    assert told(report(thinker, examples, batch=7, **settings)) != expected


def test_twin_with_random_numbers_by_place_the_order_would_matter(thinker, examples, monkeypatch):
    shuffled = random.Random(3).sample(examples, len(examples))
    numbers = iter(range(10_000))
    monkeypatch.setattr(asking, "draw", lambda *_: next(numbers))
    assert told(report(thinker, examples, **SAMPLED)) != told(report(thinker, shuffled, **SAMPLED))


def test_the_summary_has_the_keys_that_scripts_parse(thinker, examples):
    found = report(thinker, examples)
    summary = found.summary()
    assert tuple(summary)[: len(KEYS)] == KEYS
    assert (summary["n"], summary["correct"]) == (40, sum(row["correct"] for row in found.rows))
    assert summary["accuracy"] == summary["correct"] / 40 and 0 < summary["accuracy"] < 1
    assert (summary["latents_mean"], summary["extractor"], summary["task"]) == (2, "exact@1", "prosqa_symbolic")
    assert set(found.rows[0]) == {"id", "prompt", "thoughts", "text", "extracted", "gold", "correct"}
    assert found.rows[0]["thoughts"][0] == {"kind": "silent", "length": 2}
    assert sum(found.tables["verdict"].values()) == pytest.approx(1)
    assert all(isinstance(value, int | float) for value in found.metrics().values())


def test_lengths_are_those_of_the_tokens(thinker, examples):
    found = report(thinker, examples)
    words = [len(row["text"].split()) for row in found.rows]
    cues = sum("[A]" in row["text"] for row in found.rows)
    counted = (found.thought_tokens_mean + found.answer_tokens_mean) * 40
    # A cue belongs to neither; in a text with several of them, those before the last are part of what was thought.
    assert counted == pytest.approx(sum(words) - cues) and cues > 0


def test_the_stage_decides_about_the_prompt(thinker, examples):
    found = evaluate_split(thinker, METHOD, TASK, TASK.template, examples[:3], SETTINGS, stage=1)
    assert found.latents_mean == 1


def test_latents_can_be_set(thinker, examples):
    found = evaluate_split(thinker, METHOD, TASK, TASK.template, examples[:3], SETTINGS, latents=5)
    assert found.latents_mean == 5
    with pytest.raises(TacitError, match="no silent steps"):
        evaluate_split(thinker, Cot(), TASK, TASK.template, examples[:3], SETTINGS, latents=5)


def test_setting_latents_keeps_the_rest_of_a_prompt(thinker):
    vocab = thinker.vocab
    question, cue = Segment("question", (1, 2)), Segment("cue", (3,))
    assert with_latents(Layout(question, *vocab.thought(2), cue), 4, vocab) == Layout(question, *vocab.thought(4), cue)
    opened = Layout(question, Segment("open", (vocab.open,)))  # the model would decide itself
    assert with_latents(opened, 1, vocab) == Layout(question, *vocab.thought(1))
    pauses = Segment("thought", (9, 9))
    there = Layout(question, Segment("open", (vocab.open,)), pauses, Segment("close", (vocab.close,)))
    bare = Layout(question, Segment("thought", ()), cue)
    assert with_latents(bare, 2, vocab).ids == [*question.ids, vocab.latent, vocab.latent, *cue.ids]
    assert with_latents(there, 3, vocab).ids == [1, 2, vocab.open, 9, 9, 9, vocab.close]


def test_choices_are_scored_the_same_whatever_the_batch(thinker, examples):
    tables = [
        evaluate_split(thinker, METHOD, TASK, TASK.template, examples, one, choices=True).tables["choice"]
        for one in (SETTINGS, SETTINGS.model_copy(update={"batch": 1}))
    ]
    assert tables[0] == tables[1] and 0 < tables[0]["accuracy"] < 1


def test_progress_counts_every_answer(thinker, examples):
    seen = []
    evaluate_split(thinker, METHOD, TASK, TASK.template, examples[:5], SETTINGS, on_progress=lambda *n: seen.append(n))
    assert seen == [(n, 5) for n in range(1, 6)]


def test_what_cannot_be_evaluated_is_refused(thinker, examples):
    with pytest.raises(DataError, match="no examples"):
        report(thinker, [])
    with pytest.raises(DataError, match="documents"):
        report(thinker, [Example("a", text="once")])
    with pytest.raises(TacitError, match="all the same"):
        report(thinker, examples, samples=2)


def test_a_question_that_many_rows_share_is_answered_once_per_row(thinker, examples):
    assert report(thinker, [examples[0]] * 3).n == 3


# --- standard errors -------------------------------------------------------------------------------------------------


def test_one_answer_each_is_binomial():
    assert accuracy_error([[True], [False], [True], [True]]) == pytest.approx((0.75 * 0.25 / 4) ** 0.5)


def test_several_answers_vary_by_question():
    # Means 1, 0 and 1/2: their standard deviation is 1/2, over three questions.
    assert accuracy_error([[True, True], [False, False], [True, False]]) == pytest.approx(0.5 / 3**0.5)


def test_twin_answers_to_one_question_are_no_further_evidence():
    once, often = [[True], [False]], [[True] * 50, [False] * 50]
    assert accuracy_error(often) >= accuracy_error(once)
    flat = [[verdict] for answers in often for verdict in answers]
    assert accuracy_error(flat) < accuracy_error(often) / 5


def test_one_question_alone_still_has_an_error():
    assert accuracy_error([[True, False]]) == pytest.approx((0.25 / 2) ** 0.5)


# --- several processes -----------------------------------------------------------------------------------------------


def _rank(rank: int, place: str, thinker, examples, results) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=2)
    results.put((rank, told(report(thinker, examples, **SAMPLED))))
    torch.distributed.destroy_process_group()


def in_two_processes(place: Path, thinker, examples) -> list[tuple]:
    """What each of two processes reports. They are forks, which need not import everything again."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    started = [context.Process(target=_rank, args=(rank, place, thinker, examples, results)) for rank in range(2)]
    for process in started:
        process.start()
    found = sorted(results.get(timeout=60) for _ in started)
    for process in started:
        process.join(timeout=60)
    return [outcome for _, outcome in found]


def test_two_processes_score_every_row_once(tmp_path, thinker, examples):
    few = examples[:9]  # an odd number, so that the parts differ
    whole = told(report(thinker, few, **SAMPLED))
    assert in_two_processes(tmp_path / "meeting", thinker, few) == [whole, whole]


def test_twin_rows_that_both_processes_take_are_noticed(tmp_path, thinker, examples, monkeypatch):
    monkeypatch.setattr(split, "share", lambda items: items)
    (summary, _, rows), _ = in_two_processes(tmp_path / "meeting", thinker, examples[:9])
    assert summary["n"] == len(rows) == 36


def test_the_model_is_left_as_it_was(thinker, examples):
    thinker.train()
    report(thinker, examples[:2])
    evaluate_split(thinker, METHOD, TASK, TASK.template, examples[:2], SETTINGS, choices=True)
    assert thinker.training
    thinker.eval()
    assert torch.is_grad_enabled()


def test_accuracy_by_kind_of_question(thinker, examples, monkeypatch):
    """Kinds add up to the whole, of answers and of choices. Twin: a task without kinds has no such table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(TASK), "kind", lambda *_: None)
        assert not {"accuracy", "latents"} & report(thinker, examples).tables.keys()
    kinds = {example.id: ("even", "odd")[number % 2] for number, example in enumerate(examples)}
    monkeypatch.setattr(type(TASK), "kind", lambda self, example: kinds[example.id])
    found = evaluate_split(thinker, METHOD, TASK, TASK.template, examples, SETTINGS, choices=True)
    for name in kinds.values():
        rows = [row for row in found.rows if kinds[row["id"]] == name]
        assert found.tables["accuracy"][name] == sum(row["correct"] for row in rows) / len(rows)
    by_kind, n = found.tables["accuracy"], len(examples)
    shares = {name: list(kinds.values()).count(name) / n for name in by_kind}
    assert sum(shares[name] * by_kind[name] for name in by_kind) == pytest.approx(found.accuracy)
    latents = found.tables["latents"]
    assert sum(shares[name] * latents[name] for name in by_kind) == pytest.approx(found.latents_mean)
    choice = found.tables["choice"]
    assert sum(shares[name] * choice[name] for name in by_kind) == pytest.approx(choice["accuracy"])
    assert f"accuracy/{name}" in found.metrics()
