"""A distilled run from its folder alone: how it thinks, how it was evaluated, how many silent steps it takes when their number is
given, and what may begin with its weights."""

import json
import shutil

import pytest
import torch

import tacit
from tacit.evaluate import evaluate
from tacit.models.making import thinker_from_recipe
from tacit.publish import merge
from tacit.recipe import load
from tacit.train.session import train

RECIPE = "adaptive/latent-6-by-1-tiny"
SMALL = {
    "task.train_rows": 64,
    "task.valid_rows": 24,
    "task.test_rows": 4,
    "train.steps": 3,
    "train.batch": 16,
    "train.warmup": 0,
    "eval.every": None,
    "eval.limit": 5,
    "eval.max_tokens": 6,
    "method.thoughts.confine": True,
    "method.thoughts.stop_temperature": 2.5,
    "method.thoughts.max_latents": 4,
}
SCRATCH = {"model.tiny.hidden": 16, "model.tiny.heads": 2}
LORA = {"model.lora": {"r": 2, "dropout": 0.0}}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs with adapters, by whether embedding and head are one table."""
    place = tmp_path_factory.mktemp("distilled")
    for tied in (True, False):
        more = {**SCRATCH, **LORA, "model.tiny.tied": tied, "train.lr": 0.05}
        train(RECIPE, SMALL | more, out=place / f"tied-{tied}")
    return place


@pytest.fixture
def run(runs):
    return runs / "tied-False"


def numbers(report) -> dict:
    timed = ("seconds", "examples_per_second", "run")
    return {name: value for name, value in report.summary().items() if name not in timed}


def test_a_folder_alone_thinks_and_is_evaluated_like_the_run(run, tmp_path):
    alone = shutil.copytree(run / "final", tmp_path / "alone")
    ours, theirs = evaluate(run), evaluate(alone)
    assert numbers(ours) == numbers(theirs) and ours.rows == theirs.rows and ours.n == 5
    thinking = tacit.load(alone).thinking
    assert (thinking.feedback, thinking.gain, thinking.confine) == ("mlp", 0.1, True)
    assert (thinking.stop_temperature, thinking.max_latents) == (2.5, 4)


def test_a_folder_that_lost_its_settings_would_be_noticed(run, tmp_path):
    alone = shutil.copytree(run / "final", tmp_path / "alone")
    facts = json.loads((alone / "thought.json").read_text())
    del facts["eval"]
    facts["thinking"]["max_latents"] = 1
    (alone / "thought.json").write_text(json.dumps(facts))
    found = evaluate(alone)
    assert found.n != 5 and found.latents_mean <= 1


@pytest.fixture
def endless(run, monkeypatch):
    """A model whose learned stop always goes on."""
    thinker = tacit.load(run).eval()
    own, vocab = thinker.logits, thinker.vocab

    def logits(hidden, said):
        found = own(hidden, said).clone()
        deciding = (said == vocab.open) | (said == vocab.latent)
        found[deciding, vocab.latent] = 1e4
        return found

    monkeypatch.setattr(thinker, "logits", logits)
    return thinker


def lengths(report) -> set[int]:
    return {sum(one["length"] for one in row["thoughts"] if one["kind"] == "silent") for row in report.rows}


@pytest.mark.parametrize("count", [0, 2, 9])
def test_a_given_number_of_silent_steps_does_not_ask_the_stop(endless, count):
    report = evaluate(endless, limit=6, latents=count)
    assert lengths(report) <= {count, 0} and report.latents_mean == count
    assert all(row["prompt"].count("<latent>") == count for row in report.rows)
    assert all(row["prompt"].rstrip().endswith("</think>") for row in report.rows)


def test_without_a_number_the_stop_is_asked(endless):
    """The twin: this model would never stop by itself, and is stopped."""
    assert lengths(evaluate(endless, limit=6, max_tokens=6)) == {4}


def test_a_folder_may_give_the_number(endless):
    """As the section eval of its recipe says; an explicit number wins over it."""
    endless.facts["eval"] = endless.facts["eval"] | {"latents": 3}
    assert evaluate(endless).latents_mean == 3
    assert evaluate(endless, latents=1).latents_mean == 1


def test_questions_may_be_asked_in_other_words(run):
    own = tacit.load(run).facts["template"]["question"]
    asked, other = evaluate(run).rows, evaluate(run, question=f"+1 {own}").rows
    assert [f"+1 {row['prompt']}".split() for row in asked] == [row["prompt"].split() for row in other]


def test_words_without_a_question_are_refused(run):
    with pytest.raises(tacit.errors.TacitError, match=r"eval.question .*must contain \{question\} exactly once"):
        evaluate(run, question="Question:")


@pytest.fixture
def scripted(run, monkeypatch):
    """A model that writes what is given, word by word, behind its thought."""
    thinker = tacit.load(run).eval()

    def write(*words: str):
        ids = [thinker.vocab.close, *thinker.tokenizer.convert_tokens_to_ids(list(words)), thinker.vocab.eos]
        following = dict(zip(ids, ids[1:]))

        def logits(hidden, said):
            found = torch.zeros(len(said), thinker.vocabulary)
            for row, token in zip(found, said.tolist()):
                row[following.get(token, thinker.vocab.close)] = 1.0
            return found

        monkeypatch.setattr(thinker, "logits", logits)
        return evaluate(thinker, limit=4, latents=6)

    write.cue = thinker.facts["template"]["cue"].split()
    return write


def test_six_silent_steps_are_eight_reasoning_tokens(scripted):
    report = scripted(*scripted.cue, "3")
    assert report.reasoning_tokens == {"mean": 8.0, "std": 0.0, "min": 8.0, "max": 8.0}
    assert (report.bad_format, report.cut_off, report.latents_mean) == (0.0, 0.0, 6.0)
    assert report.summary()["reasoning_tokens/mean"] == 8.0 and report.metrics()["reasoning_tokens/max"] == 8.0


def test_answers_in_another_form_are_not_counted(scripted):
    """The twin: nothing announces these answers."""
    report = scripted("3", "4")
    assert report.reasoning_tokens == {} and report.bad_format == 1.0
    assert "reasoning_tokens/mean" not in report.summary()


# --- what may begin with its weights -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tied", [True, False])
def test_a_new_run_begins_with_the_merged_weights(runs, tied, tmp_path):
    """In full, from the run itself or from the merged folder; with adapters of its own, from the merged folder."""
    run, whole = runs / f"tied-{tied}", tmp_path / "whole"
    merge(run, whole)
    trained = tacit.load(run)
    for start, lora in ((run, {}), (whole, {}), (whole, LORA)):
        recipe = load(RECIPE, {**SMALL, **lora, "model.path": str(start)}).recipe
        examples = list(recipe.resolved_task().examples("train"))
        begun = thinker_from_recipe(recipe, examples)
        assert begun.vocab == trained.vocab and hasattr(begun.model, "peft_config") == bool(lora)
        assert all(
            torch.equal(one, two) for one, two in zip(begun.feedback.parameters(), trained.feedback.parameters())
        )
        ids = torch.tensor([[trained.vocab.open, trained.vocab.close, 1, 2, 3]])
        with torch.no_grad():
            assert torch.allclose(begun.model(ids).logits, trained.model(ids).logits, atol=1e-5)


def test_a_run_from_a_run(run, tmp_path):
    first = evaluate(train(RECIPE, SMALL, out=tmp_path / "next", from_run=run) / "final")
    assert first.n == 5
    # Adapters upon a run that has some: those are merged into its weights, and the sum is saved with the new ones.
    second = evaluate(train(RECIPE, {**SMALL, **LORA}, out=tmp_path / "other", from_run=run) / "final")
    assert second.n == 5
