"""LoRA: what moves in a step, in which type it is kept, and where the base comes from when the adapters are loaded."""

import json
import shutil

import pytest
import torch

import tacit
from tacit.errors import ModelError
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Lora, Model
from tacit.thinking import Thinking
from tests.thinkers import SMALL, batch_of, nudged, thinker_of

FAMILIES = [("gpt2", True), ("gpt2", False), ("llama", True), ("llama", False)]


def moved_in_a_step(thinker) -> set[str]:
    """Names of the parameters that one step moves. Adapters are nudged first: at zero, half of them has no gradient."""
    before = {name: parameter.clone() for name, parameter in nudged(thinker).named_parameters()}
    optimizer = torch.optim.SGD(thinker.parameters(), lr=1.0)
    thinker.loss(batch_of(thinker)).backward()
    optimizer.step()
    return {name for name, parameter in thinker.named_parameters() if not torch.equal(parameter, before[name])}


def check_what_moves(thinker, tied: bool) -> None:
    ours = ("lora_A", "lora_B", "trainable_tokens_delta", "feedback.module.")
    moved = moved_in_a_step(thinker)
    assert moved == {name for name, _ in thinker.named_parameters() if any(word in name for word in ours)}
    assert all(any(word in name for name in moved) for word in ours)
    assert sum("trainable_tokens_delta" in name for name in moved) == (1 if tied else 2)


@pytest.mark.parametrize(("family", "tied"), FAMILIES)
def test_a_step_moves_adapters_new_rows_and_learned_parts_only(family, tied):
    check_what_moves(thinker_of(family, tied=tied, feedback="mlp", lora=True), tied)


def test_a_base_that_is_not_frozen_would_be_noticed():
    thinker = thinker_of(feedback="mlp", lora=True)
    thinker.model.get_base_model().transformer.ln_f.weight.requires_grad_(True)
    with pytest.raises(AssertionError):
        check_what_moves(thinker, tied=True)


@pytest.mark.parametrize(("family", "tied"), FAMILIES)
def test_of_the_tables_only_the_rows_of_new_tokens_change(family, tied):
    thinker = nudged(thinker_of(family, tied=tied, lora=True))
    tables = [thinker.model.get_input_embeddings(), thinker.model.get_output_embeddings()]
    new = [thinker.vocab.open, thinker.vocab.latent, thinker.vocab.close]
    for table in tables:
        frozen = table.token_adapter.base_layer.weight
        changed = (table.weight != frozen).any(-1).nonzero().flatten().tolist()
        assert changed == new
    assert torch.equal(tables[0].weight, tables[1].weight) == tied


def test_what_is_trained_beside_a_bf16_base_is_fp32():
    thinker = thinker_of("llama", tied=False, feedback="mlp", lora=True, dtype="bf16")
    kinds = {trained: set() for trained in (True, False)}
    for parameter in thinker.parameters():
        kinds[parameter.requires_grad].add(parameter.dtype)
    assert kinds == {True: {torch.float32}, False: {torch.bfloat16}}


@pytest.mark.parametrize("feedback", ["identity", "linear", "mlp", "soft", "pause"])
@pytest.mark.parametrize("scale", ["none", "table"])
def test_a_bf16_base_learns_and_answers_with_fp32_parts(feedback, scale):
    thinker = thinker_of("llama", feedback=feedback, scale=scale, lora=True, dtype="bf16")
    for schedule in ("cached", "recompute"):
        thinker.loss(batch_of(thinker), schedule=schedule).backward()
        with torch.autocast("cpu", torch.bfloat16):
            thinker.loss(batch_of(thinker), schedule=schedule).backward()
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in thinker.feedback.parameters())


@pytest.fixture
def base(tmp_path):
    """The folder of a plain model that adapters can stand beside."""
    nudged(thinker_of("gpt2")).save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def adapted(base, seed=0, **more):
    return make_thinker(Model(path=str(base), lora=Lora(r=4, dropout=0.0), **more), Thinking(), seed=seed)


def test_a_base_with_a_path_is_named_and_not_copied(base, tmp_path):
    thinker = nudged(adapted(base)).eval()
    thinker.save_pretrained(tmp_path / "it")
    assert not (tmp_path / "it" / "base").exists()
    assert json.loads((tmp_path / "it" / "adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    loaded = tacit.load(tmp_path / "it").eval()
    assert torch.equal(loaded.loss(batch_of(loaded)), thinker.loss(batch_of(thinker)))


def test_a_base_that_has_gone(base, tmp_path):
    adapted(base).save_pretrained(tmp_path / "it")
    base.rename(tmp_path / "elsewhere")
    with pytest.raises(ModelError, match=f"there is no folder {base}"):
        tacit.load(tmp_path / "it")


def test_a_base_from_scratch_travels_with_its_adapters(tmp_path):
    thinker = nudged(thinker_of("llama", tied=False, lora=True)).eval()
    names = [name for name, _ in thinker.named_parameters()]
    thinker.save_pretrained(tmp_path / "here" / "it")
    assert [name for name, _ in thinker.named_parameters()] == names  # saving took nothing apart
    (tmp_path / "here").rename(tmp_path / "there")
    loaded = tacit.load(tmp_path / "there" / "it").eval()
    assert torch.equal(loaded.loss(batch_of(loaded)), thinker.loss(batch_of(thinker)))


def test_the_rows_of_tokens_that_the_base_never_had(base, tmp_path):
    """The base has no row for <pause>; the adapters bring it."""
    section = Model(path=str(base), lora=Lora(r=4, dropout=0.0))
    thinker = nudged(make_thinker(section, Thinking(), tokens=["<pause>"])).eval()
    thinker.save_pretrained(tmp_path / "it")
    loaded = tacit.load(tmp_path / "it").eval()
    row = thinker.vocab.extra["<pause>"]
    assert torch.equal(
        loaded.model.get_input_embeddings().weight[row], thinker.model.get_input_embeddings().weight[row]
    )
    assert loaded.vocab == thinker.vocab


def test_adapters_are_drawn_from_the_seed(base):
    def drawn(seed):
        return torch.cat([p.flatten() for n, p in adapted(base, seed).named_parameters() if "lora_A" in n])

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_fresh_adapters_stand_beside_the_sum_of_earlier_ones(base, tmp_path):
    """Which is saved with them, since no path leads to it; with the new ones switched off, it is what it was."""
    thinker = nudged(adapted(base)).eval()
    thinker.save_pretrained(tmp_path / "it")
    again = adapted(tmp_path / "it").eval()
    before = thinker.loss(batch_of(thinker))
    assert torch.allclose(again.loss(batch_of(again)), before, rtol=1e-5)
    nudged(again)
    with again.model.disable_adapter():
        assert torch.allclose(again.loss(batch_of(again)), before, rtol=1e-2)
    after = again.loss(batch_of(again))
    assert not torch.allclose(after, before, rtol=1e-2)
    again.save_pretrained(tmp_path / "again")
    shutil.rmtree(tmp_path / "it")
    assert torch.allclose(tacit.load(tmp_path / "again").eval().loss(batch_of(again)), after, rtol=1e-5)


def test_full_training_merges_adapters(base, tmp_path):
    thinker = nudged(adapted(base)).eval()
    thinker.save_pretrained(tmp_path / "it")
    whole = make_thinker(Model(path=str(tmp_path / "it")), Thinking()).eval()
    assert all(parameter.requires_grad for parameter in whole.parameters())
    assert torch.allclose(whole.loss(batch_of(whole)), thinker.loss(batch_of(thinker)), rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "lora", "message"),
    [
        ("gpt2", Lora(targets=["q_proj"]), r"targets \['q_proj'\] cannot be adapted; set auto, or name some of c_attn"),
        ("gru", Lora(), "has no linear maps in its layers to adapt"),
        ("phi", Lora(), "has a bias, which adapters with rows of their own would lose"),
    ],
)
def test_what_cannot_be_adapted(family, lora, message):
    sizes = {"layers": 1, "hidden": 16} if family == "gru" else SMALL | {"heads": 2}
    with pytest.raises(ModelError, match=message):
        make_thinker(Model(tiny=Scratch(family=family, **sizes), lora=lora), Thinking(), texts=["ab0123456789"])


def test_named_targets_are_adapted(recwarn):
    thinker = thinker_of("gpt2", lora=Lora(r=2, targets=["c_attn"]))
    assert {n.split(".lora_")[0].rpartition(".")[2] for n, _ in thinker.named_parameters() if "lora_" in n} == {
        "c_attn"
    }
    assert not [warning for warning in recwarn if "fan_in_fan_out" in str(warning.message)]
