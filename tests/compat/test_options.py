"""Every option of the published commands is taken, becomes what it should, and is told about where it becomes nothing."""

import json

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tacit.compat.internalize import train as command
from tacit.compat.internalize.generate import main as generate
from tacit.compat.internalize.options import GENERATE, TRAIN, parse
from tacit.compat.internalize.train import main
from tacit.errors import TacitError
from tacit.recipe import load
from tacit.recipe.reader import read_yaml

FILES = "--train_path data/gsm8k/train.txt --val_path data/gsm8k/valid.txt"
SAVE = "--save_model run"


def dry(capsys, words: str) -> tuple[dict, str]:
    """What a command would set, by dotted path, and what it tells."""
    assert main([*words.split(), "--dry_run"]) == 0, capsys.readouterr().err
    told = capsys.readouterr()
    layer, _ = read_yaml(told.out, "recipe")
    return {path: setting.value for path, setting in layer.items()}, told.err


PAIRS = [
    ("--model gpt2", {"model.path": "gpt2"}),
    ("--epochs 3", {"train.epochs": 3}),
    ("--train_steps 7 --accumulate 2", {"train.steps": 4, "train.epochs": None}),
    ("--lr 1e-5", {"train.lr": 1e-5}),
    ("--batch_size 16 --accumulate 2", {"train.batch": 32, "train.micro_batch": 16, "eval.batch": 16}),
    ("--remove_per_epoch 2.5", {"method.removal.per_epoch": 2.5}),
    ("--remove_all_when_remove_beyond 39", {"method.removal.all_beyond": 39}),
    ("--remove_all_when_remove_beyond inf", {"method.removal.all_beyond": None}),
    ("--removal_smoothing_lambda 4", {"method.removal.smoothing": 4}),
    ("--removal_smoothing_lambda inf", {"method.removal.smoothing": None}),
    ("--removal_side right", {"method.removal.side": "right"}),
    ("--pretrain_epochs 2", {"method.removal.pretrain_epochs": 2}),
    ("--remove_start_from 5", {"method.removal.start_from": 5}),
    ("--truncation 2048", {"model.positions": 2048, "train.max_length": 2048}),
    ("--truncation 200 --max_len_train 150", {"model.positions": None, "train.max_length": 150}),
    ("--max_new_tokens 30", {"eval.max_tokens": 30}),
    ("--max_size 9", {"train.limit": 9}),
    ("--max_size -1", {"train.limit": None}),
    ("--from_pretrained models/9_by_9_mult/gpt2", {"model.path": "models/9_by_9_mult/gpt2"}),
    ("--seed 5", {"train.seed": 5}),
    ("--max_grad_norm 2", {"train.clip": 2}),
    ("--bf16", {"train.precision": "bf16"}),
    ("--reset_optimizer", {"train.reset_optimizer": "stage"}),
    ("", {"train.reset_optimizer": "never", "train.precision": "fp32", "train.epochs": 1, "train.lr": 5e-5}),
    ("", {"method.name": "icot", "method.removal.per_epoch": 8, "method.removal.smoothing": None, "train.seed": 1234}),
    ("", {"train.save_every": "epoch", "eval.every": "epoch", "eval.max_tokens": 800, "train.batch": 32, "train.clip": 1}),
    ("", {"run.folder": "run", "template.cue": "{eos} ####", "train.schedule": "constant"}),
    ("--keep_position", {"method.positions": "keep"}),
    ("--reinitialize_weights", {"model.fresh": True}),
    ("--save_interval 30 --eval_interval 40 --accumulate 4", {"train.save_every": 8, "eval.every": 10}),
    ("--test_path data/gsm8k/valid.txt", {"task.test": "data/gsm8k/valid.txt"}),
    (
        "--remove_tokens --remove_from_n_steps 10 --remove_from_n_tokens 2 --remove_every_n_step 30 --accumulate 2",
        {"method.removal.from_step": 5, "method.removal.start_from": 2, "method.removal.every": 15},
    ),
    ("--remove_tokens", {"method.removal.start_from": 1, "method.removal.every": 5000, "template.opening": "<|start|>"}),
    ("--switch_tokens", {"method.name": "filler", "method.supervised": True, "method.switch": "random", "method.removal": None}),
    (
        "--switch_tokens --switch_from_n_steps 9 --switch_from_n_rate 20 --switch_token_ratio 0.5 --switch_mode depth",
        {"method.from_step": 9, "method.from_rate": 20, "method.ratio": 0.5, "method.switch": "depth"},
    ),
    ("--switch_tokens --remove_tokens", {"method.removal.every": 5000, "method.name": "filler"}),
    ("--switch_tokens", {"template.cue": "<|ready|> ####", "model.tokens": ["<|start|>", "<|ready|>"]}),
    ("--layout ready", {"template.opening": "<|start|>", "method.name": "icot"}),
    ("--switch_tokens --layout eos", {"template.cue": "{eos} ####", "method.name": "filler"}),
]  # fmt: skip


@pytest.mark.parametrize(("words", "wanted"), PAIRS, ids=[words or "defaults" for words, _ in PAIRS])
def test_what_an_option_becomes(here, capsys, words, wanted):
    found, _ = dry(capsys, f"{FILES} {SAVE} {words}")
    assert {path: found.get(path) for path in wanted} == wanted


NOTES = [
    ("--max_remove_length 20", "--max_remove_length: no effect"),
    ("--remove_every_n_step 5", "--remove_every_n_step: no effect without --remove_tokens"),
    ("--switch_mode random", "--switch_mode: no effect without --switch_tokens"),
    ("--epochs 2 --train_steps 9", "--epochs: no effect, since --train_steps says"),
    ("--remove_tokens --pretrain_epochs 1", "--pretrain_epochs: no effect with --remove_tokens"),
    ("--switch_tokens --keep_position", "--keep_position: no effect"),
    ("--from_pretrained gpt2 --reinitialize_weights", "--reinitialize_weights: no effect"),
    ("--from_pretrained gpt2 --model gpt2", "--model: no effect"),
    ("--from_pretrained gpt2 --truncation 2000", "no position is added"),
    ("--bf16", "--bf16: bf16 arithmetic over fp32 weights"),
]


@pytest.mark.parametrize(("words", "note"), NOTES, ids=[words for words, _ in NOTES])
def test_what_has_no_effect_is_told_in_a_line(here, capsys, words, note):
    _, told = dry(capsys, f"{FILES} {SAVE} {words}")
    assert sum(note in line for line in told.splitlines()) == 1
    assert note not in dry(capsys, f"{FILES} {SAVE}")[1], "the twin: nothing is told of options that were not given"


def test_every_option_is_tried():
    tried = {word for words, _ in PAIRS + NOTES for word in words.split() if word.startswith("--")}
    elsewhere = {"--train_path", "--val_path", "--save_model", "--dry_run"}  # in all of them
    elsewhere |= {"--data_path", "--data_name", "--train_split", "--valid_split", "--test_split"}
    assert {f"--{option.name}" for option in TRAIN} == tried | elsewhere


def test_splits_of_a_data_set_have_names(here, capsys):
    words = f"--data_path lintang/x --data_name gsm8k --train_split valid --valid_split train --test_split valid {SAVE}"
    found, told = dry(capsys, words)
    files = [found[f"task.{split}"] for split in ("train", "valid", "test")]
    assert files == ["data/gsm8k/valid.txt", "data/gsm8k/train.txt", "data/gsm8k/valid.txt"]
    assert "data: rows of data/gsm8k" in told


@pytest.mark.parametrize(("size", "published"), [(5, True), (12, False)])
def test_rows_that_are_nowhere_are_made(here, capsys, size, published):
    words = f"--data_path lintang/implicit-cot-math --data_name {size}_by_{size}_mult {SAVE}"
    found, told = dry(capsys, words)
    assert (found["task.name"], found["task.left"], found["task.published"]) == ("multiplication", size, published)
    assert found["task.train_rows"] == 808_000 and found["template.kind"] == "plain"
    assert f"data: {size}_by_{size}_mult is not to be had, so its rows are made here" in told
    files, told = dry(capsys, f"--train_path data/{size}_by_{size}_mult/train.txt {SAVE}")
    assert files["task.left"] == size and "made here" in told


def test_a_dry_run_prints_a_recipe_that_runs(here, capsys):
    assert main(f"{FILES} --save_model {here / 'run'} --batch_size 4 --epochs 1 --dry_run".split()) == 0
    (here / "recipe.yaml").write_text(capsys.readouterr().out)
    recipe = load(here / "recipe.yaml").recipe
    assert recipe.task.settings.train == "data/gsm8k/train.txt"
    assert not (here / "run").exists()


FAULTY = [
    ("", ["there are no rows", "--save_model is missing"]),
    (f"{FILES} --save_model", ["--save_model has no value (an unset variable, perhaps)"]),
    (
        f"{FILES} {SAVE} --lr fast --epochs 0 --batch_sise 3 --removal_side rigt",
        ["--lr fast: a number", "--epochs 0: a number above 0", "did you mean --batch_size?", "did you mean right?"],
    ),
    (f"{FILES} {SAVE} --switch_tokens --switch_from_n_rate 200 --lr -1", ["--switch_from_n_rate", "--lr -1"]),
    (f"{FILES} {SAVE} --remove_tokens --remove_per_epoch 8", ["--remove_per_epoch by epochs; leave one of them out"]),
    (
        f"{FILES} {SAVE} --remove_start_from 9 --remove_all_when_remove_beyond 3",
        ["all_beyond: 3 is below start_from: 9"],
    ),
    (f"{FILES} --data_path x {SAVE}", ["--data_path and --train_path and --val_path both say where rows are"]),
    (
        f"--train_path data/nothing/train.txt {SAVE} --seed x",
        ["no file data/nothing/train.txt", "--seed x: a whole number"],
    ),
    (f"--data_path a/b --data_name c {SAVE}", ["--data_path a/b --data_name c:"]),
    (f"{FILES} {SAVE} --model ./nowhere", ["--model: ./nowhere does not exist"]),
]


@pytest.mark.parametrize(("words", "told"), FAULTY, ids=[str(number) for number in range(len(FAULTY))])
def test_all_faults_at_once(here, capsys, words, told):
    assert main(words.split()) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert all(sentence in error for sentence in told), error
    assert "Traceback" not in error


def test_generation_has_its_options_too(here, capsys):
    given = parse(["--from_pretrained", "gpt2", "--test_path", "x", "--bf16", "--truncation", "3"], GENERATE, "p", "")
    assert given.values["bf16"] and given.values["max_new_tokens"] == 800 and not given.faults
    assert generate(["--batch_size", "0"]) == 1
    told = capsys.readouterr().err
    assert all(word in told for word in ("--from_pretrained is missing", "--test_path is missing", "--batch_size 0"))


def test_the_same_command_goes_on_and_another_is_refused(here, capsys):
    intervals = "--save_interval 2 --eval_interval 3"
    words = f"{FILES} --batch_size 4 --seed 2 {intervals} --max_new_tokens 5 --max_size 16 --save_model".split()
    assert main([*words, str(here / "whole")]) == 0

    class Killed(Exception):
        pass

    def die(line):
        if "eval/accuracy" in line:
            raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "tell", die)
        with pytest.raises(Killed):
            main([*words, str(here / "cut")])
    capsys.readouterr()
    assert main([*words, str(here / "cut")]) == 0
    assert "going on from step 2 of 4" in capsys.readouterr().err
    weights = [load_file(here / name / "final" / "model.safetensors") for name in ("whole", "cut")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert main([*words, str(here / "cut"), "--lr", "1e-3"]) == 1
    assert "holds a run of another command (train.lr was 5e-05, is 0.001)" in " ".join(capsys.readouterr().err.split())
    assert main([*words, str(here / "cut")]) == 0, "a finished run is left as it is"


def test_arguments_that_break_the_parser():
    with pytest.raises(TacitError, match="src/x"):
        parse(["--bf16=1"], TRAIN, "src/x", "")


def test_arguments_are_kept(here):
    save = here / "run"
    assert main(f"{FILES} --max_size 4 --batch_size 4 --max_new_tokens 3 --save_model {save}".split()) == 0
    kept = json.loads((save / "train_args.json").read_text())
    assert {option.name for option in TRAIN} - kept.keys() == {"layout", "dry_run"}
    AutoModelForCausalLM.from_pretrained(save / "final")
