"""Saved and loaded, a thinker is the same to the last bit; a folder is whole or not there."""

import json
from contextlib import nullcontext

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import tacit
from tacit.errors import ModelError
from tacit.models import folder as folders
from tacit.models import loading
from tacit.models.adapters import merged
from tacit.thinker import Thinker
from tests.thinkers import batch_of, nudged, prompts_of, thinker_of

KINDS = [
    {"family": "gpt2", "feedback": "mlp"},
    {"family": "gpt2", "tied": False, "feedback": "pause"},
    {"family": "llama", "tied": True, "feedback": "linear", "scale": "table"},
    {"family": "llama", "tied": False, "feedback": "soft", "confine": True},
    {"family": "gru", "tied": False, "feedback": "mlp", "source": "last"},
    {"family": "gru", "tied": True},
    {"family": "gpt2", "tied": True, "feedback": "mlp", "lora": True},
    {"family": "llama", "tied": False, "feedback": "pause", "lora": True},
]


def check_same(one: Thinker, other: Thinker) -> None:
    one.eval(), other.eval()
    assert torch.equal(one.loss(batch_of(one)), other.loss(batch_of(other)))
    for a, b in zip(one.complete(prompts_of(one)), other.complete(prompts_of(other))):
        assert (a.ids, a.logprobs, a.latents) == (b.ids, b.logprobs, b.latents)
    assert (one.vocab, one.thinking) == (other.vocab, other.thinking)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "-".join(map(str, kind.values())))
def test_saved_and_loaded_it_is_the_same(tmp_path, kind):
    thinker = nudged(thinker_of(**kind))
    thinker.save_pretrained(tmp_path / "it", {"method": {"name": "coconut"}})
    loaded = Thinker.from_pretrained(tmp_path / "it")
    check_same(thinker, loaded)
    assert loaded.facts["method"] == {"name": "coconut"}
    assert {n: p.requires_grad for n, p in thinker.named_parameters()} == {
        n: p.requires_grad for n, p in loaded.named_parameters()
    }


@pytest.mark.parametrize("lost", ["feedback", "rows", "adapters"])
def test_a_part_that_is_not_saved_would_be_noticed(tmp_path, monkeypatch, lost):
    thinker = nudged(thinker_of(feedback="mlp", lora=True))
    thinker.save_pretrained(tmp_path / "it")
    loaded = Thinker.from_pretrained(tmp_path / "it")
    names = {"feedback": "feedback.", "rows": "trainable_tokens_delta", "adapters": "lora_B"}
    fresh = dict(thinker_of(feedback="mlp", lora=True).named_parameters())
    with torch.no_grad():
        for name, parameter in loaded.named_parameters():
            if names[lost] in name:
                parameter.copy_(fresh[name])
    with pytest.raises(AssertionError):
        check_same(thinker, loaded)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gru"])
def test_the_folder_is_a_plain_language_model_too(tmp_path, family):
    thinker = nudged(thinker_of(family, feedback="mlp")).eval()
    thinker.save_pretrained(tmp_path / "it")
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "it").eval()
    ids = torch.tensor([AutoTokenizer.from_pretrained(tmp_path / "it")("hello")["input_ids"]])
    assert type(plain) is type(thinker.model)
    assert torch.allclose(plain(input_ids=ids).logits, thinker.model(input_ids=ids).logits, atol=1e-6)
    assert all(torch.equal(a, b) for a, b in zip(plain.parameters(), thinker.model.parameters()))


def test_a_plain_language_model_becomes_a_thinker(tmp_path):
    thinker = thinker_of("llama", tied=False)
    thinker.model.resize_token_embeddings(len(thinker.tokenizer) - 3)
    thinker.model.save_pretrained(tmp_path)
    plain_words = type(thinker.tokenizer)(
        tokenizer_object=_without_thoughts(thinker.tokenizer), eos_token="<eos>", pad_token="<pad>"
    )
    plain_words.save_pretrained(tmp_path)
    loaded = tacit.load(tmp_path)
    assert loaded.vocab == thinker.vocab and loaded.facts == {}
    for table in (loaded.model.get_input_embeddings().weight, loaded.model.get_output_embeddings().weight):
        assert torch.allclose(table[-3:], table[:-3].mean(0).expand(3, -1), atol=1e-7)


def _without_thoughts(tokenizer):
    from tokenizers import Tokenizer

    told = json.loads(tokenizer.backend_tokenizer.to_str())
    told["added_tokens"] = [token for token in told["added_tokens"] if "think" not in token["content"]]
    told["added_tokens"] = [token for token in told["added_tokens"] if "latent" not in token["content"]]
    return Tokenizer.from_str(json.dumps(told))


@pytest.mark.parametrize(("family", "tied"), [("gpt2", True), ("gpt2", False), ("llama", True), ("llama", False)])
def test_merged_adapters_leave_the_model_as_it_was(tmp_path, family, tied):
    thinker = nudged(thinker_of(family, tied=tied, feedback="mlp", lora=True)).eval()
    loss = thinker.loss(batch_of(thinker))
    plain = thinker.model.get_base_model()
    whole = merged(thinker).eval()
    assert not hasattr(whole.model, "peft_config") and type(whole.model) is type(plain)
    assert torch.allclose(whole.loss(batch_of(whole)), loss, rtol=1e-5)
    tables = (whole.model.get_input_embeddings().weight, whole.model.get_output_embeddings().weight)
    assert (tables[0] is tables[1]) == tied
    whole.save_pretrained(tmp_path / "merged")
    check_same(whole, Thinker.from_pretrained(tmp_path / "merged"))
    assert not list((tmp_path / "merged").glob("*adapter*"))


def test_a_merge_that_forgets_the_adapters_would_be_noticed():
    thinker = nudged(thinker_of(lora=True)).eval()
    loss = thinker.loss(batch_of(thinker))
    with thinker.model.disable_adapter():
        assert not torch.allclose(thinker.loss(batch_of(thinker)), loss, rtol=1e-5)


def test_merging_a_bf16_base_adds_in_fp32():
    thinker = nudged(thinker_of(lora=True, dtype="bf16"))
    assert {p.dtype for p in merged(thinker).parameters()} == {torch.float32}


def test_merging_what_has_no_adapters_changes_nothing():
    thinker = thinker_of()
    assert merged(thinker) is thinker


def test_a_save_that_fails_leaves_no_folder_and_the_old_one_intact(tmp_path, monkeypatch):
    thinker = thinker_of()
    monkeypatch.setattr(thinker.tokenizer, "save_pretrained", _full_disk)
    with pytest.raises(OSError, match="full"):
        thinker.save_pretrained(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
    kept = thinker_of(seed=1)
    kept.save_pretrained(tmp_path / "old")
    with pytest.raises(OSError, match="full"):
        thinker.save_pretrained(tmp_path / "old")
    assert [place.name for place in tmp_path.iterdir()] == ["old"]
    check_same(kept, tacit.load(tmp_path / "old"))


def _full_disk(*_):
    raise OSError("the disk is full")


def test_a_later_save_replaces_the_whole_thinker(tmp_path):
    nudged(thinker_of(lora=True)).save_pretrained(tmp_path / "it")
    plain = thinker_of(seed=5)
    plain.save_pretrained(tmp_path / "it")
    check_same(plain, tacit.load(tmp_path / "it"))


def test_other_content_is_not_written_over(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ModelError, match="is there already and is no saved thinker"):
        thinker_of().save_pretrained(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 99}, "written in format 99, and this version reads format 1"),
        ({"thinking": {"feedback": "magic"}}, "does not describe a thinker"),
        ({"thinking": {"feedback": "linear"}}, "does not fit a model of this width with feedback linear"),
        ({"tokens": ["<pause>"]}, "the tokenizer has no <pause>"),
    ],
)
def test_a_thought_json_that_cannot_be_right(tmp_path, change, message):
    thinker_of(feedback="mlp").save_pretrained(tmp_path / "it")
    file = tmp_path / "it" / folders.FACTS
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ModelError, match=message):
        tacit.load(tmp_path / "it")


def test_a_thought_json_that_was_cut_off(tmp_path):
    thinker_of().save_pretrained(tmp_path / "it")
    (tmp_path / "it" / folders.FACTS).write_text('{"format": 1, ')
    with pytest.raises(ModelError, match="cannot be read"):
        tacit.load(tmp_path / "it")


def test_learned_parts_that_are_gone(tmp_path):
    thinker_of(feedback="mlp").save_pretrained(tmp_path / "it")
    (tmp_path / "it" / folders.PARTS).unlink()
    with pytest.raises(ModelError, match=r"has no thought\.safetensors"):
        tacit.load(tmp_path / "it")


def test_a_run_gives_its_final_model_or_its_newest_checkpoint(tmp_path):
    run = tmp_path / "run"
    thinkers = {name: thinker_of(seed=seed) for seed, name in enumerate(["step-20", "step-100", "final"])}
    for name in ("step-20", "step-100"):
        thinkers[name].save_pretrained(run / "checkpoints" / name)
    (run / "checkpoints" / "step-best").symlink_to(run / "checkpoints" / "step-20")
    check_same(thinkers["step-100"], tacit.load(run))
    check_same(thinkers["step-20"], tacit.load(run / "checkpoints" / "step-20"))
    thinkers["final"].save_pretrained(run / "final")
    check_same(thinkers["final"], tacit.load(str(run)))


@pytest.mark.parametrize("name", ["runs/nobody", "./nowhere", "/no/such/folder"])
def test_a_folder_that_is_not_there(name):
    with pytest.raises(ModelError, match=f"there is no folder {name}"):
        tacit.load(name)


def test_a_folder_without_a_model(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ModelError, match=r"holds no model: neither final/ nor checkpoints/step-N"):
        tacit.load(tmp_path)


def check_no_bars(folder, capfd) -> None:
    thinker_of(seed=1).save_pretrained(folder)
    tacit.load(folder)
    out, err = capfd.readouterr()
    assert "Loading weights" not in out + err and "Writing model shards" not in out + err


def test_loading_and_saving_print_nothing(tmp_path, capfd):
    check_no_bars(tmp_path / "it", capfd)


def test_bars_would_be_noticed(tmp_path, capfd, monkeypatch):
    for module in (folders, loading):
        monkeypatch.setattr(module, "no_bars", nullcontext)
    with pytest.raises(AssertionError):
        check_no_bars(tmp_path / "it", capfd)


def test_bars_come_back_after_ours(tmp_path, monkeypatch):
    from huggingface_hub.utils import are_progress_bars_disabled
    from transformers.utils import logging

    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    logging.enable_progress_bar()
    with folders.no_bars():
        assert not logging.is_progress_bar_enabled() and not are_progress_bars_disabled()
    assert logging.is_progress_bar_enabled() and not are_progress_bars_disabled()


def test_the_package_loads_what_is_asked_for_and_no_more():
    assert callable(tacit.load)
    with pytest.raises(AttributeError, match="has no attribute 'lod'"):
        tacit.lod  # noqa: B018
