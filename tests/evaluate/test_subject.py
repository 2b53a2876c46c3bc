"""What a folder says about its model, and what may be said instead; answers to anybody's questions."""

import json

import pytest

import tacit.evaluate
from tacit.errors import ModelError, TacitError
from tacit.evaluate import evaluate
from tacit.evaluate.subject import load_for_eval, method_of
from tacit.example import to_row
from tacit.methods.cot import Cot
from tacit.tasks.arithmetic import Arithmetic
from tacit.thinker import Thinker
from tests.evaluate.small_thinker import METHOD, TASK, facts


def test_a_run_folder_knows_its_method_task_and_settings(folder):
    subject = load_for_eval(folder)
    assert (subject.method, subject.task, subject.template) == (METHOD, TASK, TASK.template)
    assert (len(subject.examples), subject.settings.max_tokens, subject.settings.batch) == (6, 5, 4)
    assert subject.examples == TASK.examples("valid")[:6]


def test_what_is_given_wins(folder):
    subject = load_for_eval(folder, limit=3, split="test", max_tokens=9)
    assert (subject.examples, subject.settings.max_tokens) == (TASK.examples("test")[:3], 9)


def test_a_run_without_a_model_is_refused(tmp_path):
    (tmp_path / "recipe.yaml").write_text("{}")
    with pytest.raises(ModelError, match="holds no model"):
        load_for_eval(tmp_path)


def test_a_loaded_model_and_its_folder_are_the_same(folder):
    by_path = evaluate(folder).summary()
    loaded = Thinker.from_pretrained(folder / "final")
    by_model = evaluate(loaded, limit=6, max_tokens=5).summary()
    assert by_path["run"] == str(folder)
    assert by_path.pop("ppl") == pytest.approx(by_model.pop("ppl"))
    others = {"run": "", "seconds": 0, "examples_per_second": 0}
    assert by_path | others == by_model | others


def test_rows_of_a_file_are_graded_by_the_runs_task(folder, tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(to_row(example)) + "\n" for example in TASK.examples("test")))
    report = evaluate(folder, data=file, limit=4)
    assert (report.n, report.task, report.extractor) == (4, "prosqa_symbolic", "exact@1")
    assert [row["gold"] for row in report.rows] == [example.answer for example in TASK.examples("test")[:4]]


def test_another_task_brings_its_own_words(folder):
    subject = load_for_eval(folder, task="arithmetic", limit=2)
    assert subject.task == Arithmetic() and subject.template == Arithmetic().template


def test_mistakes_are_told(folder, thinker, tmp_path):
    with pytest.raises(TacitError, match="not both"):
        load_for_eval(folder, task="prosqa", data="x")
    with pytest.raises(TacitError, match="no task called 'prosqo'; did you mean prosqa"):
        load_for_eval(folder, task="prosqo")
    with pytest.raises(TacitError, match="task rows cannot be used like this"):
        load_for_eval(folder, task="rows")
    with pytest.raises(TacitError, match="no file"):
        load_for_eval(folder, data=tmp_path / "none.jsonl")
    with pytest.raises(TacitError, match="no split"):
        load_for_eval(folder, split="tset")
    with pytest.raises(TacitError, match=r"eval.batch 0"):
        load_for_eval(folder, batch=0)
    with pytest.raises(TacitError, match="does not say which task"):
        load_for_eval(thinker)


def test_any_model_is_asked_the_question_alone():
    assert method_of({}) == Cot()
    assert method_of(facts()) == METHOD


# --- answers ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def loaded(thinker, monkeypatch):
    monkeypatch.setattr(thinker, "facts", facts())
    return thinker


def test_answers_are_those_of_the_evaluation(loaded, folder):
    report = evaluate(loaded, limit=4, max_tokens=6)
    answers = loaded.generate([example.question for example in TASK.examples("valid")[:4]], max_tokens=6)
    assert [answer.text for answer in answers] == [row["text"] for row in report.rows]
    for answer, row in zip(answers, report.rows):
        assert [thought._asdict() for thought in answer.thoughts] == row["thoughts"]
        assert answer.n_thoughts == 2 and answer.logprob < 0


def test_streamed_pieces_are_the_text(loaded):
    pieces = []
    [answer] = loaded.generate("1 2 [Q] 2 3 [R] 1", max_tokens=6, on_token=lambda *told: pieces.append(told[2]))
    assert "".join(pieces) == answer.text and len(pieces) > 1


def test_sampling_is_by_seed(loaded):
    draws = [
        loaded.generate("1 2 [Q] 2 3 [R] 1", temperature=2.0, seed=seed, max_tokens=8)[0].text for seed in (1, 1, 2)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_questions_and_options_are_checked(loaded):
    with pytest.raises(TacitError, match="prompt 2 is empty"):
        loaded.generate(["1", " "])
    with pytest.raises(TacitError, match="takes no 'max_token'; did you mean max_tokens"):
        loaded.generate("1", max_token=3)


def test_the_package_is_callable_under_its_own_name(folder):
    assert tacit.evaluate(folder, limit=2).n == 2


def test_importing_the_package_is_cheap():
    assert "torch" not in vars(tacit.evaluate)
