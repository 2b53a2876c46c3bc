"""The two lines of the published journal, with small files in the place of the download and a small folder in that of Qwen; and
every key of the argument files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tacit.compat.coconut import icot, run
from tacit.compat.coconut.keys import KEYS
from tacit.compat.coconut.plan import judged, plan
from tacit.errors import TacitError
from tacit.study.runs import Run
from tests.compat import tiny_qwen

ROOT = Path(__file__).parents[2]
ARGS = sorted((ROOT / "args").glob("*.yaml"))
SMALL = {"bf16": False, "model_id": "./qwen"}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A model and text files, made once."""
    place = tmp_path_factory.mktemp("published")
    tiny_qwen.write_model(place / "qwen")
    tiny_qwen.write_lines(place / "lines")
    return place


@pytest.fixture
def place(made, tmp_path, monkeypatch):
    """A working folder with the model and the rows."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(icot.FILES, str(made / "lines"))
    (tmp_path / "qwen").symlink_to(made / "qwen")
    (tmp_path / "args").mkdir()
    return tmp_path


@pytest.fixture
def rows(place):
    assert icot.main([]) == 0
    return place


def args(place: Path, name: str, **changes) -> Path:
    """A published argument file with some values of our own."""
    values = yaml.safe_load((ROOT / "args" / f"{name}.yaml").read_text()) | SMALL | changes
    file = place / "args" / f"{name}.yaml"
    file.write_text(yaml.safe_dump(values))
    return file


def refused(place: Path, **changes) -> str:
    with pytest.raises(TacitError) as caught:
        judged(plan(args(place, "gsm_coconut_qwen", load_model_path="None", **changes)))
    return str(caught.value)


def settled(place: Path, name: str = "gsm_coconut_qwen", **changes):
    return judged(plan(args(place, name, load_model_path="None", **changes))).recipe


# --- the two lines ---------------------------------------------------------------------------------------------------


def test_the_two_lines_of_the_journal(place):
    """And the coconut file trains its own start first, stage after stage, without a further word."""
    args(place, "gsm_cot_qwen", num_epochs=1)
    stages = {"num_epochs": 4, "epochs_per_stage": 1, "max_latent_stage": 1, "resume": 1}
    args(place, "gsm_coconut_qwen", batch_size_training=8, **stages)
    shell = {**os.environ, "PYTHON": sys.executable, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    subprocess.run(["bash", ROOT / "scripts/preprocessing/gsm_icot.bash"], check=True, env=shell, capture_output=True)
    assert json.loads((place / "data/gsm_train.json").read_text())[5] == {
        "question": "Lena has 7 plums. How many plums does Lena have?", "steps": [], "answer": "7",
    }  # fmt: skip
    command = [sys.executable, ROOT / "scripts/run.py", "args/gsm_coconut_qwen.yaml"]
    done = subprocess.run(command, env=shell, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("# args/gsm_cot_qwen.yaml") < done.stdout.index("# args/gsm_coconut_qwen.yaml")
    assert done.stdout.count("Accuracy on validation set: ") == 2
    last = Run(place / "outputs/gsm-coconut-qwen")
    assert [line["stage"] for line in last.evaluations] == [1, 2, 2]
    assert last.recipe["model"]["path"] == "outputs/gsm-cot-qwen" and last.result()["latents_mean"] == 2
    assert (last.folder / "table.md").read_text().count("gsm-co") >= 2 and (last.folder / "plots/stages.png").exists()


def test_the_same_command_goes_on_and_another_one_is_refused(rows, capsys):
    file = args(rows, "gsm_cot_qwen", num_epochs=1)
    assert run.main([str(file)]) == 0
    before = (rows / "outputs/gsm-cot-qwen/metrics.jsonl").read_text()
    assert run.main([str(file)]) == 0
    assert (rows / "outputs/gsm-cot-qwen/metrics.jsonl").read_text() == before
    args(rows, "gsm_cot_qwen", num_epochs=1, lr=0.5)
    assert run.main([str(file)]) == 1 and "holds a run with other settings" in capsys.readouterr().err


def test_evaluation_takes_the_latents_of_its_stage(rows, capsys):
    args(
        rows, "gsm_coconut_qwen", num_epochs=1, resume=0, load_model_path="None", epochs_per_stage=1, max_latent_stage=1
    )
    assert run.main(["args/gsm_coconut_qwen.yaml"]) == 0
    capsys.readouterr()
    for resume, latents in ((0, 0), (1, 2), (15, 2)):
        changes = {"only_eval": True, "load_model_path": "outputs/gsm-coconut-qwen", "resume": resume}
        args(rows, "gsm_coconut_qwen", epochs_per_stage=1, max_latent_stage=1, **changes)
        assert run.main(["args/gsm_coconut_qwen.yaml"]) == 0
        told = capsys.readouterr()
        assert f"stands for {latents} silent steps" in told.err and "Accuracy on validation set: " in told.out


def test_a_dry_run_prints_and_trains_nothing(rows, capsys):
    args(rows, "gsm_cot_qwen")
    assert run.main([str(args(rows, "gsm_coconut_qwen")), "--dry-run"]) == 0
    assert capsys.readouterr().out.count("run:\n  folder: outputs/") == 2 and not (rows / "outputs").exists()


# --- keys ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", ARGS, ids=lambda file: file.stem)
def test_our_argument_files_can_be_run(file, rows, monkeypatch):
    """All but their models, which are not here."""
    for task in ("prosqa", "prontoqa"):
        for split in ("train", "valid"):
            (rows / f"data/{task}_{split}.json").write_bytes((rows / f"data/gsm_{split}.json").read_bytes())
    values = yaml.safe_load(file.read_text())
    assert set(values) <= set(KEYS)
    recipe = settled(rows, file.stem)
    assert recipe.run.folder == f"outputs/{values['name']}"
    assert recipe.train.epochs == values["num_epochs"] - values["resume"]


def test_what_keys_become(rows):
    recipe = settled(rows, replacement_method="0.5", uniform_prob=0.3, pad_latent_to_max=False, reset_optimizer=True)
    method = recipe.method.settings
    assert (method.latents_per_step, method.max_stage, method.first_stage, method.epochs_per_stage) == (2, 3, 1, 3.0)
    assert (method.mix, method.pad_to_max, method.thoughts.source) == (0.3, False, "middle")
    assert (recipe.train.reset_optimizer, recipe.train.clip, recipe.train.schedule) == ("epoch", None, "constant")
    assert (recipe.train.batch, recipe.train.epochs, recipe.eval.max_tokens) == (16, 22.0, 64)
    assert recipe.eval.every == recipe.train.save_every == "epoch"
    assert settled(rows, bf16=True).train.precision == "bf16"
    assert settled(rows, bf16=True, bf16_weight=True).train.precision == "bf16_weights"
    small = settled(rows, max_size=9)
    assert (small.train.limit, small.eval.limit) == (9, 3)
    debug = settled(rows, debug=True)
    assert (debug.train.limit, debug.eval.limit, debug.train.save_every) == (5000, 32, None)
    wide = settled(rows, gradient_accumulation_steps=4)
    assert (wide.train.batch, wide.train.micro_batch) == (64, 16)
    assert settled(rows, coconut=False, no_thoughts=True).method.name == "no_thoughts"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"c_thougt": 2}, "c_thougt: no such key; did you mean c_thought?"),
        ({"replacement_method": "supressed[0.5:]"}, "suppressed activations are left out"),
        ({"cot": True}, "coconut and cot are True; exactly one"),
        ({"coconut": False}, "none of coconut, cot, no_thoughts, no_cot is True"),
        ({"c_thought": "two"}, "c_thought: 'two': a whole number from 0 on is expected"),
        ({"only_eval": 1}, "only_eval: 1: True or False is expected"),
        ({"resume": 25}, "leaves none of num_epochs: 25 to train"),
        ({"train_path": "data/gsm_trian.json"}, "make it with bash scripts/preprocessing/gsm_icot.bash"),
        ({"lr": 0}, "lr: 0.0 must be more than 0"),
    ],
)
def test_what_cannot_be_is_refused_by_its_key(rows, changes, told):
    assert told in refused(rows, **changes)


@pytest.mark.parametrize("count", ["two", "0", "-1", "1.5", ""])
def test_a_number_of_processes_that_is_none(rows, monkeypatch, count):
    monkeypatch.setenv("WORLD_SIZE", count)
    assert f"WORLD_SIZE: this variable of the environment is {count!r}" in refused(rows)


def test_all_faults_come_at_once(rows):
    told = refused(rows, c_thougt=2, seed=-1, lr="fast")
    assert "3 faults" in told and "seed" in told and "lr" in told


def test_keys_without_a_meaning_are_answered_in_a_line(rows):
    notes = plan(args(rows, "gsm_cot_qwen")).notes
    assert any(note.startswith("project: no effect") for note in notes)
    assert any("no effect with cot" in note and "c_thought" in note for note in notes)
    assert all("\n" not in note for note in notes)
    silent = yaml.safe_load((rows / "args/gsm_cot_qwen.yaml").read_text())
    del silent["project"]
    (rows / "args/other.yaml").write_text(yaml.safe_dump(silent))
    assert not any(note.startswith("project") for note in plan(rows / "args/other.yaml").notes)


def test_a_start_that_nobody_makes(rows):
    with pytest.raises(TacitError, match="no argument file beside gsm_coconut_qwen"):
        plan(args(rows, "gsm_coconut_qwen"))


def test_a_start_that_makes_itself(rows, capsys):
    args(rows, "gsm_cot_qwen", load_model_path="outputs/gsm-coconut-qwen")
    assert run.main([str(args(rows, "gsm_coconut_qwen"))]) == 1
    assert "begins with weights that it is to make itself" in capsys.readouterr().err


def test_lines_that_are_not_there(place, monkeypatch, capsys):
    monkeypatch.setenv(icot.FILES, "nowhere")
    assert icot.main([]) == 1 and "there is no nowhere/train.txt" in capsys.readouterr().err


# --- epochs that are no whole number of steps, and where weights come from ----------------------------------------------


SHORT = {"num_epochs": 3, "resume": 0, "epochs_per_stage": 1, "max_latent_stage": 1, "load_model_path": "None"}
ASKED = {"only_eval": True, "resume": 1, "epochs_per_stage": 1, "max_latent_stage": 1}


def test_checkpoints_and_modes_of_a_finished_run(rows, capsys):
    """24 rows, 16 a step: passes end in steps 2, 3 and 5, and not in every second one."""
    assert run.main([str(args(rows, "gsm_coconut_qwen", **SHORT))]) == 0
    done = Run(rows / "outputs/gsm-coconut-qwen")
    assert [(line["step"], line["stage"]) for line in done.evaluations] == [(2, 0), (3, 1), (5, 2)]
    made = plan(
        args(
            rows, "gsm_coconut_qwen", **SHORT | {"save_path": "next", "load_model_path": f"{done.folder}/checkpoint_2"}
        )
    )
    assert made.start and made.start.place == done.folder / "checkpoints/step-3"
    with pytest.raises(TacitError, match=r"kept no checkpoint_9; there are checkpoint_1, checkpoint_2, checkpoint_3"):
        plan(
            args(
                rows,
                "gsm_coconut_qwen",
                **SHORT | {"save_path": "next", "load_model_path": f"{done.folder}/checkpoint_9"},
            )
        )
    for mode in ("cot", "no_cot", "no_thoughts"):
        capsys.readouterr()
        other = {"coconut": False, mode: True, "load_model_path": "outputs/gsm-coconut-qwen"}
        assert run.main([str(args(rows, "gsm_coconut_qwen", **ASKED | other))]) == 1
        assert f"{mode}: outputs/gsm-coconut-qwen learned to answer behind silent steps" in capsys.readouterr().err
    asked = args(rows, "gsm_coconut_qwen", **ASKED | {"load_model_path": "None"})  # its own run
    assert run.main([str(asked)]) == 0 and "stands for 2 silent steps" in capsys.readouterr().err


def test_a_checkpoint_of_a_run_that_is_not_there_is_not_its_last(rows):
    """Twin: the run itself is made by the file beside."""
    args(rows, "gsm_cot_qwen")
    with pytest.raises(TacitError, match=r"is not finished.*run gsm_cot_qwen.yaml first"):
        plan(args(rows, "gsm_coconut_qwen", load_model_path="outputs/gsm-cot-qwen/checkpoint_1"))
    made = plan(args(rows, "gsm_coconut_qwen", load_model_path="outputs/gsm-cot-qwen"))
    assert made.start and made.start.maker == rows / "args/gsm_cot_qwen.yaml"


def test_nothing_to_evaluate_is_told_without_asking_the_hub(rows):
    with pytest.raises(TacitError, match="there is no run outputs/gsm-coconut-qwen to evaluate"):
        plan(args(rows, "gsm_coconut_qwen", only_eval=True, load_model_path="None"))
