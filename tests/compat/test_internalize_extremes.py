"""Values at the edge and options that would do nothing: told, not ignored, and never a traceback."""

import pytest

from tacit.compat.internalize.train import main
from tacit.recipe.reader import read_yaml

FILES = "--train_path data/gsm8k/train.txt --val_path data/gsm8k/valid.txt"
SMALL = f"{FILES} --batch_size 4 --max_new_tokens 3 --max_size 8"


def told(capsys, words: str) -> str:
    assert main(words.split()) == 1
    error = " ".join(capsys.readouterr().err.split())
    assert "Traceback" not in error
    return error


REFUSED = [
    ("--remove_per_epoch 1e-320", "--remove_per_epoch"),
    ("--seed 99999999999999999999", "--seed: 99999999999999999999 must be less than"),
    ("--switch_tokens --switch_token_ratio inf", "--switch_token_ratio"),
    ("--switch_tokens --switch_token_ratio 1e9", "--switch_token_ratio"),
    (
        "--switch_tokens --train_steps 1000",
        "--switch_from_n_steps: it would begin at step 5000, and training ends after 1000",
    ),
    ("--remove_tokens --remove_from_n_steps 9 --train_steps 9", "--remove_from_n_steps: it would begin at step 9"),
    ("--train_split other", "--train_split names a part of --data_path, which is not given"),
    ("--remove_all_when_remove_beyond -3", "a whole number from 0 on is expected"),
]


@pytest.mark.parametrize(("words", "sentence"), REFUSED, ids=[words for words, _ in REFUSED])
def test_edges_are_refused(here, capsys, words, sentence):
    assert sentence in told(capsys, f"{SMALL} --save_model {here / 'run'} {words}")
    assert not (here / "run").exists()


def test_their_neighbours_run(here):
    words = "--switch_tokens --switch_token_ratio 1000 --switch_from_n_steps 1 --train_steps 2 --max_len_train 150"
    assert main(f"{SMALL} --save_model {here / 'a'} {words}".split()) == 0
    words = "--remove_tokens --remove_from_n_steps 1 --remove_every_n_step 1 --train_steps 2 --seed 9223372036854775807"
    assert main(f"{SMALL} --save_model {here / 'b'} {words}".split()) == 0
    assert (
        main(f"{SMALL} --save_model {here / 'c'} --remove_per_epoch inf --removal_smoothing_lambda 1e-320".split()) == 0
    )


def test_results_need_a_folder(here, capsys):
    (here / "file").write_text("x")
    for folder in (here / "file", here / "file" / "run"):
        assert f"{here / 'file'} is a file, and results need a folder" in told(capsys, f"{SMALL} --save_model {folder}")
    assert (here / "file").read_text() == "x"


def test_a_split_that_is_named_is_that_one_or_none(here, capsys):
    base = f"--save_model {here / 'run'} --dry_run --data_path"
    for split in ("train", "valid", "test"):
        error = told(capsys, f"{base} data/gsm8k --{split}_split other")
        assert "--data_path data/gsm8k: data/gsm8k has no other.txt" in error
    error = told(capsys, f"{base} data/gsm8k/train.txt --test_split valid --data_name x")
    assert "--test_split: --data_path is a file" in error and "--data_name: --data_path is a file" in error
    assert main(f"{base} data/gsm8k --valid_split train".split()) == 0
    layer, _ = read_yaml(capsys.readouterr().out, "recipe")
    assert layer["task.valid"].value == "data/gsm8k/train.txt"


def test_a_test_split_of_made_rows_is_read(here, capsys, monkeypatch):
    """Rows that are made have a test split too; it was asked for and passed over."""
    told = []
    monkeypatch.setattr(
        "tacit.compat.internalize.train._train", lambda made, folder, wants_test: told.append(wants_test) or 0
    )
    base = f"--data_path lintang/implicit-cot-math --data_name 5_by_5_mult --save_model {here / 'run'}".split()
    assert main([*base, "--test_split", "test"]) == 0 == main(base)
    assert told == [True, False]
