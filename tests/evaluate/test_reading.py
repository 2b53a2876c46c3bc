"""Perplexity and token accuracy over tokens, accuracy by place, and the speed of decoding."""

import math
import time

import pytest
import torch

from tacit.batch import Batch
from tacit.evaluate.grading import _perplexity
from tacit.evaluate.reading import read
from tacit.evaluate.split import evaluate_split
from tacit.example import encode
from tacit.methods.cot import Cot
from tacit.methods.icot import Icot
from tacit.methods.removal import Removal
from tacit.tasks.multiplication import Multiplication
from tests.evaluate.small_thinker import METHOD, SETTINGS, TASK
from tests.evaluate.test_verify import found, learned


def layouts(thinker, examples, method=METHOD, stage=1):
    rows = encode(examples, thinker.tokenizer, TASK.template)
    return [method.layouts(row, thinker.vocab, stage, None)["main"] for row in rows]


def by_hand(thinker, layout) -> tuple[float, int, int]:
    """Loss, hits and number of the learned tokens of one row that is read alone."""
    batch = Batch.of([layout], thinker.vocab)
    with torch.no_grad():
        logits = thinker.door.head(thinker(batch).hidden[0])
    wanted = [(column, label) for column, label in enumerate(layout.labels) if label != -100]
    told = logits.log_softmax(-1)
    loss = -sum(told[column - 1, label].item() for column, label in wanted)
    return loss, sum(int(logits[column - 1].argmax()) == label for column, label in wanted), len(wanted)


def test_a_reading_is_what_each_row_alone_says(thinker, examples):
    rows = layouts(thinker, examples[:12])
    for batch in (1, 5, 12):
        for row, reading in zip(rows, read(thinker, rows, rows, batch)):
            loss, right, learned_tokens = by_hand(thinker, row)
            assert (reading.right, reading.learned) == (right, learned_tokens)
            assert reading.nll == pytest.approx(loss)


def test_batches_do_not_matter():
    alone, together = (found(learned("icot-shift"), "icot-shift", batch=batch) for batch in (1, 64))
    assert alone.ppl == pytest.approx(together.ppl) and alone.token_accuracy == together.token_accuracy
    assert 0 < alone.token_accuracy < 1 < alone.ppl


def test_perplexity_is_that_of_all_tokens_together(thinker, examples):
    """Twin: rows of different lengths have another one when each row counts the same."""
    report = evaluate_split(thinker, METHOD, TASK, TASK.template, examples, SETTINGS, stage=1)
    told = [by_hand(thinker, row) for row in layouts(thinker, examples)]
    losses, right, counts = (sum(column) for column in zip(*told))
    assert report.ppl == pytest.approx(math.exp(losses / counts))
    assert report.token_accuracy == right / counts
    assert len({count for _, _, count in told}) > 1
    assert report.ppl != pytest.approx(math.exp(sum(loss / count for loss, _, count in told) / len(told)))


def test_weights_do_not_count_and_smoothing_is_off():
    thinker = learned("icot-keep")
    plain, weighted = (
        Icot(positions="keep"),
        Icot(positions="keep", frontier_weight=9.0, removal=Removal(smoothing=0.1)),
    )
    task = Multiplication(left=1, right=2, cot="compact", train_rows=24)
    rows = encode(task.examples("train"), thinker.tokenizer, task.template)
    one, other = ([m.layouts(row, thinker.vocab, 2, None)["main"] for row in rows] for m in (plain, weighted))
    assert [r.nll for r in read(thinker, one, one, 8)] == [r.nll for r in read(thinker, other, other, 8)]


def test_rows_that_do_not_fit_into_the_model_are_not_read():
    """Their questions are still answered."""
    thinker = learned("cot")
    task = Multiplication(left=1, right=14, cot="compact", train_rows=3)
    report = evaluate_split(thinker, Cot(), task, task.template, task.examples("train"), SETTINGS)
    assert (report.ppl, report.token_accuracy, report.n) == (None, None, 3)
    assert "ppl" not in report.metrics() and report.summary()["ppl"] is None


def test_a_model_without_hope_has_a_perplexity_all_the_same(thinker):
    assert _perplexity(2.0) == math.exp(2.0) and _perplexity(1e4) == math.inf


def test_each_place_of_an_answer_is_counted():
    report = found(learned("no_cot"), "no_cot")
    gold, said = ([row[key].split() for row in report.rows] for key in ("gold", "extracted"))
    expected = [sum(g[k] == s[k] for g, s in zip(gold, said)) / 24 for k in range(3)]
    assert [report.summary()[f"place/{k}"] for k in range(3)] == expected
    assert list(report.tables["place"]) == ["0", "1", "2"] and min(expected) < 1
    assert report.accuracy <= min(expected)


@pytest.mark.parametrize(
    ("found_", "expected"),
    [
        ("8 0 4 0", [1, 1, 1, 1]),
        ("8 1 4 0", [1, 0, 1, 1]),
        ("8 0", [1, 1, 0, 0]),
        (None, [0] * 4),
        ("8 0 4 0 1", [1] * 4),
    ],
)
def test_places_of_a_product(found_, expected):
    task = Multiplication(left=2, right=2)
    assert task.places(task.row(12, 34), found_) == expected


def test_a_task_without_places_has_none(thinker, examples):
    assert TASK.places(examples[0], "x") is None


def test_the_speed_is_that_of_decoding_alone(monkeypatch):
    """A quarter of a second in the call that decodes counts; the same in the warm-up and half a second of grading do not."""
    thinker, task = learned("cot"), Multiplication
    honest, slow = thinker.complete, []

    def complete(prompts, *args, **options):
        slow.append(len(prompts))
        time.sleep(0.25)
        return honest(prompts, *args, **options)

    monkeypatch.setattr(thinker, "complete", complete)
    grade = task.grade

    def slowly(self, example, text):
        time.sleep(0.02)
        return grade(self, example, text)

    monkeypatch.setattr(task, "grade", slowly)
    report = found(thinker, "cot", warm_up=True, batch=4)
    assert slow == [4, 24]
    seconds = 24 / report.examples_per_second
    assert 0.25 <= seconds < report.seconds - 0.25 - 24 * 0.02
