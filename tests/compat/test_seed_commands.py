"""The published command blocks as they are printed, run by bash from the root of the repository. Only what they say about where
results go and for how long they train is another."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from tacit.recipe import load

pytestmark = pytest.mark.skipif(not (shutil.which("bash") and shutil.which("stdbuf")), reason="needs bash and stdbuf")

TRAIN = r"""
export D=4
export DATANAME=lintang/implicit-cot-math
export DATAPATH=${D}_by_${D}_mult
export MODEL=gpt2
export EPOCHS=200
export LR=5e-5
export BSZ=32
export ACCUMULATE=1
export REMOVE_PER_EPOCH=8
export REMOVE_ALL_WHEN_REMOVE_BEYOND=inf
export REMOVAL_SMOOTHING_LAMBDA=4
export REMOVAL_SIDE=left
export PRETRAIN_EPOCHS=0
export SEED=3456
export SAVE=/data/user_data/lsutawik/rpt/train_models/${D}_by_${D}_mult/gpt2
mkdir -p $SAVE
TOKENIZERS_PARALLELISM=false CUDA_VISIBLE_DEVICES=0 stdbuf -oL -eL python src/train.py \
    --model ${MODEL} \
    --data_path ${DATANAME} \
    --data_name ${DATAPATH} \
    --epochs ${EPOCHS} \
    --lr ${LR} \
    --batch_size ${BSZ} \
    --accumulate ${ACCUMULATE} \
    --remove_per_epoch ${REMOVE_PER_EPOCH} \
    --remove_all_when_remove_beyond ${REMOVE_ALL_WHEN_REMOVE_BEYOND} \
    --removal_smoothing_lambda ${REMOVAL_SMOOTHING_LAMBDA} \
    --removal_side ${REMOVAL_SIDE} \
    --pretrain_epochs ${PRETRAIN_EPOCHS} \
    --seed ${SEED} \
    --reset_optimizer \
    --save_model ${SAVE} \
    > ${SAVE}/log.train 2>&1
"""

GENERATE = r"""
export D=9
export FOLDER=data/${D}_by_${D}_mult/
export MODEL=models/${D}_by_${D}_mult/gpt2
export BSZ=1
export SAVE=generation_logs/${D}_by_${D}_mult/gpt2
mkdir -p $SAVE
TOKENIZERS_PARALLELISM=false CUDA_VISIBLE_DEVICES=0 stdbuf -oL -eL python src/generate.py \
    --from_pretrained ${MODEL} \
    --test_path ${FOLDER}/test_bigbench.txt \
    --batch_size ${BSZ} \
    > ${SAVE}/log.generate 2>&1&
"""

GSM8K = r"""
export FOLDER=data/gsm8k
export MODEL=mistralai/Mistral-7B-v0.1
export EPOCHS=80
export LR=1e-5
export BSZ=16
export ACCUMULATE=2
export REMOVE_PER_EPOCH=8
export REMOVE_ALL_WHEN_REMOVE_BEYOND=39
export MAX_LEN_TRAIN=150
export REMOVAL_SMOOTHING_LAMBDA=4
export REMOVAL_SIDE=left
export PRETRAIN_EPOCHS=0
export SEED=1234
export SAVE=train_models/gsm8k
mkdir -p $SAVE
TOKENIZERS_PARALLELISM=false CUDA_VISIBLE_DEVICES=0 stdbuf -oL -eL python src/train.py \
    --model ${MODEL} \
    --train_path ${FOLDER}/train.txt \
    --val_path ${FOLDER}/valid.txt \
    --epochs ${EPOCHS} \
    --lr ${LR} \
    --batch_size ${BSZ} \
    --accumulate ${ACCUMULATE} \
    --remove_per_epoch ${REMOVE_PER_EPOCH} \
    --remove_all_when_remove_beyond ${REMOVE_ALL_WHEN_REMOVE_BEYOND} \
    --removal_smoothing_lambda ${REMOVAL_SMOOTHING_LAMBDA} \
    --removal_side ${REMOVAL_SIDE} \
    --pretrain_epochs ${PRETRAIN_EPOCHS} \
    --seed ${SEED} \
    --reset_optimizer \
    --bf16 \
    --max_len_train ${MAX_LEN_TRAIN} \
    --save_model ${SAVE} \
    > ${SAVE}/log.train 2>&1
"""


def bash(block: str, world: Path, log: Path, **exports: object) -> str:
    """Run a block with other values for some of its variables, and wait for what it starts. Gives what is in its log."""
    for name, value in exports.items():
        block, found = re.subn(rf"^export {name}=.*$", f"export {name}={value}", block, flags=re.MULTILINE)
        assert found == 1
    python = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{python}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1", "PYTHONPATH": ""}
    whole = f"{block}\nstatus=$?; wait; exit $status"
    done = subprocess.run(["bash", "-c", whole], cwd=world, env=environment, capture_output=True, text=True)
    assert done.stdout == done.stderr == "", "everything goes into the log"
    told = (world / log).read_text()
    assert done.returncode == 0, told
    return told


STEP = r"^Step: \d+\. PPL: [\d.]+\. Token Accuracy: [\d.]+$"
VALID = r"^Disable Offset Val\. (PPL: [\d.]+; )?Accuracy: [\d.]+(; Token Accuracy: [\d.]+)?\.$"


def check_run(save: Path, log: str, **arguments: object) -> None:
    """A run folder with a log in it, whose model any tool loads."""
    assert re.search(STEP, log, re.MULTILINE) and re.search(VALID, log, re.MULTILINE), log
    assert arguments.items() <= json.loads((save / "train_args.json").read_text()).items()
    assert load(save / "recipe.yaml", disk=False).recipe.method.name == "icot"
    assert {"metrics.jsonl", "manifest.json", "checkpoints", "final"} <= {path.name for path in save.iterdir()}
    model = AutoModelForCausalLM.from_pretrained(save / "final")
    assert len(AutoTokenizer.from_pretrained(save / "final")) == len(model.get_input_embeddings().weight)


def test_training(world, tmp_path):
    log = bash(TRAIN, world, tmp_path / "rpt" / "log.train", SAVE=tmp_path / "rpt", EPOCHS=2)
    check_run(tmp_path / "rpt", log, seed=3456, data_path="lintang/implicit-cot-math", data_name="4_by_4_mult", lr=5e-5)
    assert log.startswith("data: rows of data/4_by_4_mult\n")
    assert len(re.findall(VALID, log, re.MULTILINE)) == 2, "once an epoch"


def test_generation(world):
    log = bash(GENERATE, world, Path("generation_logs/9_by_9_mult/gpt2/log.generate"))
    shown = re.findall(r"^Input: (.*)\nTarget: (.*)\nPredicted: .*$", log, re.MULTILINE)
    lines = (world / "data/9_by_9_mult/test_bigbench.txt").read_text().splitlines()
    assert [f"{question.strip()}||{' '.join(target.split())}" for question, target in shown] == lines
    assert re.search(r"\nTest Accuracy: 0\.0\. Throughput: [\d.]+\n$", log)


def test_training_on_gsm8k(world):
    save = Path("train_models/gsm8k")
    log = bash(GSM8K, world, save / "log.train", EPOCHS=1)
    check_run(world / save, log, seed=1234, bf16=True, remove_all_when_remove_beyond=39)
    assert "--bf16: bf16 arithmetic over fp32 weights" in log


def test_a_block_with_mistakes_fails(world, tmp_path):
    """The twin of the tests above: what is misspelt must not pass, and everything that is wrong is told."""
    block = TRAIN.replace("--remove_per_epoch", "--remove_per_epok").replace("LR=5e-5", "LR=five")
    with pytest.raises(
        AssertionError, match=r"(?s)--remove_per_epok is no .* mean --remove_per_epoch.*--lr five: a number"
    ):
        bash(block, world, tmp_path / "log.train", SAVE=tmp_path)
