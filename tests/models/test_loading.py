"""Existing weights that cannot be what they should be are refused with one clear sentence."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

import tacit
from tacit.errors import ModelError
from tacit.models import places
from tacit.models.loading import load_base
from tacit.models.tokenizers import character_tokenizer, word_tokenizer
from tacit.models.tokens import make_rows
from tests.thinkers import thinker_of


@pytest.fixture
def saved(tmp_path):
    """Saves a thinker and gives its folder."""

    def save(**kind):
        thinker_of(**kind).save_pretrained(tmp_path / "it")
        return tmp_path / "it"

    return save


def test_a_tokenizer_of_ours_is_loaded_without_a_warning(saved):
    """In a process of its own, where nothing else has made our models known."""
    code = "import sys; from tacit.models.loading import load_tokenizer; load_tokenizer(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", code, saved(family="gru")], capture_output=True, text=True, check=True)
    assert done.stderr == ""


def change(folder, **tensors):
    """Rewrites a checkpoint; a tensor that is None goes."""
    file = folder / "model.safetensors"
    state = load_file(file) | tensors
    save_file({name: tensor for name, tensor in state.items() if tensor is not None}, file, {"format": "pt"})


def test_a_sound_folder_is_not_refused(saved):
    model, tokenizer = load_base(str(saved(family="llama", tied=False)))
    assert model.get_input_embeddings().weight.shape[0] == len(tokenizer)


def test_fp16_weights_are_refused_as_such(saved):
    with pytest.raises(ModelError, match="has float16 weights"):
        tacit.thinker.Thinker.from_pretrained(saved(), dtype=torch.float16)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_rows_that_are_not_numbers(saved, value):
    folder = saved(family="llama", tied=False)
    table = load_file(folder / "model.safetensors")["lm_head.weight"]
    table[2:5, 0] = value
    change(folder, **{"lm_head.weight": table})
    with pytest.raises(ModelError, match="3 rows of the head hold NaN or infinity"):
        tacit.load(folder)


def test_an_untied_checkpoint_without_its_head(saved):
    folder = saved(family="llama", tied=False)
    change(folder, **{"lm_head.weight": None})
    with pytest.raises(ModelError, match=r"no weights for lm_head\.weight, so its head would be drawn at random"):
        tacit.load(folder)


def test_a_tied_checkpoint_needs_no_head(saved):
    folder = saved(family="llama", tied=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    tacit.load(folder)


def test_a_checkpoint_that_lacks_a_layer(saved):
    folder = saved(family="llama")
    change(folder, **{"model.layers.1.mlp.up_proj.weight": None})
    with pytest.raises(ModelError, match="so parts of it would be drawn at random"):
        tacit.load(folder)


def test_a_tokenizer_without_an_end_of_text(saved):
    folder = saved()
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token": None}))
    with pytest.raises(ModelError, match="no end-of-text token"):
        tacit.load(folder)


def test_a_tokenizer_with_more_tokens_than_rows(saved):
    folder = saved()
    character_tokenizer(["abcdefghijklmnopqrstuvwxyz0123456789"]).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"the tokenizer has 38 tokens and .* rows for 25 only, so the last 13"):
        tacit.load(folder)


def test_a_tokenizer_with_far_fewer_tokens_than_rows(saved):
    folder = saved()
    character_tokenizer(["ab"]).save_pretrained(folder)
    with pytest.raises(ModelError, match=r"the tokenizer has 4 tokens and .* has rows for 25: it is not the one"):
        tacit.load(folder)


def test_a_table_that_was_rounded_up_is_sound(saved):
    """Published models have a few rows that no token uses; new tokens take those, and are set in both tables."""
    folder = saved(family="llama", tied=False)
    model, tokenizer = load_base(str(folder))
    model.resize_token_embeddings(len(tokenizer) + 2)
    tokenizer.add_tokens(["<pause>"])
    make_rows(model, tokenizer, [len(tokenizer) - 1])
    for table in (model.get_input_embeddings().weight, model.get_output_embeddings().weight):
        assert len(table) == len(tokenizer) + 1
        assert torch.allclose(table[len(tokenizer) - 1], table[: len(tokenizer) - 1].mean(0), atol=1e-7)


def test_another_tokenizer_than_the_weights_own(saved, tmp_path):
    folder = saved()
    word_tokenizer(["some other words"]).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelError, match=r"is another one than that of .*: 25 of its 25 tokens have other ids"):
        load_base(str(folder), tokenizer=str(tmp_path / "other"))
    thinker_of().tokenizer.save_pretrained(tmp_path / "same")
    load_base(str(folder), tokenizer=str(tmp_path / "same"))


def test_a_folder_without_a_tokenizer(saved):
    folder = saved()
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ModelError, match="tokenizer"):
        tacit.load(folder)


def test_tables_of_different_sizes_take_no_new_tokens():
    thinker = thinker_of("llama", tied=False)
    thinker.model.set_output_embeddings(torch.nn.Linear(16, 7))
    with pytest.raises(ModelError, match="the embedding has 25 rows and the head 7"):
        make_rows(thinker.model, thinker.tokenizer, [25])


@pytest.mark.parametrize(("start", "message"), [("<<", "is 2 tokens"), ("é", "has no token for 'é'")])
def test_a_start_of_new_rows_that_is_no_token(start, message):
    thinker = thinker_of()
    with pytest.raises(tacit.TacitError, match=message):
        make_rows(thinker.model, thinker.tokenizer, [25], start)


@pytest.mark.parametrize("tied", [True, False])
def test_new_rows_start_from_a_named_token(tied):
    thinker = thinker_of("llama", tied=tied)
    [seven] = thinker.tokenizer("7", add_special_tokens=False)["input_ids"]
    thinker.tokenizer.add_tokens(["<pause>"])
    make_rows(thinker.model, thinker.tokenizer, [25], "7")
    for table in (thinker.model.get_input_embeddings().weight, thinker.model.get_output_embeddings().weight):
        assert table.shape[0] == 26 and torch.equal(table[25], table[seven])


def test_an_unknown_name_offline():
    with pytest.raises(ModelError, match="nobody/nothing is neither a folder here nor a hub id that can be reached"):
        tacit.load("nobody/nothing")


def test_a_name_that_cannot_be_one():
    with pytest.raises(ModelError, match="what is this is neither a folder here nor a hub id"):
        tacit.load("what is this")


class Gated(OSError):
    """What the hub raises for a model whose terms nobody has accepted."""


@pytest.mark.parametrize("step", ["tokenizer", "model", "file"])
def test_a_gated_model(monkeypatch, saved, step):
    import huggingface_hub
    import transformers

    def refuse(*_, **__):
        raise Gated("You are trying to access a gated repo.\nMake sure to have access to it.")

    name = "meta/gated"
    if step == "file":
        monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
        with pytest.raises(ModelError, match="meta/gated is gated: accept its terms"):
            places.find_file(name, "thought.json")
        return
    tokenizer = thinker_of().tokenizer
    refused = transformers.AutoTokenizer if step == "tokenizer" else transformers.AutoModelForCausalLM
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", lambda *_, **__: tokenizer)
    monkeypatch.setattr(refused, "from_pretrained", refuse)
    with pytest.raises(ModelError, match="gated: accept its terms on its page, then set HF_TOKEN"):
        tacit.load(name)


def test_a_folder_is_never_called_gated(saved):
    assert "cannot be loaded" in places.unreachable(str(saved()), OSError("a gated linear unit is missing"))


def test_a_plain_hub_model_is_asked_for_by_its_files(monkeypatch):
    """Without a network no file is found, and a model that was downloaded before must still load."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    def nothing(*_, **__):
        raise LocalEntryNotFoundError("not cached")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", nothing)
    assert places.find_file("gpt2", "thought.json") is None
