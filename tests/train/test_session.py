"""The verb and the function: from a recipe's name to a run folder that everybody else can read."""

import json
import os
import signal

import pytest

import tacit
from tacit.cli import main
from tacit.errors import TacitError
from tacit.recipe.training import Eval
from tacit.train.session import check_best
from tacit.train.step import Stepper

RECIPE = """\
about: sums from scratch
model: {tiny: {layers: 1, hidden: 16, heads: 2, positions: 256}}
task: {name: multiplication, train_rows: 24, valid_rows: 8}
method: {name: coconut, epochs_per_stage: 0.5, max_stage: 1}
train: {steps: 4, batch: 8, save_every: 2, log_every: 1}
eval: {every: 2, limit: 4, max_tokens: 8}
"""


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    """A recipe file in an empty working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sums.yaml").write_text(RECIPE)
    return "sums.yaml"


def verb(*words):
    """Exit code of a command line."""
    with pytest.raises(SystemExit) as end:
        main(["train", *words])
    return end.value.code or 0


def facts(folder):
    return json.loads((folder / "manifest.json").read_text())


def test_the_verb_prints_the_run_folder_last(recipe, tmp_path, capsys):
    assert verb(recipe, "--out", "here", "train.seed=3") == 0
    assert capsys.readouterr().out.splitlines()[-1] == "here"
    here = tmp_path / "here"
    assert {p.name for p in here.iterdir()} >= {"recipe.yaml", "manifest.json", "metrics.jsonl", "samples.jsonl"}
    assert facts(here)["seeds"]["train"] == 3
    lines = [json.loads(line) for line in (here / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines if "eval/accuracy" in line] == [2, 4]
    samples = [json.loads(line) for line in (here / "samples.jsonl").read_text().splitlines()]
    assert len(samples) == 4
    assert samples[0].keys() >= {"id", "prompt", "thoughts", "text", "extracted", "gold", "correct"}


def test_what_is_written_can_be_loaded_and_evaluated(recipe):
    folder = tacit.train(recipe, {"train.steps": 2})
    assert folder.as_posix() == "runs/sums"
    from tacit.evaluate import evaluate

    report = evaluate(folder, limit=4)
    last = json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])
    assert report.accuracy == last["eval/accuracy"] and report.task == "multiplication"


def test_resuming_by_the_verb(recipe, tmp_path, capsys):
    assert verb(recipe, "--resume") == 0, "a folder that is not there is begun"
    assert verb(recipe) == 1, "and is not written over"
    assert "holds a run already" in capsys.readouterr().err
    assert verb(recipe, "--resume", "2", "--time-limit", "0") == 130
    assert "stopped at step 3 of 4" in capsys.readouterr().err
    assert verb(recipe, "train.steps=5", "--resume") == 0
    assert [again["step"] for again in facts(tmp_path / "runs" / "sums")["resumed"]] == [2, 3]
    assert facts(tmp_path / "runs" / "sums")["step"] == 5


def test_a_signal_ends_the_verb_with_130(recipe, monkeypatch, capsys):
    take = Stepper.take

    def interrupted(self, step, picks, stage):
        os.kill(os.getpid(), signal.SIGTERM)
        return take(self, step, picks, stage)

    monkeypatch.setattr(Stepper, "take", interrupted)
    assert verb(recipe) == 130
    said = capsys.readouterr()
    assert "stopped at step 1 of 4; runs/sums goes on with --resume" in said.err and "Traceback" not in said.err


def test_a_run_from_the_weights_of_another(recipe, tmp_path):
    import torch

    from tacit.thinker import Thinker

    first = tacit.train(recipe)
    tacit.train(recipe, ["train.steps=1", "train.lr=1e-12"], out="next", from_run=first)
    one, other = (Thinker.from_pretrained(folder) for folder in (first, tmp_path / "next"))
    for (name, p), (_, q) in zip(one.named_parameters(), other.named_parameters()):
        assert torch.allclose(p, q, atol=1e-9), name


def test_tiny_makes_it_tiny(recipe, tmp_path):
    assert verb(recipe, "--tiny", "--out", "tiny", "train.save_every=null") == 0
    assert facts(tmp_path / "tiny")["step"] == 2 and facts(tmp_path / "tiny")["data"]["examples"] == 24


def test_mistakes_end_on_one_screen(recipe, capsys):
    assert verb(recipe, "train.lrr=3") == 1
    assert "train.lr" in capsys.readouterr().err
    with pytest.raises(TacitError, match="has no checkpoint of step 7"):
        tacit.train(recipe, resume=7)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["eval.best_metric=acuracy"], "there is no number 'acuracy'; did you mean accuracy?"),
        (["eval.best_metric=-nll"], "with eval.check: generate there is no number 'nll'"),
        (["eval.best_metric=-nl", "eval.check=likelihood"], "with eval.check: likelihood there is no number 'nl'"),
    ],
)
def test_a_best_metric_that_there_will_not_be_is_told_before_anything_is_learned(recipe, tmp_path, capsys, words, told):
    assert verb(recipe, "--out", "here", *words) == 1
    assert told in capsys.readouterr().err and not (tmp_path / "here").exists()


def test_texts_have_no_accuracy(capsys):
    assert verb("quiet/gru-tiny", "--tiny", "--out", "here", "eval.best_metric=accuracy") == 1
    assert "texts are read, not answered; set eval.best_metric: -nll" in capsys.readouterr().err


@pytest.mark.parametrize("metric", ["-thought_tokens_mean", "cot_match", "accuracy/two", "-nll"])
def test_twin_what_an_evaluation_may_tell_is_taken(metric):
    check_best(Eval(best_metric=metric, check="likelihood" if "nll" in metric else "generate"), texts=False)
    check_best(Eval(best_metric="-base_nll"), texts=True)


def test_a_method_cannot_report_under_a_name_of_the_loop(recipe, monkeypatch, capsys):
    """Tokens read would be overwritten by whatever else a method calls so."""
    take = Stepper.take

    def renaming(self, step, picks, stage):
        outcome = take(self, step, picks, stage)
        outcome.parts["tokens"] = 1.0
        return outcome

    assert verb(recipe, "--out", "plain") == 0
    monkeypatch.setattr(Stepper, "take", renaming)
    assert verb(recipe, "--out", "renamed") == 1
    assert "method coconut reports ['tokens']" in capsys.readouterr().err
