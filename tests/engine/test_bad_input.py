"""What the engine cannot do exactly it refuses, and says what was given, why it cannot work and what to set."""

import copy

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPT2Model,
    OPTConfig,
    OPTForCausalLM,
)

from tacit.batch import Batch
from tacit.engine.door import open_door
from tacit.engine.sampling import Sampling
from tacit.errors import DataError, ModelError
from tacit.layout import Layout, Segment
from tacit.models.scratch import Scratch, build
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0)
ASK = Segment("question", (5, 6, 7))
END = Segment("answer", (8, VOCAB.eos), 1.0)
SIZES = {
    "vocab_size": 16,
    "n_embd": 16,
    "n_layer": 1,
    "n_head": 2,
    "n_positions": 32,
    "eos_token_id": 4,
    "bos_token_id": 4,
}


def thinker(family="gpt2", **thinking) -> Thinker:
    scratch = Scratch(family=family, layers=2, hidden=16, **({} if family == "gru" else {"heads": 2, "positions": 32}))
    return Thinker(build(scratch, 16, eos=VOCAB.eos, pad=VOCAB.pad, seed=0).double(), None, VOCAB, Thinking(**thinking))


def row(latents=2, answer=END) -> Layout:
    return Layout(ASK, *VOCAB.thought(latents), answer)


def batch(*layouts) -> Batch:
    return Batch.of(layouts or [row(), row(0)], VOCAB)


# --- rows ------------------------------------------------------------------------------------------------------------

STEP = Segment("thought", (VOCAB.latent,))


@pytest.mark.parametrize("align", ["latent", "left", "right"])
def test_a_latent_with_nothing_before_it(align):
    with pytest.raises(DataError, match=r"row 1 starts with a latent.*no hidden state before it.*[Pp]ut at least one"):
        Batch.of([row(), Layout(STEP, END)], VOCAB, align)


def test_a_latent_behind_padding():
    ids = torch.tensor([[5, 6, 0, 2, 7]])
    with pytest.raises(DataError, match="no hidden state before it"):
        Batch.from_tensors(ids, torch.tensor([[1, 1, 0, 1, 1]]), torch.full_like(ids, -100), None, VOCAB)


@pytest.mark.parametrize("before", [VOCAB.close, VOCAB.eos])
def test_a_latent_behind_the_end_of_a_thought(before):
    broken = Layout(ASK, Segment("end", (before,)), STEP, END)
    with pytest.raises(DataError, match=r"row 1, column \d+: a latent token follows .*Open a new thought with <think>"):
        batch(row(), broken)
    assert Batch.of([Layout(ASK, Segment("end", (before,)), Segment("completion", (2, 8), 1.0))], VOCAB).latents.any()


def test_empty_rows_and_batches():
    with pytest.raises(DataError, match="no rows"):
        Batch.of([], VOCAB)
    with pytest.raises(DataError, match=r"row 1 is empty.*Remove it from the data or give it a prompt"):
        batch(row(), Layout())
    assert thinker().complete([]) == []
    with pytest.raises(DataError, match="prompt 1 is empty: give it at least one token"):
        thinker().complete([Layout(ASK), Layout()])


def test_nothing_to_learn():
    """Not NaN: the mean over no tokens is refused. As a part of a step that does learn, such a batch adds zero."""
    silent = batch(Layout(ASK), Layout(Segment("answer", (8,), 1.0)))
    assert silent.learned == 0
    with pytest.raises(DataError, match=r"nothing is learned.*learn=1\.0"):
        thinker().loss(silent)
    assert float(thinker().loss(silent, 5.0).detach()) == 0


@pytest.mark.parametrize("schedule", ["cached", "recompute", "jacobi"])
def test_more_columns_than_positions(schedule):
    fits = row(2, Segment("answer", (8,) * 25, 1.0))
    assert len(fits) == 32 and thinker().loss(batch(fits), schedule=schedule).isfinite()
    for long in (row(3, fits.segments[-1]), Layout(Segment("question", ASK.ids, skip=30), END)):
        with pytest.raises(DataError, match=r"position 3\d, .*has 32 positions .*Shorten or drop.*fewer latents"):
            thinker().loss(batch(row(), long), schedule=schedule)
    assert thinker("gru").loss(batch(row(60))).isfinite()


def test_prompts_without_room():
    with pytest.raises(DataError, match=r"prompt 1 ends at position 31 .*has 32.*[Ss]horten"):
        thinker().complete([row(), Layout(Segment("question", (5,) * 32))])
    with pytest.raises(DataError, match="starts with a latent"):
        thinker().complete([Layout(STEP)])
    with pytest.raises(DataError, match="2 prompts came with 1 samplings; give one for all or one for each"):
        thinker().complete([row(), row()], [Sampling()])


# --- models ----------------------------------------------------------------------------------------------------------


class Forgetful(GPT2Model):
    """Takes a cache and leaves it alone."""

    def forward(self, *args, past_key_values=None, use_cache=None, **options):
        return super().forward(*args, use_cache=False, **options)


class ForgetfulLM(GPT2LMHeadModel):
    def __init__(self, config):
        super().__init__(config)
        self.transformer = Forgetful(config)


class LoudHead(GPT2LMHeadModel):
    """Does something to its logits that no configuration names."""

    def forward(self, *args, **options):
        out = super().forward(*args, **options)
        out.logits = out.logits * 3 + 1
        return out


def test_a_model_without_a_cache():
    mind = Thinker(ForgetfulLM(GPT2Config(**SIZES)), None, VOCAB)
    with pytest.raises(ModelError, match=r"Forgetful did not use the cache.*Set train\.latents\.schedule: recompute"):
        mind.loss(batch())
    with pytest.raises(ModelError, match="did not use the cache"):
        mind.complete([row()])
    assert mind.loss(batch(), schedule="recompute").isfinite()


def test_a_head_that_is_more_than_a_matrix():
    with pytest.raises(ModelError, match=r"head of LoudHead is more than a matrix.*differ by .*[Uu]se a model"):
        Thinker(LoudHead(GPT2Config(**SIZES)), None, VOCAB)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("mamba", {"num_hidden_layers": 1, "state_size": 4}),
        ("mamba2", {"num_hidden_layers": 1, "state_size": 4, "num_heads": 4, "head_dim": 8, "n_groups": 1}),
        ("jamba", {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "num_experts": 2}),
        ("falcon_h1", {"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "mamba_n_heads": 4}),
        ("qwen3_next", {"num_hidden_layers": 4, "num_attention_heads": 2, "num_key_value_heads": 1, "num_experts": 2}),
        ("recurrent_gemma", {"num_hidden_layers": 3, "num_attention_heads": 2, "lru_width": 16}),
        ("xlstm", {"num_hidden_layers": 1, "num_blocks": 1, "num_heads": 2}),
        ("rwkv", {"num_hidden_layers": 1, "attention_hidden_size": 16}),
        ("lfm2", {"num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1, "full_attn_idxs": [1]}),
    ],
)
def test_states_that_cannot_be_forked(kind, settings):
    """State-space and hybrid models are refused by name, when the door is opened."""
    config = AutoConfig.for_model(kind, vocab_size=16, hidden_size=16, intermediate_size=32, pad_token_id=0, **settings)
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    with pytest.raises(
        ModelError, match=rf"(?s){type(model).__name__} keeps .*cannot be forked.*Use a model whose layers"
    ):
        open_door(model)


def test_float16():
    model = GPT2LMHeadModel(GPT2Config(**SIZES)).half()
    with pytest.raises(ModelError, match=r"float16 weights.*overflows.*Set model\.dtype: float32"):
        Thinker(model, None, VOCAB)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("tied", [True, False])
def test_damaged_embeddings(bad, tied):
    model = GPT2LMHeadModel(GPT2Config(**SIZES, tie_word_embeddings=tied))
    with torch.no_grad():
        model.get_input_embeddings().weight[[2, 3], 1] = bad
    with pytest.raises(ModelError, match=r"2 rows of the input embedding hold NaN.*model\.init_tokens"):
        Thinker(model, None, VOCAB)


def test_states_wider_than_embeddings():
    model = OPTForCausalLM(
        OPTConfig(
            vocab_size=16,
            hidden_size=16,
            word_embed_proj_dim=8,
            ffn_dim=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            max_position_embeddings=32,
        )
    )
    with pytest.raises(ModelError, match=r"embeds in 8 dimensions but thinks in 16.*Set feedback: linear or mlp"):
        Thinker(model, None, VOCAB)


def test_layers_of_a_recurrent_model():
    with pytest.raises(ModelError, match=r"recurrent.*(source: last|family)"):
        thinker("gru", source="middle").loss(batch())


# --- gradient checkpointing ------------------------------------------------------------------------------------------


def checkpointed(**thinking) -> Thinker:
    mind = thinker(**thinking).train()
    (getattr(mind.model, "activation_checkpointing_enable", None) or mind.model.gradient_checkpointing_enable)()
    return mind


@pytest.mark.parametrize("schedule", ["cached", "jacobi"])
def test_checkpointing_needs_no_cache(schedule):
    with pytest.raises(
        ModelError, match=r"switches the model's cache off.*latents\.schedule: recompute.*checkpointing: false"
    ):
        checkpointed(schedule=schedule).loss(batch())


@pytest.mark.filterwarnings("error")
def test_checkpointing_with_recompute():
    mind, plain = checkpointed(schedule="recompute"), thinker().train()
    mind.loss(batch()).backward()
    plain.loss(batch()).backward()
    for (name, ours), theirs in zip(mind.named_parameters(), plain.parameters()):
        torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-12, msg=name)


@pytest.mark.parametrize("thinking", [{}, {"schedule": "recompute"}, {"feedback": "pause"}])
def test_checkpointing_where_no_thought_is_awaited(thinking):
    """Rows without latents, replayed thoughts and pauses are one read, which no schedule can hinder."""
    mind = checkpointed(**thinking)
    plain = copy.deepcopy(mind)
    (getattr(plain.model, "activation_checkpointing_disable", None) or plain.model.gradient_checkpointing_disable)()
    replayed = batch()
    replayed.thoughts = torch.randn(*replayed.shape, 16, dtype=torch.float64)
    for given in (batch(row(0)), replayed, *([batch()] if thinking.get("feedback") == "pause" else [])):
        torch.testing.assert_close(mind.loss(given), plain.loss(given))
        assert mind(given).stream is None and plain(given).stream is not None


def test_checkpointing_matters_in_training_only():
    """The library asks for the training mode alone, not for gradients."""
    mind = checkpointed()
    with torch.no_grad(), pytest.raises(ModelError, match="switches the model's cache off"):
        mind.loss(batch())
    assert mind.complete([row()], Sampling(max_tokens=2))[0].ids
    assert mind.eval().loss(batch()).isfinite()
