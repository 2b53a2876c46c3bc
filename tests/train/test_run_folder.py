"""What lies on disk: whole or not there, one writer, the newest and the best, and one clear sentence when it goes wrong."""

import json
import os
import shutil
import signal

import pytest

from tacit.errors import TacitError
from tacit.recipe import load
from tacit.stopping import Interrupted
from tacit.thinker import Thinker
from tacit.train import checkpoint, manifest
from tacit.train.folder import RunFolder
from tacit.train.step import Stepper
from tests.train.small_runs import make_recipe, make_thinker, run, same, weights


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def facts(folder):
    return json.loads((folder / "manifest.json").read_text())


def steps_on_disk(folder):
    return list(RunFolder(folder).checkpoints())


def at_step(monkeypatch, step, act):
    """Do something in the middle of a step, as a signal or another process would."""
    take = Stepper.take

    def acting(self, number, picks, stage):
        if number == step:
            act()
        return take(self, number, picks, stage)

    monkeypatch.setattr(Stepper, "take", acting)


def test_a_run_folder_holds_what_the_contract_says(tmp_path):
    folder = tmp_path / "run"
    thinker = run(folder, make_recipe(save_every=3), evaluate=lambda *_: {"accuracy": 0.5, "stderr": 0.1})
    lines = metrics(folder)
    first, evaluated = lines[0], lines[-1]
    assert {
        "step",
        "epoch",
        "stage",
        "loss",
        "lr",
        "grad_norm",
        "tokens",
        "seconds",
        "nll",
        "thought_tokens",
    } == first.keys()
    assert evaluated["step"] == 6 and evaluated["eval/accuracy"] == 0.5 and evaluated["eval/stderr"] == 0.1
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6, 6]
    found = facts(folder)
    assert found.keys() >= {"versions", "commit", "seeds", "data", "hardware", "command", "status"}
    assert found["status"] == "finished" and found["data"]["examples"] == 40
    lesson = (folder / "lesson.txt").read_text()
    assert "col segment" in lesson and "pos" in lesson and "'<think>'" in lesson and lesson.count("view main") == 8
    again = Thinker.from_pretrained(folder / "final")
    assert same(weights(again), weights(thinker))
    assert again.facts["method"]["name"] == "coconut" and again.facts["task"]["name"] == "arithmetic"
    assert (folder / "checkpoints" / "step-3" / "state").is_dir() and not (folder / "final" / "state").exists()


def test_the_recipe_of_a_run_runs_again(tmp_path):
    recipe = make_recipe(save_every=3).model_copy(
        update={"model": make_recipe().model.model_copy(update={"path": "gpt2"})}
    )
    run(tmp_path / "run", recipe)
    assert load(tmp_path / "run" / "recipe.yaml").recipe.train == recipe.train


def test_a_second_writer_is_refused(tmp_path):
    with (
        RunFolder(tmp_path),
        pytest.raises(TacitError, match=f"being written by another run.*process {os.getpid()}"),
        RunFolder(tmp_path),
    ):
        pass
    with RunFolder(tmp_path):
        pass


def test_the_lock_of_a_dead_process_is_taken_over(tmp_path):
    dead = os.fork()
    if dead == 0:
        RunFolder(tmp_path).__enter__()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(dead, 0)
    assert f"process {dead}" in (tmp_path / ".lock").read_text()
    with RunFolder(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / ".lock").read_text()


def test_a_folder_is_whole_or_not_there(tmp_path):
    def fill(folder, text, then=None):
        with folder.whole(folder.final) as partial:
            (partial / "file").write_text(text)
            if then:
                raise then

    with RunFolder(tmp_path) as folder:
        with pytest.raises(RuntimeError):
            fill(folder, "half", then=RuntimeError())
        assert not folder.final.exists() and not list(tmp_path.glob(".final*"))
        fill(folder, "old")
        fill(folder, "new")
        with pytest.raises(KeyboardInterrupt):
            fill(folder, "half", then=KeyboardInterrupt())
        assert (folder.final / "file").read_text() == "new"


def test_a_swap_that_was_cut_in_two_is_finished_or_undone(tmp_path):
    """Killed between the two renames: the old folder is back. Killed behind them: it goes."""
    (tmp_path / ".final.old").mkdir()
    (tmp_path / ".final.old" / "file").touch()
    (tmp_path / "checkpoints" / ".step-2.old").mkdir(parents=True)
    (tmp_path / "checkpoints" / "step-2").mkdir()
    (tmp_path / "checkpoints" / ".step-4.partial").mkdir()
    with RunFolder(tmp_path) as folder:
        assert (folder.final / "file").exists()
        assert [p.name for p in folder.checkpoint_folder.iterdir()] == ["step-2"]


def test_a_run_is_not_written_over(tmp_path):
    run(tmp_path / "run", make_recipe(steps=1))
    with pytest.raises(TacitError, match="holds a run already; go on with it"):
        run(tmp_path / "run", make_recipe(steps=1))


def test_the_newest_and_the_best_stay(tmp_path):
    scores = {2: 0.1, 4: 0.9, 6: 0.3, 8: 0.3}
    recipe = make_recipe({"name": "cot"}, steps=9, save_every=1, keep=2, eval={"every": 2})
    run(tmp_path / "run", recipe, evaluate=lambda thinker, stage, step: {"accuracy": scores.get(step, 0.0)})
    assert steps_on_disk(tmp_path / "run") == [4, 8, 9]
    assert facts(tmp_path / "run")["best"] == {"step": 4, "accuracy": 0.9}


def test_the_best_begins_anew_with_each_stage(tmp_path):
    scores = {1: 0.9, 2: 1.0, 3: 0.5, 4: 0.6, 5: 0.1, 6: 0.4, 7: 0.3, 8: 0.2}  # stages of two steps; the last goes on
    recipe = make_recipe(steps=9, save_every=1, keep=1, eval={"every": 1})
    score = {"evaluate": lambda thinker, stage, step: {"accuracy": scores.get(step, 0.0)}}
    run(tmp_path / "run", recipe, **score)
    assert steps_on_disk(tmp_path / "run") == [7, 9]
    assert facts(tmp_path / "run")["best"] == {"step": 7, "accuracy": 0.3}


def test_less_can_be_better(tmp_path):
    recipe = make_recipe({"name": "cot"}, save_every=1, keep=1, eval={"every": 2, "best_metric": "-loss"})
    run(tmp_path / "run", recipe, evaluate=lambda thinker, stage, step: {"loss": abs(step - 2)})
    assert steps_on_disk(tmp_path / "run") == [2, 6]


def test_a_best_metric_that_is_not_measured_is_refused(tmp_path):
    recipe = make_recipe(eval={"every": 2, "best_metric": "acuracy"})
    with pytest.raises(TacitError, match=r"no number 'acuracy'; set eval.best_metric to one of: accuracy, stderr"):
        run(tmp_path / "run", recipe, evaluate=lambda *_: {"accuracy": 0.0, "stderr": 0.0})


def test_evaluating_does_not_touch_training(tmp_path):
    """However often it happens, and whatever it draws."""

    def drawing(thinker, stage, step):
        import torch

        assert not thinker.training
        return {"accuracy": float(torch.rand(3)[0])}

    never = weights(run(tmp_path / "a", make_recipe(), make_thinker(0.2)))
    often = weights(run(tmp_path / "b", make_recipe(eval={"every": 1}), make_thinker(0.2), evaluate=drawing))
    assert same(never, often)


def test_only_the_final_model_without_save_every(tmp_path):
    run(tmp_path / "run", make_recipe(eval={"every": 2}), evaluate=lambda *_: {"accuracy": 1.0})
    assert not steps_on_disk(tmp_path / "run") and (tmp_path / "run" / "final").is_dir()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_step_saves_and_can_be_resumed(tmp_path, monkeypatch, number):
    straight = weights(run(tmp_path / "a", make_recipe(), make_thinker(0.2)))
    before = signal.getsignal(number)  # ignored, where the tests run in the background of a shell
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: os.kill(os.getpid(), number))
        with pytest.raises(Interrupted, match="stopped at step 3 of 6"):
            run(tmp_path / "b", make_recipe(), make_thinker(0.2))
    assert steps_on_disk(tmp_path / "b") == [3] and facts(tmp_path / "b")["status"] == "stopped"
    assert signal.getsignal(number) == before
    assert same(straight, weights(run(tmp_path / "b", make_recipe(), make_thinker(0.2), resume=True)))


def test_an_evaluation_that_a_signal_prevented_is_made_up_for(tmp_path, monkeypatch):
    recipe = make_recipe(eval={"every": 3})
    asked = []
    evaluate = lambda thinker, stage, step: asked.append(step) or {"accuracy": 0.0}  # noqa: E731
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: os.kill(os.getpid(), signal.SIGTERM))
        with pytest.raises(Interrupted):
            run(tmp_path / "run", recipe, evaluate=evaluate)
    assert asked == []
    run(tmp_path / "run", recipe, evaluate=evaluate, resume=True)
    assert asked == [3, 6]


def test_the_time_limit_saves_and_returns(tmp_path):
    run(tmp_path / "run", make_recipe(), time_limit=0)
    assert facts(tmp_path / "run")["status"] == "stopped"
    assert steps_on_disk(tmp_path / "run") == [1] and not (tmp_path / "run" / "final").exists()
    run(tmp_path / "run", make_recipe(), resume=True)
    assert facts(tmp_path / "run")["status"] == "finished" and len(facts(tmp_path / "run")["resumed"]) == 1


def test_resuming_nothing_starts_afresh(tmp_path, capsys):
    run(tmp_path / "run", make_recipe(steps=1), resume=True)
    assert (tmp_path / "run" / "final").exists()
    started = tmp_path / "started"
    started.mkdir()
    (started / "manifest.json").write_text('{"status": "running"}')
    run(started, make_recipe(steps=1), resume=True)
    assert "no checkpoint to go on from: starting afresh" in capsys.readouterr().err


def test_resuming_what_is_finished_does_nothing(tmp_path):
    run(tmp_path / "run", make_recipe())
    before = (tmp_path / "run" / "metrics.jsonl").read_text()
    run(tmp_path / "run", make_recipe(), resume=True)
    assert (tmp_path / "run" / "metrics.jsonl").read_text() == before
    with pytest.raises(TacitError, match="finished and kept no checkpoint"):
        run(tmp_path / "run", make_recipe(steps=9), resume=True)


def test_a_finished_run_that_kept_a_checkpoint_can_go_further(tmp_path):
    straight = weights(run(tmp_path / "a", make_recipe(steps=9)))
    run(tmp_path / "b", make_recipe(save_every=3))
    assert same(straight, weights(run(tmp_path / "b", make_recipe(steps=9, save_every=3), resume=True)))


def test_resuming_a_step_that_is_not_there(tmp_path):
    run(tmp_path / "run", make_recipe(save_every=3))
    with pytest.raises(TacitError, match="has no checkpoint of step 4; there are: 3, 6"):
        run(tmp_path / "run", make_recipe(save_every=3), resume=4)


def test_going_back_drops_what_came_after(tmp_path):
    run(tmp_path / "run", make_recipe(save_every=2))
    run(tmp_path / "run", make_recipe(save_every=4), resume=2, time_limit=0)
    assert steps_on_disk(tmp_path / "run") == [2, 3]
    assert [line["step"] for line in metrics(tmp_path / "run")] == [1, 2, 3]


def test_another_order_of_examples_is_refused(tmp_path):
    run(tmp_path / "run", make_recipe(save_every=3))
    with pytest.raises(TacitError, match=r"trained with another batch \(8, now 4\)"):
        run(tmp_path / "run", make_recipe(save_every=3, batch=4), resume=3)
    with pytest.raises(TacitError, match="trained with another data"):
        run(tmp_path / "run", make_recipe(save_every=3), resume=3, count=41)


@pytest.mark.parametrize("name", ["model.safetensors", "state/optimizer.safetensors", "state/random.safetensors"])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path, name, harm):
    run(tmp_path / "run", make_recipe(save_every=3))
    file = tmp_path / "run" / "checkpoints" / "step-6" / name
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    harmed = {"flip": bytes(content), "cut": bytes(content[:-10])}
    file.write_bytes(harmed[harm]) if harm in harmed else file.unlink()
    with pytest.raises(TacitError, match=rf"step-6 is damaged: {name} changed.*--resume STEP"):
        run(tmp_path / "run", make_recipe(steps=9, save_every=3), resume=True)
    run(tmp_path / "run", make_recipe(save_every=3), resume=3)


def test_damage_is_not_seen_without_checksums(tmp_path, monkeypatch):
    run(tmp_path / "run", make_recipe(save_every=3))
    file = tmp_path / "run" / "checkpoints" / "step-3" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    monkeypatch.setattr(checkpoint, "verify", lambda folder: None)
    run(tmp_path / "run", make_recipe(save_every=3), resume=3)


def test_a_full_disk_is_one_sentence_and_what_was_saved_stays(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patch:
        at_step(patch, 3, lambda: patch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=1000)))
        with pytest.raises(TacitError, match=r"step-4 cannot be saved: the disk is full"):
            run(tmp_path / "run", make_recipe(save_every=2))
    assert steps_on_disk(tmp_path / "run") == [2] and not list((tmp_path / "run" / "checkpoints").glob(".*"))
    straight = weights(run(tmp_path / "straight", make_recipe()))
    assert same(straight, weights(run(tmp_path / "run", make_recipe(save_every=2), resume=True)))


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), RuntimeError("I/O error: No space left on device (os error 28)")]
)
def test_a_disk_that_fills_up_while_saving(tmp_path, monkeypatch, error):
    def half(folder, *_):
        (folder / "half").touch()
        raise error

    monkeypatch.setattr(checkpoint, "save", half)
    with pytest.raises(TacitError, match="the disk is full"):
        run(tmp_path / "run", make_recipe(save_every=2))
    assert not steps_on_disk(tmp_path / "run") and not list((tmp_path / "run" / "checkpoints").iterdir())


def test_no_examples_are_refused(tmp_path):
    with pytest.raises(TacitError, match="no training examples"):
        run(tmp_path / "run", make_recipe(), count=0)


def test_the_commit_is_none_outside_a_repository(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest.tacit, "__file__", str(tmp_path / "tacit" / "__init__.py"))
    assert manifest.commit() is None
