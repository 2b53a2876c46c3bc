"""A curriculum as its run's files tell it: the table of stages, and the pictures made for it."""

import json

import pytest

from tacit.cli import main
from tacit.study.compare import compare_stages
from tacit.study.plot import plot
from tacit.study.runs import Run
from tacit.study.stages import COLUMNS, by_stage, stage_name
from tacit.study.story import has_places, has_story
from tests.study.made_run import made_run


def internalized(folder, stages=4, places=3, method="filler"):
    """A run whose written tokens turn into pauses, one a stage."""
    file = made_run(folder, method, stages=stages) / "metrics.jsonl"
    lines = [json.loads(row) for row in file.read_text().splitlines()]
    for line in lines:
        if "loss" in line:
            line |= {"thought_tokens": stages - line["stage"], "pauses": line["stage"]}
        else:
            line |= {f"eval/place/{place}": 1 - place / 10 for place in range(places)}
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def test_a_row_for_each_stage_and_one_for_the_end(tmp_path):
    rows = by_stage(Run(internalized(tmp_path / "run")))
    assert [row["stage"] for row in rows] == ["0", "1", "2", "3", "end"]
    assert all(set(row) == set(COLUMNS) for row in rows)
    assert [row["from_step"] for row in rows] == [1, 11, 21, 31, None]
    assert [row["steps"] for row in rows[:4]] == [10] * 4 and [row["seconds"] for row in rows[:4]] == [5.0] * 4
    assert [row["thought_tokens"] for row in rows] == [4, 3, 2, 1, 1.5]
    assert [row["pauses"] for row in rows] == [0, 1, 2, 3, 6]
    assert [row["accuracy"] for row in rows] == [0.75 / 4, 0.75 / 2, 0.75 * 3 / 4, None, 0.75]
    assert rows[0]["places"] == [1.0, 0.9, 0.8] and rows[3]["places"] == []


def test_the_last_evaluation_is_the_end_and_not_of_the_last_stage(tmp_path):
    """Twin: without a line of training at its step it is an evaluation like others."""
    folder = internalized(tmp_path / "run")
    assert by_stage(Run(folder))[-2]["accuracy"] is None
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    more = json.loads(lines[-2]) | {"step": 41}
    (folder / "metrics.jsonl").write_text("\n".join([*lines, json.dumps(more)]) + "\n")
    assert [row["stage"] for row in by_stage(Run(folder))] == ["0", "1", "2", "3"]
    assert by_stage(Run(folder))[-1]["accuracy"] == 0.75


def test_a_stage_in_which_everything_is_gone_has_a_name():
    assert [stage_name(stage) for stage in (3, 1 << 20, 9_999)] == ["3", "all", "9999"]


def test_stages_of_runs_of_one_name_are_told_apart(tmp_path):
    runs = [Run(internalized(tmp_path / name)) for name in "ab"]
    assert [row["run"] for row in compare_stages(runs)] == [str(runs[0].folder)] * 5 + [str(runs[1].folder)] * 5


def test_a_run_that_was_never_evaluated_has_its_stages_too(tmp_path):
    folder = internalized(tmp_path / "run")
    lines = [line for line in (folder / "metrics.jsonl").read_text().splitlines() if '"loss"' in line]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    rows = by_stage(Run(folder))
    assert len(rows) == 4 and all(row["accuracy"] is None for row in rows)
    assert not has_story(Run(folder))


@pytest.mark.parametrize("stages", [4, 40])
def test_a_curriculum_has_a_story_and_places(tmp_path, stages):
    folder = internalized(tmp_path / "run", stages=stages, places=22 if stages == 40 else 3)
    files = {file.name: file.read_bytes() for file in plot(folder)}
    assert list(files) == ["story.png", "loss.png", "accuracy.png", "stages.png", "places.png"]
    assert {name: file.read_bytes() for name in files for file in [folder / "plots" / name]} == files
    assert [file.read_bytes() for file in plot(folder)] == list(files.values()), "made again, they are the same"


def test_twin_without_a_curriculum_or_places_there_is_neither(tmp_path):
    one = Run(internalized(tmp_path / "one", stages=1, places=0))
    assert not has_story(one) and not has_places(one)
    assert [file.name for file in plot(one.folder)] == ["loss.png", "accuracy.png"]
    old = Run(made_run(tmp_path / "old", stages=4))  # its log does not say what was written
    assert not has_story(old)


def test_another_curriculum_is_another_story(tmp_path):
    one, other = (plot(internalized(tmp_path / str(n), stages=n))[0].read_bytes() for n in (3, 4))
    assert one != other


def test_stages_on_the_command_line(tmp_path, capsys):
    internalized(tmp_path / "run")

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main(["compare", str(tmp_path / "run"), *words])
        return caught.value.code or 0, *capsys.readouterr()

    code, out, _ = run("--by", "stage", "--json", str(tmp_path / "table.json"))
    lines = out.splitlines()
    assert code == 0 and "pauses" in lines[0] and "latents" not in lines[0] and "places" in lines[0]
    assert "18.8% ± 5.0%" in lines[1] and "1.00 0.90 0.80" in lines[1] and " end " in lines[5]
    assert json.loads((tmp_path / "table.json").read_text()) == by_stage(Run(tmp_path / "run"))
    assert run("--by", "stages")[0] == 1
