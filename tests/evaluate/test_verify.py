"""Answers that one read verifies are those that decoding gives, to the last row, for every way of asking."""

from functools import cache

import pytest
import torch

from tacit.batch import Batch
from tacit.evaluate import reading
from tacit.evaluate.reading import continuation
from tacit.evaluate.split import evaluate_split
from tacit.example import Template, encode
from tacit.layout import Layout, Segment
from tacit.methods.coconut import Coconut
from tacit.methods.cot import Cot, NoCot
from tacit.methods.filler import PAUSE, Filler
from tacit.methods.gate import Gate
from tacit.methods.icot import Icot
from tacit.methods.mixed import Mixed
from tacit.methods.pause import Pause
from tacit.methods.removal import Removal
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import word_tokenizer
from tacit.models.tokens import add_tokens
from tacit.recipe.training import Eval
from tacit.tasks.multiplication import Multiplication
from tacit.thinker import Thinker

TASK = Multiplication(left=1, right=2, cot="compact", train_rows=24)
TWO_ENDS = Multiplication(
    left=1,
    right=2,
    cot="compact",
    train_rows=24,
    template=Template(kind="symbolic", question="{question} =", step="{step}", cue="{eos} ####", answer="{answer}"),
)
GATE = Gate(stages=4)


CASES = {
    "cot": (Cot(), None, TASK, "gpt2"),
    "no_cot": (NoCot(), None, TASK, "gpt2"),
    "no_cot-recurrent": (NoCot(), None, TASK, "gru"),
    "icot-shift": (Icot(), 2, TASK, "gpt2"),
    "icot-keep": (Icot(positions="keep"), 2, TASK, "llama"),
    "icot-keep-end": (Icot(positions="keep", removal=Removal(smoothing=1.0)), None, TASK, "gpt2"),
    "filler-fed": (Filler(gate=GATE), None, TASK, "gpt2"),
    "filler-fed-halfway": (Filler(gate=GATE, frontier_weight=2.0), 2, TASK, "gpt2"),
    "filler-supervised": (Filler(gate=GATE, supervised=True), 2, TASK, "gpt2"),
    "mixed": (Mixed(fillers=3), None, TASK, "gpt2"),
    "coconut": (Coconut(max_stage=2), None, TASK, "gpt2"),
    "coconut-halfway": (Coconut(max_stage=2), 1, TASK, "llama"),
    "pause": (Pause(max_stage=2), None, TASK, "gpt2"),
    "two-ends": (Cot(), None, TWO_ENDS, "gpt2"),
}
OTHERS = {
    "icot-keep-right": (Icot(positions="keep", removal=Removal(side="right")), 2, TASK, "gpt2"),
    "filler-long": (Filler(supervised=True, ratio=4.0), None, TASK, "gpt2"),
}


@cache
def learned(case: str, share: float = 0.5) -> Thinker:
    """A thinker that knows this share of the task's examples, in float64 so that no two tokens are equally likely."""
    method, stage, task, family = (CASES | OTHERS)[case]
    torch.manual_seed(0)
    tokenizer = word_tokenizer(task.words())
    vocab = add_tokens(tokenizer, (PAUSE,))
    size = {} if family == "gru" else {"heads": 2, "positions": 40}
    scratch = Scratch(family=family, layers=1, hidden=24, **size)
    model = build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0)
    thinker = Thinker(model.double(), tokenizer, vocab, method.thinking())
    rows = encode(task.examples("train"), tokenizer, task.template.filled(tokenizer))
    batch = Batch.of([method.layouts(row, vocab, stage, None)["main"] for row in rows], vocab)
    optimizer = torch.optim.AdamW(thinker.parameters(), 1e-2)
    rounds = iter(range(30))  # where answers jump over positions, no training makes them right
    while found(thinker, case).accuracy < share and next(rounds, None) is not None:
        for _ in range(5):
            thinker.loss(batch).backward()
            optimizer.step()
            optimizer.zero_grad()
    return thinker.eval()


def found(thinker, case: str, latents=None, warm_up=False, limit=None, **settings):
    method, stage, task, _ = (CASES | OTHERS)[case]
    how, rows = Eval(split="train", **settings), task.examples("train")[:limit]
    options = {"latents": latents, "warm_up": warm_up}
    return evaluate_split(thinker, method, task, task.template, rows, how, stage, **options)


def answers(report) -> tuple:
    """Everything about the answers, and nothing about what they took."""
    costs = dict.fromkeys(("seconds", "forwards", "flops", "examples_per_second", "ppl"))
    return report.summary() | costs, report.rows


class Decoded:
    """Counts the prompts that are decoded."""

    def __init__(self, thinker, monkeypatch):
        self.count, complete = 0, thinker.complete

        def counting(prompts, *args, **options):
            self.count += len(prompts)
            return complete(prompts, *args, **options)

        monkeypatch.setattr(thinker, "complete", counting)


@pytest.mark.parametrize("case", CASES)
def test_verified_answers_are_the_decoded_ones(case, monkeypatch):
    thinker = learned(case)
    expected = answers(found(thinker, case))
    decoded = Decoded(thinker, monkeypatch)
    for batch in (1, 7, 64):
        decoded.count = 0
        report = found(thinker, case, batch=batch, check="verify")
        assert answers(report) == expected
        assert 24 - report.correct <= decoded.count < 24, "rows that are not as in the data, and no others"
        assert 0 < report.correct < 24


@pytest.mark.parametrize("most", range(1, 9))
def test_answers_end_at_the_limit_of_tokens_as_decoding_does(most, monkeypatch):
    """The gold text is longer than most of these limits, and so is what the model would write."""
    thinker = learned("cot")
    expected = answers(found(thinker, "cot", max_tokens=most))
    decoded = Decoded(thinker, monkeypatch)
    assert answers(found(thinker, "cot", max_tokens=most, check="verify")) == expected
    assert decoded.count < 24


def test_supervised_pauses_count_towards_the_limit_as_decoding_has_it():
    thinker = learned("filler-long")
    for most in (3, 6, 7, 16):
        expected = answers(found(thinker, "filler-long", max_tokens=most))
        assert answers(found(thinker, "filler-long", max_tokens=most, check="verify")) == expected


def test_an_untrained_model_is_decoded_as_ever(monkeypatch):
    thinker = learned("cot", share=0.0)
    expected = answers(found(thinker, "cot"))
    decoded = Decoded(thinker, monkeypatch)
    assert answers(found(thinker, "cot", check="verify")) == expected and decoded.count == 24


@pytest.mark.parametrize("case", ["cot", "icot-keep", "filler-fed", "coconut"])
def test_twin_hits_in_the_wrong_columns_are_noticed(case, monkeypatch):
    """Shifted by as many columns as a row has learned tokens, they are those of the row before."""
    thinker = learned(case)
    expected = answers(found(thinker, case))
    honest = reading.token_nll_and_hits

    def shifted(*args):
        each, hits = honest(*args)
        return each, hits.roll(len(hits) // 24)

    monkeypatch.setattr(reading, "token_nll_and_hits", shifted)
    assert answers(found(thinker, case, check="verify")) != expected


def test_twin_a_prompt_that_does_not_begin_the_layout_would_be_noticed(monkeypatch):
    """Without positions in between, the read tells nothing about answers at kept ones."""
    case = "icot-keep-right"
    thinker = learned(case)
    expected = answers(found(thinker, case))
    decoded = Decoded(thinker, monkeypatch)
    assert answers(found(thinker, case, check="verify")) == expected and decoded.count == 24
    monkeypatch.setattr(reading, "continuation", lambda layout, prompt, vocab: tuple(layout.ids[len(prompt) :]))
    assert answers(found(thinker, case, check="verify")) != expected


def test_where_answers_are_drawn_all_are_decoded(monkeypatch):
    thinker = learned("no_cot")
    drawn = {"temperature": 1.0, "samples": 2}
    expected = answers(found(thinker, "no_cot", **drawn))
    decoded = Decoded(thinker, monkeypatch)
    report = found(thinker, "no_cot", check="verify", **drawn)
    assert answers(report) == expected and decoded.count == 48


def test_silent_steps_that_were_set_are_read_like_that():
    thinker = learned("coconut")
    expected = answers(found(thinker, "coconut", latents=1))
    assert answers(found(thinker, "coconut", latents=1, check="verify")) == expected


def test_everything_verified_leaves_no_speed_of_decoding():
    thinker = learned("no_cot", share=1.0)
    report = found(thinker, "no_cot", check="verify")
    assert report.accuracy == 1 and report.examples_per_second is None and report.forwards == 24
    assert "examples_per_second" not in report.metrics() and report.summary()["examples_per_second"] is None


# --- what decoding could write ---------------------------------------------------------------------------------------

ASK, VOCAB = Segment("question", (11, 12)), add_tokens(word_tokenizer(["a"]))
END = Segment("answer", (20, VOCAB.eos), 1.0)


@pytest.mark.parametrize(
    ("behind", "prompt", "expected"),
    [
        ((END,), (ASK,), (20, VOCAB.eos)),
        ((Segment("pause", (5, 5)), END), (ASK, Segment("pause", (5, 5))), (20, VOCAB.eos)),
        ((Segment("pause", (5, 5)), END), (ASK, Segment("pause", (5,))), ()),
        ((END,), (Segment("question", (11, 13)),), ()),
        ((END,), (Segment("question", (11, 12), skip=1),), ()),
        ((END._replace(skip=2),), (ASK,), ()),
        ((END._replace(learn=0.0),), (ASK,), ()),
        ((END._replace(labels=(21, VOCAB.eos)),), (ASK,), ()),
        ((Segment("thought", (VOCAB.latent,), 1.0), END), (ASK,), ()),
        ((), (ASK, END), ()),
    ],
)
def test_what_a_layout_has_behind_a_prompt(behind, prompt, expected):
    assert continuation(Layout(ASK, *behind), Layout(*prompt), VOCAB) == expected
