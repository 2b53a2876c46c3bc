"""The verbs that evaluate, answer, compare, draw and make data, as a user meets them."""

import io
import json

import pytest

import tacit.bench
from tacit.cli import main
from tacit.cli.eval import Progress
from tacit.evaluate import KEYS, evaluate
from tacit.example import from_row
from tacit.tasks.arithmetic import Arithmetic
from tests.evaluate.small_thinker import TASK
from tests.study.made_run import made_run


@pytest.fixture
def tacit_(capsys):
    """Runs a command line; gives exit code, output and error output."""

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main(list(map(str, words)))
        return caught.value.code or 0, *capsys.readouterr()

    return run


def test_eval_prints_a_table_and_writes_what_scripts_parse(tacit_, folder, tmp_path):
    numbers, rows = tmp_path / "numbers.json", tmp_path / "rows.jsonl"
    code, out, _ = tacit_("eval", folder, "--limit", 4, "--json", numbers, "--rows", rows)
    found = json.loads(numbers.read_text())
    assert code == 0 and tuple(found)[: len(KEYS)] == KEYS and (found["n"], found["run"]) == (4, str(folder))
    assert f"({found['correct']} of 4)" in out and "silent steps" in out and "verdict" in out and "perplexity" in out
    lines = [json.loads(line) for line in rows.read_text().splitlines()]
    assert [line["id"] for line in lines] == [f"valid-{n}" for n in range(4)]


def test_several_samples_are_drawn_at_a_temperature(tacit_, folder, tmp_path):
    rows = tmp_path / "rows.jsonl"
    code, out, _ = tacit_("eval", folder, "--limit", 2, "--samples", 3, "--rows", rows, "--latents", 0, "--choices")
    texts = [json.loads(line)["text"] for line in rows.read_text().splitlines()]
    assert code == 0 and len(texts) == 6 and len(set(texts)) > 2 and "choice" in out


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--task", "prosqo"], "did you mean prosqa"),
        (["--data", "none.jsonl"], "no file none.jsonl"),
        (["--split", "tets"], "did you mean test"),
        (["--samples", "2", "--temperature", "0"], "all the same"),
    ],
)
def test_mistakes_in_eval_are_one_line(tacit_, folder, words, reason):
    code, out, err = tacit_("eval", folder, *words)
    assert (code, out) == (1, "") and reason in err and "Traceback" not in err


def test_progress_is_told_when_it_takes_long(capsys, monkeypatch):
    Progress()(1, 10)
    assert capsys.readouterr().err == ""
    clock = iter([0.0, 6.0, 6.5, 12.0])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    progress = Progress()
    for done in (2, 3, 4):
        progress(done, 4)
    assert capsys.readouterr().err == "\r2 of 4 answered, 6 s left  \r4 of 4 answered, 0 s left  \n"


QUESTION = TASK.examples("valid")[0].question


def test_generate_answers_in_order(tacit_, folder):
    questions = [example.question for example in TASK.examples("valid")[:6]]
    expected = [row["text"] for row in evaluate(folder, limit=6, max_tokens=5).rows]
    code, out, _ = tacit_("generate", folder, *questions, "--max-tokens", 5)
    assert code == 0 and len(set(expected)) > 1
    assert out == "".join(f"> {question}\n{text}\n" for question, text in zip(questions, expected))
    assert tacit_("generate", folder, questions[1], "--max-tokens", 5)[1] == f"{expected[1]}\n"


def test_generate_reads_lines_and_shows_thoughts(tacit_, folder, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{QUESTION}\n\n{QUESTION}\n"))
    code, out, _ = tacit_("generate", folder, "-", "--show-thoughts", "--max-tokens", 5)
    assert code == 0 and out.count("[thought: 2 silent") == 2


def test_generate_streams_the_same_to_a_terminal(tacit_, folder, monkeypatch):
    plain = tacit_("generate", folder, QUESTION, "--max-tokens", 5)[1]
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert tacit_("generate", folder, QUESTION, "--max-tokens", 5)[1] == plain


def test_generate_wants_a_question(tacit_, folder):
    assert tacit_("generate", folder)[0] == 2
    assert tacit_("generate", folder, " ")[0] == 1


def test_compare_and_plot(tacit_, tmp_path):
    made_run(tmp_path / "a", "coconut")
    made_run(tmp_path / "b", "cot", accuracy=0.5)
    code, out, _ = tacit_("compare", tmp_path / "a", tmp_path / "b", "--json", tmp_path / "table.json")
    assert code == 0 and "75.0% ± 5.0%" in out and "50.0% ± 5.0%" in out
    assert [row["method"] for row in json.loads((tmp_path / "table.json").read_text())] == ["coconut", "cot"]
    code, out, _ = tacit_("plot", tmp_path)
    assert code == 0 and len(out.splitlines()) == 5
    assert tacit_("compare", tmp_path / "a" / "plots")[0] == 1
    assert tacit_("plot", tmp_path / "none")[0] == 1


def test_data_is_made_in_the_row_schema(tacit_, tmp_path):
    file = tmp_path / "new" / "rows.jsonl"
    code, out, _ = tacit_("data", "make", "arithmetic", "--rows", 7, "--seed", 3, "--out", file)
    rows = [from_row(json.loads(line)) for line in file.read_text().splitlines()]
    assert (code, out) == (0, f"7 rows in {file}\n")
    assert rows == Arithmetic(seed=3, train_rows=7).examples("train")
    assert not list(file.parent.glob("*.part"))


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["gsm8k"], "makes none up; take one of: arithmetic"),
        (["arithmetics"], "did you mean arithmetic"),
        (["arithmetic", "--split", "dev"], "no split"),
    ],
)
def test_data_that_cannot_be_made(tacit_, tmp_path, words, reason):
    code, _, err = tacit_("data", "make", *words, "--out", tmp_path / "x.jsonl")
    assert code == 1 and reason in err and not list(tmp_path.iterdir())


def test_benchmarks_are_listed_and_run(tacit_, tmp_path, monkeypatch):
    assert "coconut" in tacit_("ls", "bench")[1]
    folder = tmp_path / "benchmarks_of_a_test"
    folder.mkdir()
    (folder / "quick.py").write_text('"""Quick."""\ndef report():\n    return [{"name": "x", "ratio": 1.0}]\n')
    (folder / "aid.py").write_text('"""No benchmark."""\n')
    monkeypatch.setattr(tacit.bench, "FOLDER", folder)
    monkeypatch.syspath_prepend(tmp_path)
    assert tacit_("ls", "bench")[1] == "quick  Quick.\n"
    assert tacit_("bench", "quick", "--json", tmp_path / "out.json")[0] == 0
    assert json.loads((tmp_path / "out.json").read_text()) == [{"name": "x", "ratio": 1.0}]
    code, _, err = tacit_("bench", "quack")
    assert code == 1 and "did you mean quick" in err


def test_claims_are_listed_for_programs(tacit_):
    rows = json.loads(tacit_("ls", "claims", "--json")[1])
    assert {"arithmetic-steps"} <= {row["name"] for row in rows} and all(row["about"] for row in rows)
    assert {row["kind"] for row in json.loads(tacit_("ls", "--json")[1])} >= {"methods", "tasks", "claims", "bench"}


def test_a_claim_is_not_rebuilt_at_a_scale_it_does_not_have(tacit_):
    code, _, err = tacit_("repro", "arithmetic-steps", "--scale", "paper")
    assert code == 1 and "Scales: smoke, cpu" in err
