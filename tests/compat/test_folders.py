"""Models as the published code saves them, with more positions than they had, or with nothing but their architecture."""

import json

import pytest
import torch
from safetensors.torch import load_file

import tacit
from tacit.compat.internalize.generate import main as generate
from tacit.errors import ModelError
from tacit.models.making import make_thinker
from tacit.models.positions import grow_positions
from tacit.recipe import load
from tacit.recipe.schema import Model
from tacit.thinking import Thinking
from tests.compat import standins

IDS = torch.tensor([[5, 6, 7, 8]])


@pytest.fixture
def published(tmp_path, world):
    """Saves as the published code does, and gives the folder and the model."""

    def save(prefix="base_model.", base="gpt2", change=None, config=None, **more):
        model = standins.gpt2(tmp_path / "model", seed=101)
        if change:
            change(model)
        state = {f"{prefix}{name}": tensor for name, tensor in model.state_dict().items()} | more
        folder = tmp_path / "published"
        folder.mkdir()
        torch.save(state, folder / "state_dict.bin")
        named = {"base_model": str(world / base), "tokenizer_name": str(world / base)}
        (folder / "config.json").write_text(json.dumps(named if config is None else config))
        return folder, model

    return save


def same(thinker, model) -> bool:
    kept = model.get_input_embeddings().weight.shape[0]
    with torch.no_grad():
        return torch.allclose(thinker.model(IDS).logits[..., :kept], model(IDS).logits, atol=1e-6)


@pytest.mark.parametrize("prefix", ["base_model.", ""])
def test_a_published_folder_is_read(published, world, prefix):
    folder, model = published(prefix, **{f"{prefix}transformer.h.0.attn.bias": torch.ones(1)})
    thinker = tacit.load(folder)
    assert same(thinker, model)
    assert not same(tacit.load(world / "gpt2"), model), "the twin: the base is another model"


def test_grown_positions_and_further_tokens_come_with_it(published):
    def grow(model):
        grow_positions(model, 200)
        model.resize_token_embeddings(len(model.get_input_embeddings().weight) + 2, mean_resizing=False)

    folder, model = published(change=grow)
    words = standins.gpt2_tokenizer()
    words.add_tokens(["<|start|>", "<|ready|>"])
    words.save_pretrained(folder)
    thinker = tacit.load(folder)
    assert thinker.door.limit == 200 and same(thinker, model)
    assert {"<|start|>", "<|ready|>"} <= thinker.tokenizer.get_vocab().keys()


def test_published_folders_that_cannot_be_read(published, world, tmp_path):
    folder, _ = published(**{"base_model.transformer.what": torch.ones(1)})
    with pytest.raises(ModelError, match=r"transformer\.what"):
        tacit.load(folder)
    state = torch.load(folder / "state_dict.bin", weights_only=True)
    del state["base_model.transformer.what"]
    torch.save(state, folder / "state_dict.bin")
    tacit.load(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(ModelError, match='add "base_model": "gpt2"'):
        tacit.load(folder)
    (folder / "config.json").write_text(json.dumps({"base_model": str(world / "gpt2")}))
    torch.save({**state, "run": print}, folder / "state_dict.bin")
    with pytest.raises(ModelError, match="nothing else is read from such a file"):
        tacit.load(folder)
    torch.save({name: tensor for name, tensor in state.items() if "mlp" not in name}, folder / "state_dict.bin")
    with pytest.raises(ModelError, match="has no weights for"):
        tacit.load(folder)


def test_the_published_command_reads_it(published, here, capsys):
    folder, _ = published()
    file = here / "test.txt"
    file.write_text("\n".join(standins.GSM8K[:2]))
    assert generate(["--from_pretrained", str(folder), "--test_path", str(file), "--max_new_tokens", "5"]) == 0
    told = capsys.readouterr().out
    assert told.count("Predicted: ") == 2 and "Test Accuracy: 0.0. Throughput: " in told


def test_positions_grow_by_copies_of_the_last(world, tmp_path):
    old = load_file(world / "gpt2" / "model.safetensors")["transformer.wpe.weight"]
    section = Model(path=str(world / "gpt2"), positions=170)
    thinker = make_thinker(section, Thinking())
    table = thinker.model.transformer.wpe.weight
    assert torch.equal(table[: len(old)], old) and torch.equal(table[len(old) :], old[-1:].expand(170 - len(old), -1))
    thinker.model(torch.ones(1, 170, dtype=torch.long))
    thinker.save_pretrained(tmp_path / "it")
    assert tacit.load(tmp_path / "it").door.limit == 170
    assert make_thinker(section.model_copy(update={"positions": 20}), Thinking()).door.limit == len(old)
    with pytest.raises(IndexError):  # the twin: without growth there is no such position
        tacit.load(world / "gpt2").model(torch.ones(1, 170, dtype=torch.long))


def test_computed_positions_have_no_table(world):
    path = str(world / "mistralai" / "Mistral-7B-v0.1")
    with pytest.raises(ModelError, match="MistralForCausalLM has none"):
        make_thinker(Model(path=path, positions=500), Thinking())


def test_fresh_weights_depend_on_the_seed_alone(world):
    path = str(world / "gpt2")
    made = [make_thinker(Model(path=path, fresh=True), Thinking(), seed=seed).model for seed in (0, 0, 1)]
    first, again, other = (model.transformer.h[0].mlp.c_fc.weight for model in made)
    kept = tacit.load(path).model.transformer.h[0].mlp.c_fc.weight
    assert torch.equal(first, again) and not torch.equal(first, other) and not torch.equal(first, kept)
    assert made[0].config.n_embd == 16


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["model.tiny.layers=2", "model.positions=9"], "set model.tiny.positions: 9 instead"),
        (["model.tiny.layers=2", "model.fresh=true"], "a model from scratch is fresh anyway"),
        (["model.positions=9", "model.lora.r=2"], "adapters stand beside the base as it was published"),
    ],
)
def test_what_does_not_go_together(words, reason):
    with pytest.raises(tacit.TacitError) as caught:
        load("mult/4x4-icot", words, disk=False)
    assert reason in " ".join(str(caught.value).split())
