"""Run folders as their files tell them; tables and pictures made of them."""

import json
import sys

import pytest

from tacit.errors import DataError, TacitError
from tacit.study.compare import COLUMNS, compare, filled, print_table
from tacit.study.figures import figure
from tacit.study.plot import plot, stage_starts
from tacit.study.runs import Run, find_runs, read_lines
from tests.study.made_run import made_run, made_text_run

PNG = b"\x89PNG\r\n"


def test_a_run_tells_its_result(run):
    found = Run(run)
    assert (found.name, found.method, len(found.training), len(found.evaluations)) == ("made-coconut", "coconut", 40, 4)
    assert found.result()["accuracy"] == 0.75


def test_a_line_cut_off_at_the_end_is_left_out_and_one_inside_is_not(tmp_path):
    file = tmp_path / "metrics.jsonl"
    file.write_text('{"step": 1}\n{"step": 2}\n{"st')
    assert read_lines(file) == [{"step": 1}, {"step": 2}]
    file.write_text('{"step": 1}\n{"st\n{"step": 2}\n')
    with pytest.raises(DataError, match=r"metrics.jsonl:2: not a JSON object"):
        read_lines(file)


def test_runs_are_found_at_any_depth(tmp_path):
    folders = [made_run(tmp_path / name) for name in ("a/x", "a/y", "b")]
    assert [run.folder for run in find_runs(tmp_path)] == folders
    assert [run.folder for run in find_runs(tmp_path / "b")] == [tmp_path / "b"]
    with pytest.raises(TacitError, match="no folder"):
        find_runs(tmp_path / "none")


def test_verdicts_of_several_samples_stay_with_their_question(tmp_path):
    folder = made_run(tmp_path / "run")
    rows = [{"id": "q1", "correct": True}, {"id": "q1", "correct": False}, {"id": "q2", "correct": True}]
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert Run(folder).verdicts() == {"q1": [True, False], "q2": [True]}


def test_a_table_of_runs(run):
    [row] = compare([Run(run)])
    assert tuple(row) == COLUMNS
    assert (row["steps"], row["accuracy"], row["stderr"], row["thoughts"]) == (40, 0.75, 0.05, 7.5)
    assert (row["forwards"], row["flops"], row["seconds"]) == (10, 2e5, 20)


def test_texts_are_compared_by_nats(run, tmp_path, capsys):
    rows = compare([Run(made_text_run(tmp_path / "text"))])
    assert [rows[0][name] for name in ("accuracy", "nll", "null_nll", "used", "thoughts")] == [None, 1, 1.5, 0.25, 3]
    assert filled(rows) == ["run", "method", "steps", "nll", "null_nll", "used", "thoughts", "seconds"]
    assert "nll" not in filled(compare([Run(run)])) and "accuracy" in filled(rows + compare([Run(run)]))
    print_table(rows)
    assert "accuracy" not in (said := capsys.readouterr().out) and "1.0000" in said and "1.5000" in said


def test_runs_of_one_name_are_told_apart(tmp_path):
    folders = [made_run(tmp_path / name, "coconut") for name in "ab"] + [made_run(tmp_path / "c", "cot")]
    assert [row["run"] for row in compare([Run(f) for f in folders])] == [*map(str, folders[:2]), "made-cot"]


def test_a_run_that_has_just_begun_has_a_row_too(tmp_path):
    folder = made_run(tmp_path / "run")
    (folder / "metrics.jsonl").write_text('{"step": 1, "loss": 2.0}\n')
    [row] = compare([Run(folder)])
    assert (row["steps"], row["accuracy"], row["thoughts"]) == (1, None, None)
    with pytest.raises(TacitError, match="no evaluation"):
        Run(folder).result()


def test_pictures_are_made_again_from_files(run):
    files = plot(run)
    assert [file.relative_to(run).as_posix() for file in files] == [
        "plots/loss.png", "plots/accuracy.png", "plots/stages.png",
    ]  # fmt: skip
    first = [file.read_bytes() for file in files]
    assert all(data.startswith(PNG) and len(data) > 5_000 for data in first)
    for file in files:
        file.unlink()
    assert [file.read_bytes() for file in plot(run)] == first
    assert not list(run.rglob("*.part"))


def test_another_run_gives_another_picture(run, tmp_path):
    other = made_run(tmp_path / "other", accuracy=0.2, stages=2)
    assert plot(run)[1].read_bytes() != plot(other)[1].read_bytes()


def test_a_run_without_stages_has_no_picture_of_them(tmp_path):
    assert [file.name for file in plot(made_run(tmp_path / "run"))] == ["loss.png", "accuracy.png"]


def test_runs_below_a_folder_get_a_common_picture(tmp_path):
    for method in ("coconut", "cot"):
        made_run(tmp_path / method, method)
    assert plot(tmp_path)[-1] == tmp_path / "plots" / "accuracy.png"


def test_texts_have_a_picture_of_nats(tmp_path):
    """One for each run and one of all, in which the runs of a grid, all of one name, have lines of their own."""
    folders = [made_text_run(tmp_path / f"seed={seed}", nll=1 + seed) for seed in range(2)]
    assert [file.relative_to(tmp_path).as_posix() for file in plot(tmp_path)] == [
        f"{folder}plots/{name}.png" for folder in ("seed=0/", "seed=1/") for name in ("loss", "nll")
    ] + ["plots/nll.png"]  # fmt: skip
    first, second = ((folder / "plots" / "nll.png").read_bytes() for folder in folders)
    assert first != second
    together = (tmp_path / "plots" / "nll.png").read_bytes()
    (folders[1] / "recipe.yaml").write_text("method: {name: quiet}\nrun: {name: another}\n")
    plot(tmp_path)
    assert (tmp_path / "plots" / "nll.png").read_bytes() != together


def test_an_empty_folder_has_nothing_to_draw(tmp_path):
    with pytest.raises(TacitError, match="nothing to draw"):
        plot(tmp_path)


def test_stages_begin_where_training_says(run):
    assert stage_starts(Run(run)) == [(1, 0), (21, 1)]


def test_no_display_is_needed_and_a_failed_picture_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ZeroDivisionError), figure(tmp_path / "x.png", size=(2, 2)):
        _ = 1 / 0
    assert not list(tmp_path.iterdir()) and sys.modules["matplotlib"].get_backend().lower() == "agg"
