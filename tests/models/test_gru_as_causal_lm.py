"""The recurrent model behaves as a causal LM of transformers: arguments, cache, generation, saving."""

import copy

import pytest
import torch
from transformers import AutoModel, AutoModelForCausalLM, DynamicCache

from tacit.errors import ModelError
from tacit.models.gru import GRUConfig, GRUForCausalLM, GRUModel

EXACT = {"rtol": 0, "atol": 1e-12}
KINDS = [("gru", "linear"), ("gru", "mlp"), ("lstm", "linear")]
EOS, PAD = 1, 0


@pytest.fixture(params=KINDS, ids="-".join)
def model(request) -> GRUForCausalLM:
    cell, head = request.param
    return tiny(cell=cell, head=head)


def tiny(**more) -> GRUForCausalLM:
    config = GRUConfig(vocab_size=13, hidden_size=8, num_hidden_layers=2, eos_token_id=EOS, pad_token_id=PAD, **more)
    return AutoModelForCausalLM.from_config(config, dtype=torch.double).eval()


def left_padded() -> tuple[torch.Tensor, torch.Tensor]:
    ids = torch.randint(2, 13, (4, 6))
    mask = torch.ones_like(ids)
    for row, padding in enumerate([0, 2, 5, 3]):
        ids[row, :padding], mask[row, :padding] = PAD, 0
    return ids, mask


def test_ids_and_embeddings_are_the_same_input(model):
    ids = torch.randint(0, 13, (2, 5))
    from_ids = model(ids, position_ids=torch.arange(5)[None] + 100, output_hidden_states=True)
    from_embeds = model(inputs_embeds=model.get_input_embeddings()(ids))
    assert torch.equal(from_ids.logits, from_embeds.logits)
    assert [tuple(layer.shape) for layer in from_ids.hidden_states] == [(2, 5, 8)] * 3
    last = model.base_model(ids).last_hidden_state
    assert isinstance(model.base_model, GRUModel)
    assert torch.equal(from_ids.hidden_states[-1], last)
    as_tuple = model(ids, return_dict=False)
    assert torch.equal(as_tuple[0], from_ids.logits)


def test_only_the_wanted_logits_are_made(model):
    ids = torch.randint(0, 13, (2, 5))
    every = model(ids).logits
    assert torch.allclose(model(ids, logits_to_keep=2).logits, every[:, -2:], **EXACT)
    assert torch.allclose(model(ids, logits_to_keep=torch.tensor([0, 3])).logits, every[:, [0, 3]], **EXACT)


def test_labels_give_the_next_token_loss(model):
    ids = torch.randint(0, 13, (2, 5))
    labels = ids.clone()
    labels[0, :3] = -100
    found = model(ids, labels=labels)
    logp = found.logits[:, :-1].float().log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    learned = labels[:, 1:] != -100
    assert found.loss.item() == pytest.approx(-logp[learned].mean().item(), rel=1e-6)


def test_the_cache_continues_a_row(model):
    ids, mask = left_padded()
    at_once = model(ids, attention_mask=mask).logits
    first = model(ids[:, :4], attention_mask=mask[:, :4])
    assert first.past_key_values.get_seq_length() == 4
    rest = model(ids[:, 4:], attention_mask=mask, past_key_values=first.past_key_values)
    assert torch.allclose(rest.logits, at_once[:, 4:], **EXACT)
    assert rest.past_key_values.get_seq_length() == 6
    assert not torch.allclose(model(ids[:, 4:]).logits, at_once[:, 4:], **EXACT)
    assert model(ids, use_cache=False).past_key_values is None


def test_gradients_pass_through_the_cache(model):
    embeds = torch.randn(2, 3, 8, dtype=torch.double, requires_grad=True)
    read = model(inputs_embeds=embeds)
    model(torch.tensor([[5], [6]]), past_key_values=read.past_key_values).logits.sum().backward()
    assert (embeds.grad.abs().sum(-1) > 0).all()


GENERATION = {"greedy": {"do_sample": False}, "sampled": {"do_sample": True}, "beams": {"num_beams": 3}}


def generated(model, ids, mask, how) -> tuple[torch.Tensor, torch.Tensor]:
    """The new tokens, and what the first of them was chosen from."""
    torch.manual_seed(0)
    options = {"max_new_tokens": 8, "min_new_tokens": 8, "return_dict_in_generate": True, "output_logits": True}
    out = model.generate(ids, attention_mask=mask, **options, **GENERATION[how])
    return out.sequences[:, ids.shape[1] :], out.logits[0].view(len(ids), -1)


@pytest.mark.parametrize("how", GENERATION)
def test_padded_prompts_generate_as_if_alone(model, how):
    ids, mask = left_padded()
    tokens, logits = generated(model, ids, mask, how)
    for row in range(len(ids)):
        # The same number of rows draws the same random numbers, so that a sampled row can be compared with its twin.
        prompt = ids[row : row + 1, mask[row].bool()].expand(len(ids), -1)
        alone, alone_logits = generated(model, prompt, torch.ones_like(prompt), how)
        assert torch.equal(tokens[row], alone[row])
        assert torch.allclose(logits[row], alone_logits[row], **EXACT)
    _, careless = generated(model, ids, torch.ones_like(mask), how)
    assert torch.allclose(logits[0], careless[0], **EXACT)
    assert not any(torch.allclose(logits[row], careless[row], **EXACT) for row in (1, 2, 3)), "read as text, it shows"


def test_generation_does_not_depend_on_the_cache(model):
    ids, mask = left_padded()
    options = {"attention_mask": mask, "max_new_tokens": 8, "do_sample": False}
    cached = model.generate(ids, **options)
    assert torch.equal(model.generate(ids, use_cache=False, **options), cached)
    embeds = model.get_input_embeddings()(ids)
    assert torch.equal(model.generate(inputs_embeds=embeds, **options), cached[:, ids.shape[1] :])
    past = model(ids[:, :4], attention_mask=mask[:, :4]).past_key_values
    assert torch.equal(model.generate(ids, past_key_values=past, **options), cached)


def test_generation_is_silent(model, caplog, capfd, recwarn):
    ids, mask = left_padded()
    model.generate(ids, attention_mask=mask, max_new_tokens=3)
    printed = capfd.readouterr()
    assert (caplog.text, printed.out, printed.err, list(recwarn)) == ("", "", "", [])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_saved_and_loaded_bit_for_bit(cell, tied, tmp_path):
    model = tiny(cell=cell, tie_word_embeddings=tied)
    model.save_pretrained(tmp_path)
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert type(loaded) is GRUForCausalLM
    assert loaded.dtype == torch.double
    found = loaded.state_dict()
    assert all(torch.equal(value, found.pop(name)) for name, value in model.state_dict().items())
    assert not found
    for each in (model, loaded):
        assert (each.lm_head.weight is each.get_input_embeddings().weight) == tied
    # Loaded weights lie at odd addresses of the mapped file, where sums may round differently; a copy does not.
    ids = torch.randint(0, 13, (2, 5))
    assert torch.equal(copy.deepcopy(loaded)(ids).logits, model(ids).logits)
    bare = AutoModel.from_pretrained(tmp_path)
    assert type(bare) is GRUModel
    assert torch.equal(copy.deepcopy(bare)(ids).last_hidden_state, model.base_model(ids).last_hidden_state)


@pytest.mark.parametrize("options", [{}, {"tie_word_embeddings": True}, {"head": "mlp"}, {"cell": "lstm"}])
def test_the_vocabulary_can_grow(options):
    model = tiny(**options)
    ids = torch.randint(0, 13, (2, 5))
    before = model(ids).logits
    model.resize_token_embeddings(16, mean_resizing=False)
    assert torch.allclose(model(ids).logits[..., :13], before, **EXACT)
    assert model.config.vocab_size == model.get_output_embeddings().out_features == 16
    assert model(torch.full((1, 1), 15)).logits.shape == (1, 1, 16)
    assert (model.lm_head.weight is model.get_input_embeddings().weight) == model.config.tie_word_embeddings


def test_what_a_gru_cannot_take_is_refused(model):
    ids = torch.randint(0, 13, (2, 5))
    with pytest.raises(ModelError, match="one of them"):
        model(ids, inputs_embeds=model.get_input_embeddings()(ids))
    with pytest.raises(ModelError, match="one of them"):
        model()
    with pytest.raises(ModelError, match=r"\(2, 1, 5, 5\)"):
        model(ids, attention_mask=torch.ones(2, 1, 5, 5))
    with pytest.raises(ModelError, match="covers them"):
        model(ids, attention_mask=torch.ones(2, 4))
    filled = DynamicCache()
    filled.update(torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4), 0)
    with pytest.raises(ModelError, match="DynamicCache"):
        model(ids, past_key_values=filled)
