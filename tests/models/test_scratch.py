"""Every family builds from the same few numbers, and means what was set."""

import copy
import subprocess
import sys

import pytest
import torch
from transformers import AutoModelForCausalLM

from tacit.errors import ModelError
from tacit.models.scratch import FAMILIES, OPTIONAL, Scratch, build

VOCABULARY, EOS, PAD = 23, 1, 2
BASE = {"hidden": 32, "layers": 2}
ENGINE = [name for name in FAMILIES if name not in ("roles", "gaussian")]
"""Families that are driven from outside; one that thinks by itself has tests of its own (tests/quiet)."""
HAVING = {name: [family for family, shape in FAMILIES.items() if name in shape.has] for name in OPTIONAL}
ELSEWHERE = {
    "heads": 2,
    "mlp": 8,
    "positions": 16,
    "kv_heads": 2,
    "window": 3,
    "rope_theta": 500.0,
    "head": "mlp",
    "initial": {},
}


def made(family: str, seed: int | None = 0, **settings):
    return build(Scratch(family=family, **BASE | settings), VOCABULARY, eos=EOS, pad=PAD, seed=seed)


def some_ids(columns: int = 9) -> torch.Tensor:
    return torch.randint(3, VOCABULARY, (2, columns))


def sizes(model, name: str) -> set[tuple[int, ...]]:
    return {tuple(weight.shape) for key, weight in model.named_parameters() if f".{name}." in f".{key}."}


@pytest.mark.parametrize("tied", [None, True, False])
@pytest.mark.parametrize("family", ENGINE)
def test_builds_saves_and_comes_back_bit_for_bit(family, tied, tmp_path):
    model = made(family, tied=tied).eval()
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is type(model)
    found = loaded.state_dict()
    assert all(torch.equal(value, found.pop(name)) for name, value in model.state_dict().items())
    assert not found
    # Loaded weights lie at odd addresses of the mapped file, where sums may round differently; a copy does not.
    ids = some_ids()
    logits = model(ids).logits
    assert torch.equal(copy.deepcopy(loaded)(ids).logits, logits)
    assert logits.isfinite().all()
    assert logits.shape == (2, 9, VOCABULARY)
    assert logits.dtype == torch.float32
    expected = FAMILIES[family].tied if tied is None else tied
    for each in (model, loaded):
        assert (each.get_output_embeddings().weight is each.get_input_embeddings().weight) == expected


@pytest.mark.parametrize("family", ENGINE)
def test_building_and_generating_is_silent(family, caplog, capfd, recwarn):
    model = made(family).eval()
    out = model.generate(some_ids(), attention_mask=torch.ones(2, 9), max_new_tokens=3, do_sample=False)
    assert out.shape[1] <= 12
    printed = capfd.readouterr()
    assert (caplog.text, printed.out, printed.err, list(recwarn)) == ("", "", "", [])
    for holder in (model.config, model.generation_config):
        assert (holder.eos_token_id, holder.pad_token_id, holder.bos_token_id) == (EOS, PAD, None)


@pytest.mark.parametrize("family", HAVING["heads"])
def test_the_shape_is_the_one_asked_for(family):
    model = made(family, layers=3, heads=2, mlp=40, positions=48)
    config = model.config
    assert (config.num_hidden_layers, config.hidden_size, config.num_attention_heads) == (3, 32, 2)
    assert config.max_position_embeddings == 48
    assert config._attn_implementation == "sdpa"
    assert model.get_input_embeddings().weight.shape == (VOCABULARY, 32)
    assert any(40 in weight.shape for weight in model.parameters())
    assert not any(128 in weight.shape for weight in model.parameters())
    assert any(128 in weight.shape for weight in made(family).parameters()), "four times the width where left out"


@pytest.mark.parametrize(("family", "table"), [("gpt2", "wpe"), ("opt", "embed_positions")])
def test_a_position_table_has_the_size_asked_for(family, table):
    [(rows, width)] = sizes(made(family, positions=48), table)
    assert (rows - (2 if family == "opt" else 0), width) == (48, 32)  # opt keeps two rows for itself


@pytest.mark.parametrize("family", HAVING["kv_heads"])
def test_keys_and_values_can_share_heads(family):
    for kv_heads, width in {1: 8, 2: 16, None: 32}.items():
        model = made(family, heads=4, kv_heads=kv_heads)
        assert sizes(model, "k_proj.weight") == sizes(model, "v_proj.weight") == {(width, 32)}
        assert sizes(model, "q_proj.weight") == {(32, 32)}
        assert model.eval()(some_ids()).logits.isfinite().all()


@pytest.mark.parametrize("family", HAVING["window"])
def test_a_window_is_what_attention_sees(family):
    ids = some_ids()
    other = ids.clone()
    other[:, 0] = 3 + (ids[:, 0] - 2) % (VOCABULARY - 3)
    reached = {}
    for window in (3, None):
        model = made(family, layers=1, window=window).double().eval()
        reached[window] = [bool(change) for change in (model(ids).logits != model(other).logits).any(-1).all(0)]
    assert reached[3] == [True] * 3 + [False] * 6
    assert reached[None] == [True] * 9, "without a window every column sees the first"


@pytest.mark.parametrize("family", HAVING["rope_theta"])
def test_the_base_of_rotations_is_used(family):
    ids = some_ids()
    bases = (None, 10_000.0, 100.0)
    usual, written, other = (made(family, heads=1, rope_theta=base).eval()(ids).logits for base in bases)
    assert torch.equal(usual, written)
    assert not torch.allclose(usual, other)


@pytest.mark.parametrize("family", ENGINE)
def test_dropout_is_what_was_set(family):
    ids = some_ids()
    without = made(family).train()
    assert torch.equal(without(ids).logits, without.eval()(ids).logits), "none unless asked for"
    some = made(family, dropout=0.5).train()
    assert not torch.equal(some(ids).logits, some(ids).logits)


@pytest.mark.parametrize("family", ENGINE)
def test_initial_weights_have_the_spread_asked_for(family):
    for std in (0.02, 0.3):
        table = made(family, init_std=std, hidden=64).get_input_embeddings().weight
        rest = table[[row for row in range(VOCABULARY) if row != PAD]]  # the row of the padding may be zero
        assert rest.std().item() == pytest.approx(std, rel=0.1)


def test_a_seed_alone_decides_the_weights():
    first = made("gpt2", seed=7).get_input_embeddings().weight
    torch.rand(5)
    before = torch.get_rng_state()
    assert torch.equal(made("gpt2", seed=7).get_input_embeddings().weight, first)
    assert torch.equal(torch.get_rng_state(), before), "the rest of the program draws what it would have drawn"
    assert not torch.equal(made("gpt2", seed=8).get_input_embeddings().weight, first)
    assert not torch.equal(
        made("gpt2", seed=None).get_input_embeddings().weight, made("gpt2", seed=None).get_input_embeddings().weight
    )


@pytest.mark.parametrize("family", ENGINE)
def test_what_a_family_lacks_is_refused_and_what_it_has_is_not(family):
    settings = {name: value for name, value in ELSEWHERE.items() if name not in FAMILIES[family].has}
    assert Scratch(family=family, **settings).faults().keys() == settings.keys()
    for name in OPTIONAL & FAMILIES[family].has:
        assert Scratch(family=family, **{name: ELSEWHERE[name]}).faults() == {}


def test_all_faults_come_together():
    with pytest.raises(ModelError) as refusal:
        build(Scratch(family="llama", hidden=64, heads=6, kv_heads=4, head="mlp"), 10, eos=10, pad=-1, bos=12)
    text = str(refusal.value)
    assert all(f"\n  {name} " in text for name in ("heads", "kv_heads", "head", "eos", "pad", "bos"))
    assert "set heads to 4" in text
    assert "set kv_heads to 3" in text
    assert "take one of gru, lstm" in text


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"family": "gpt_neox", "hidden": 16, "heads": 4}, "heads"),
        ({"family": "phi", "hidden": 6, "heads": 3}, "heads"),
        ({"family": "llama", "hidden": 12, "heads": 4}, "heads"),
        ({"family": "gru", "head": "mlp", "tied": True}, "tied"),
    ],
)
def test_faults_are_those_of_the_architecture(settings, named):
    assert Scratch(**settings).faults().keys() == {named}
    with pytest.raises(ModelError, match=named):
        build(Scratch(**settings), VOCABULARY, eos=EOS, pad=PAD)


def test_an_mlp_head_is_built():
    model = made("gru", head="mlp")
    assert model.get_output_embeddings().weight.shape == (VOCABULARY, 512)


def test_naming_a_model_costs_no_import():
    code = "import sys, tacit.models.scratch; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
