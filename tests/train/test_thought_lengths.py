"""What metrics.jsonl says about the thoughts of a step's rows is what their layouts have."""

import json

import pytest

from tacit.example import encode
from tacit.methods.coconut import Coconut
from tacit.methods.filler import PAUSE, Filler
from tacit.methods.gate import Gate
from tacit.methods.icot import Icot
from tacit.methods.removal import Removal
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import word_tokenizer
from tacit.models.tokens import add_tokens
from tacit.recipe.training import Train
from tacit.tasks.multiplication import Multiplication
from tacit.thinker import Thinker
from tacit.train.data import Pick
from tacit.train.optim import make_optimizer
from tacit.train.ranks import Ranks
from tacit.train.step import Learner, Stepper
from tests.train.small_runs import make_recipe, run


def logged(tmp_path, method, **train):
    run(tmp_path / "run", make_recipe(method, **train))
    lines = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    return [line for line in lines if "loss" in line]


def test_steps_that_give_way_are_seen(tmp_path):
    lines = logged(tmp_path, {"name": "coconut", "epochs_per_stage": 0.4, "max_stage": 2})
    written = [line["thought_tokens"] for line in lines]
    assert written[0] > written[-1] == 0 and "pauses" not in lines[0]
    assert [line.get("latents", 0) for line in lines] == [float(min(line["stage"], 2)) for line in lines]


def test_micro_batches_do_not_matter(tmp_path):
    one, other = (
        [line["thought_tokens"] for line in logged(tmp_path / str(size), {"name": "cot"}, micro_batch=size)]
        for size in (8, 3)
    )
    assert one == other and min(one) > 0


TASK = Multiplication(left=2, right=2, cot="compact", train_rows=40)
METHODS = [
    (Filler(gate=Gate(stages=6)), 2, {"thought_tokens": 4, "pauses": 2}),
    (Filler(gate=Gate(stages=6), ratio=2.0), 6, {"thought_tokens": 0, "pauses": 12}),
    (Icot(removal=Removal(smoothing=0.5)), 2, None),
    (Icot(gate=Gate(stages=6), replay=0.5), 3, None),
    (Coconut(latents_per_step=2), 1, {"thought_tokens": 3, "latents": 2}),
]


@pytest.mark.parametrize(("method", "stage", "expected"), METHODS)
@pytest.mark.parametrize("one_by_one", [False, True])
def test_counts_are_those_of_the_layouts(method, stage, expected, one_by_one):
    """Whether rows are laid out one by one or filled into patterns."""
    tokenizer = word_tokenizer(TASK.words())
    vocab = add_tokens(tokenizer, (PAUSE,))
    scratch = Scratch(family="gpt2", layers=1, hidden=16, heads=2, positions=64)
    thinker = Thinker(build(scratch, len(tokenizer), eos=vocab.eos, pad=vocab.pad), tokenizer, vocab, method.thinking())
    encoded = encode(TASK.examples("train"), tokenizer, TASK.template)
    train = Train(steps=1, batch=32)
    stepper = Stepper(Learner(method, thinker, False), make_optimizer(thinker, train), encoded, train, Ranks())
    assert stepper.shapes is not None
    if one_by_one:
        stepper.shapes = None
    picks = [Pick(0, index) for index in range(32)]
    rows, _ = stepper.lay_out(picks, stage)
    counted = {"thought_tokens": 0.0}
    for row in rows:
        for s in row["main"].segments:
            for name, segments in (
                ("thought_tokens", ("steps", "frontier")),
                ("pauses", ("pause",)),
                ("latents", ("thought",)),
            ):
                if s.name in segments and s.ids:
                    counted[name] = counted.get(name, 0.0) + len(s.ids) / 32
    parts = stepper.take(1, picks, stage).parts
    told = {name: parts[name] for name in ("thought_tokens", "pauses", "latents") if name in parts}
    assert told == pytest.approx(counted) and (expected is None or told == expected)
    if expected is None:
        assert told["thought_tokens"] != 6 - stage, "some rows are of another stage, or lose more"
