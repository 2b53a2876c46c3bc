"""Which parameters decay, what the learning rate does, and when the optimizer forgets."""

import json

import pytest
import torch

from tacit.errors import TacitError
from tacit.train import fit as loop
from tacit.train.optim import forget, learning_rate, make_optimizer, parameter_groups, set_rate
from tests.train.small_runs import make_recipe, make_thinker, run, same, weights


def rates(**train):
    settings = make_recipe(**train).train
    return [learning_rate(settings, step, 10, began=0) for step in range(10)]


def test_a_constant_rate_is_constant():
    assert rates(lr=0.1) == [0.1] * 10


def test_the_rate_rises_and_falls():
    assert rates(lr=1.0, warmup=4, schedule="linear")[:5] == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0])
    assert rates(lr=1.0, schedule="linear") == pytest.approx([1 - i / 10 for i in range(10)])
    assert rates(lr=1.0, schedule="linear", decay_to=0.5) == pytest.approx([1 - i / 20 for i in range(10)])
    cosine = rates(lr=1.0, schedule="cosine", decay_to=0.1)
    assert cosine[0] == 1.0 and cosine[5] == pytest.approx(0.55) and cosine == sorted(cosine, reverse=True)


def test_every_stage_warms_up_again():
    settings = make_recipe(lr=1.0, warmup=3, warmup_per_stage=True).train
    again = [learning_rate(settings, step, 20, began=8) for step in range(8, 13)]
    assert again == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0, 1.0])
    once = make_recipe(lr=1.0, warmup=3).train
    assert [learning_rate(once, step, 20, began=8) for step in range(8, 13)] == [1.0] * 5


def test_the_loop_warms_up_where_stages_begin(tmp_path):
    run(tmp_path / "run", make_recipe(steps=6, lr=0.01, warmup=2, warmup_per_stage=True))
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["stage"] for line in lines] == [0, 0, 1, 1, 2, 2]
    assert [line["lr"] for line in lines] == pytest.approx([0.005, 0.01] * 3)


def test_only_matrices_decay():
    thinker = make_thinker()
    decays, spared = (group["params"] for group in parameter_groups(thinker, 0.1))
    named = {id(p): name for name, p in thinker.named_parameters()}
    decaying, left = ({named[id(p)] for p in group} for group in (decays, spared))
    assert all("attn.c" in name or "mlp.c" in name for name in decaying) and len(decaying) == 4
    assert {"model.transformer.wte.weight", "model.transformer.wpe.weight"} < left
    assert all(p.ndim == 1 or "wte" in named[id(p)] or "wpe" in named[id(p)] for p in spared)
    assert len(decaying) + len(left) == len(named)


def test_rows_of_added_tokens_in_adapters_do_not_decay():
    thinker = make_thinker(lora=True)
    named = {id(p): name for name, p in thinker.named_parameters()}
    decays, spared = ([named[id(p)] for p in group["params"]] for group in parameter_groups(thinker, 0.1))
    assert decays and all("lora_" in name for name in decays)
    assert spared and all("trainable_tokens" in name for name in spared)


def test_a_frozen_model_is_refused():
    thinker = make_thinker().requires_grad_(False)
    with pytest.raises(TacitError, match="no parameter is learned"):
        make_optimizer(thinker, make_recipe().train)


def test_eight_bits_need_cuda():
    with pytest.raises(TacitError, match="on CUDA only"):
        make_optimizer(make_thinker(), make_recipe(optimizer="adamw_8bit").train)


def test_forgetting_starts_the_averages_anew():
    thinker = make_thinker()
    optimizer = make_optimizer(thinker, make_recipe().train)
    for p in thinker.parameters():
        p.grad = torch.ones_like(p)
    optimizer.step()
    forget(optimizer)
    optimizer.step()
    assert all(float(state["step"]) == 1 for state in optimizer.state.values())


@pytest.mark.parametrize(("rule", "expected"), [("never", []), ("stage", [2, 4]), ("epoch", [5])])
def test_when_the_optimizer_forgets(tmp_path, monkeypatch, rule, expected):
    """40 examples in steps of 8: an epoch is five steps, and stages begin at steps 2 and 4."""
    forgotten = []
    thinker = make_thinker()
    settings = make_recipe(reset_optimizer=rule, steps=6)

    def spy(optimizer):
        forgotten.append(int(next(iter(optimizer.state.values()))["step"]) + sum(forgotten))
        forget(optimizer)

    monkeypatch.setattr(loop, "forget", spy)
    run(tmp_path / "run", settings, thinker)
    assert forgotten == expected


def test_forgetting_changes_what_is_learned(tmp_path):
    never = weights(run(tmp_path / "a", make_recipe()))
    assert not same(never, weights(run(tmp_path / "b", make_recipe(reset_optimizer="stage"))))


def test_some_parameters_learn_at_another_rate():
    """The last pattern that matches counts; every step's rate is multiplied, and nothing is left out."""
    thinker = make_thinker()
    train = make_recipe(lr=1e-2, lr_of=[("*.h.0.*", 4.0), ("*.mlp.*", 0.5)]).train
    optimizer = make_optimizer(thinker, train)
    set_rate(optimizer, 1e-3)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    named = dict(thinker.named_parameters())
    assert rates.keys() == {id(p) for p in named.values()}
    for name, p in named.items():
        factor = 0.5 if ".mlp." in name else 4.0 if ".h.0." in name else 1.0
        assert rates[id(p)] == pytest.approx(1e-3 * factor)
    with pytest.raises(TacitError, match="no parameter's name matches 'networks"):
        make_optimizer(thinker, make_recipe(lr_of=[("networks.B.*", 2.0)]).train)
