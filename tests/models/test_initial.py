"""Initial weights are drawn as they are asked for, part by part, and nothing else is touched."""

import pytest
import torch

from tacit.errors import ModelError
from tacit.models.initial import Initial
from tacit.models.scratch import FAMILIES, Scratch, build


def made(initial, layers=2, tied=False, **settings):
    scratch = Scratch(layers=layers, hidden=64, positions=256, tied=tied, initial=initial, **settings)
    return build(scratch, 300, eos=1, pad=2, seed=0)


def deviation(weight) -> float:
    return float(weight.detach().std())


def test_every_part_has_its_deviation():
    model = made(Initial(embeddings=0.1, positions=0.3, weights="fan_in"), layers=8)
    body, block = model.transformer, model.transformer.h[3]
    found = {
        "embeddings": deviation(body.wte.weight) / 0.1,
        "positions": deviation(body.wpe.weight) / 0.3,
        "attention": deviation(block.attn.c_attn.weight) * 64**0.5,
        "up": deviation(block.mlp.c_fc.weight) * 64**0.5,
        "out": deviation(block.attn.c_proj.weight) * (64 * 16) ** 0.5,
        "down": deviation(block.mlp.c_proj.weight) * (256 * 16) ** 0.5,
        "head": deviation(model.lm_head.weight) * (64 * 3) ** 0.5,
    }
    assert found == pytest.approx(dict.fromkeys(found, 1.0), rel=0.03)
    usual = made(None).transformer
    assert deviation(usual.wte.weight) == pytest.approx(0.02, rel=0.03)  # the twin: GPT-2's own


def test_keys_begin_as_queries_only_if_asked():
    for keys in ("own", "queries"):
        weight = made(Initial(keys=keys)).transformer.h[1].attn.c_attn.weight
        assert torch.equal(weight[:, :64], weight[:, 64:128]) == (keys == "queries")
        assert not torch.equal(weight[:, :64], weight[:, 128:])


def test_what_is_left_out_stays_and_a_shared_table_is_drawn_once():
    plain, drawn = made(None), made(Initial(positions=0.3))
    same = {
        name
        for (name, one), other in zip(plain.state_dict().items(), drawn.state_dict().values())
        if torch.equal(one, other)
    }
    assert set(plain.state_dict()) - same == {"transformer.wpe.weight"}
    shared = made(Initial(embeddings=0.5, weights=0.1), tied=True)
    assert shared.lm_head.weight is shared.transformer.wte.weight
    assert deviation(shared.lm_head.weight) == pytest.approx(0.5, rel=0.03)


def test_the_seed_decides():
    one, other = made(Initial(weights=0.1)), made(Initial(weights=0.1))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters()))


@pytest.mark.parametrize("family", sorted(set(FAMILIES) - {"gpt2"}))
def test_other_families_refuse(family):
    with pytest.raises(ModelError, match=r"initial .*leave it out, or take one of gpt2"):
        build(Scratch(family=family, hidden=32, initial=Initial(embeddings=0.1)), 30, eos=1, pad=2)
