"""From a recipe to a thinker: its tokenizer, its type, its seed, and what comes along in a warm start."""

import pytest
import torch

import tacit
from tacit.errors import DataError, ModelError
from tacit.example import Example, Template, encode
from tacit.models import making
from tacit.models.making import check_tokenizer, make_thinker, thinker_from_recipe
from tacit.models.scratch import Scratch
from tacit.models.tokenizers import word_tokenizer
from tacit.recipe import load
from tacit.recipe.schema import Model
from tacit.thinking import Thinking
from tests.thinkers import batch_of, nudged, thinker_of

ROWS = [Example("1", "What is 3 + 4?", ("<<3+4=7>>",), "7"), Example("2", text="A document.")]


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(
        "model.tiny: {layers: 1, hidden: 16, heads: 2}\ntask: {name: arithmetic}\n"
        "method: {name: coconut}\ntrain: {steps: 1}\n"
    )
    return lambda *overrides: load(file, list(overrides)).recipe


@pytest.mark.parametrize("tokenizer", ["auto", "character", "bpe"])
@pytest.mark.parametrize("template", [(), ("template.cue=→ ", "template.question=Q: {question} A:")])
def test_the_tokenizer_knows_all_that_examples_are_written_with(recipe, tokenizer, template):
    size = ["model.vocabulary=300"] if tokenizer == "bpe" else []
    made = recipe(f"model.tokenizer={tokenizer}", *size, *template)
    thinker = thinker_from_recipe(made, ROWS)
    words = made.resolved_task().template
    [row, document] = encode(ROWS, thinker.tokenizer, words)
    said = thinker.tokenizer.decode([*row.question, *row.steps[0], *row.cue, *row.answer])
    assert said == words.question.replace("{question}", ROWS[0].question) + f"<<3+4=7>>\n{words.cue}7"
    assert thinker.tokenizer.decode(document.answer) == "A document."
    assert thinker.tokenizer("0123456789 ")["input_ids"]  # digits that these examples do not have
    assert thinker.vocabulary == len(thinker.tokenizer)


def test_symbolic_words_come_from_the_task_and_its_template(recipe):
    made = recipe("task={name: multiplication, left: 2, right: 2}", "template.cue==>")
    task = made.resolved_task()
    thinker = thinker_from_recipe(made, task.examples("valid")[:3])
    ids = thinker.tokenizer.get_vocab()
    assert [ids[word] for word in task.words()] == list(range(len(task.words())))
    assert "=>" in ids and "{question}" not in ids
    assert encode(task.examples("test")[:50], thinker.tokenizer, task.template)


def test_the_tokens_of_the_method_are_there(recipe, monkeypatch):
    made = recipe()
    monkeypatch.setattr(type(made.method.settings), "tokens", ("<pause>",))
    assert list(thinker_from_recipe(made, ROWS).vocab.extra) == ["<pause>"]


def test_silent_steps_are_those_of_the_recipe(recipe):
    made = recipe("method.thoughts.feedback=mlp", "train.latents={schedule: jacobi, rounds: 2}")
    assert thinker_from_recipe(made, ROWS).thinking == Thinking(feedback="mlp", schedule="jacobi", rounds=2)


def weights(thinker):
    return torch.cat([parameter.flatten() for parameter in thinker.parameters()])


def test_the_seed_decides_all_weights_and_nothing_else_does(recipe):
    torch.manual_seed(1)
    first = weights(thinker_from_recipe(recipe("seed=3", "method.thoughts.feedback=mlp"), ROWS))
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = weights(thinker_from_recipe(recipe("seed=3", "method.thoughts.feedback=mlp"), ROWS))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first, again)
    assert not torch.equal(first, weights(thinker_from_recipe(recipe("seed=4", "method.thoughts.feedback=mlp"), ROWS)))


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.float32), ("bf16_weights", torch.bfloat16)]
)
@pytest.mark.parametrize("source", ["tiny", "path"])
def test_bf16_computes_over_fp32_weights_and_bf16_weights_are_bf16(recipe, tmp_path, precision, dtype, source):
    more = []
    if source == "path":
        thinker_from_recipe(recipe(), ROWS).save_pretrained(tmp_path / "it")
        more = [f"model.path={tmp_path / 'it'}"]
    thinker = thinker_from_recipe(recipe(f"train.precision={precision}", *more), ROWS)
    assert {parameter.dtype for parameter in thinker.model.parameters()} == {dtype}


@pytest.mark.parametrize("spelled", ["<think>", "<latent>", "</think>"])
@pytest.mark.parametrize("where", ["question", "answer", "steps", "text"])
def test_texts_that_spell_a_thought_are_refused(recipe, spelled, where):
    words = f"a {spelled} b"
    row = Example("r7", **{"question": "q", "answer": "a", where: (words,) if where == "steps" else words})
    with pytest.raises(DataError, match=f"r7: its text contains '{spelled}', which is a token of thinking"):
        thinker_from_recipe(recipe(), [*ROWS, row])


def test_a_thought_that_is_not_refused_would_become_a_silent_step(recipe, monkeypatch):
    monkeypatch.setattr(making, "refuse_thoughts", lambda *_: None)
    row = Example("r7", "a <latent> b", (), "a")
    thinker = thinker_from_recipe(recipe(), [row])
    assert thinker.vocab.latent in encode([row], thinker.tokenizer)[0].question


def test_a_tokenizer_that_changes_the_examples_is_refused(recipe):
    with pytest.raises(ModelError, match="this tokenizer changes text"):
        thinker_from_recipe(recipe("model.tokenizer=word"), ROWS)  # the template's line breaks are lost
    templates = ("template.question='{question}'", "template.step='{step}'", "template.cue=###")
    assert thinker_from_recipe(recipe("model.tokenizer=word", *templates), ROWS)


def test_a_loaded_tokenizer_is_held_to_the_same(recipe, tmp_path):
    thinker_of().save_pretrained(tmp_path / "it")
    with pytest.raises(ModelError, match="cannot be used with these texts: the tokenizer has no token for"):
        thinker_from_recipe(recipe(f"model.path={tmp_path / 'it'}"), ROWS)


def test_the_sample_reaches_the_last_examples():
    rows = [Example(str(n), "a b", (), "c") for n in range(1000)] + [Example("x", "a  b", (), "c")] * 5
    template = Template(question="{question}", step="{step}", cue="c")
    with pytest.raises(ModelError, match="changes text"):
        check_tokenizer(word_tokenizer(["a b c"]), rows, template)
    check_tokenizer(word_tokenizer(["a b c"]), rows, template.model_copy(update={"kind": "symbolic"}))


def test_a_chat_template_needs_a_model_that_has_one(recipe):
    with pytest.raises(ModelError, match=r"needs the chat template of an instruct model; set model\.path"):
        thinker_from_recipe(recipe("template.kind=chat"), ROWS)


@pytest.fixture
def learned(tmp_path):
    """The folder of a thinker with learned parts."""
    thinker = nudged(thinker_of(feedback="mlp"))
    thinker.save_pretrained(tmp_path / "run" / "final")
    return tmp_path / "run", thinker


def test_a_warm_start_continues_with_the_learned_parts(learned):
    folder, thinker = learned
    again = make_thinker(Model(path=str(folder)), Thinking(feedback="mlp", schedule="recompute"))
    assert again.thinking.schedule == "recompute"
    assert torch.equal(weights(again), weights(thinker))
    assert torch.allclose(again.loss(batch_of(again)), thinker.loss(batch_of(thinker)), rtol=1e-6)


@pytest.mark.parametrize(
    "wanted",
    [
        Thinking(),
        Thinking(feedback="linear"),
        Thinking(feedback="pause"),
        Thinking(feedback="mlp", scale="table"),
        Thinking(feedback="mlp", source="middle"),
    ],
)
def test_learned_thoughts_are_not_left_behind(learned, wanted):
    with pytest.raises(ModelError, match="learned its thoughts in another way"):
        make_thinker(Model(path=str(learned[0])), wanted)


@pytest.mark.parametrize("wanted", ["identity", "mlp", "linear", "pause", "soft"])
def test_plain_weights_begin_to_think_in_any_way(tmp_path, wanted):
    plain = nudged(thinker_of())
    plain.save_pretrained(tmp_path / "cot")
    thinker = make_thinker(Model(path=str(tmp_path / "cot")), Thinking(feedback=wanted))
    assert all(torch.equal(a, b) for a, b in zip(plain.model.parameters(), thinker.model.parameters()))


def test_a_warm_start_keeps_the_rows_of_thought_tokens(learned):
    """Rows that a run has trained are not set anew."""
    folder, thinker = learned
    again = make_thinker(Model(path=str(folder), init_tokens="7"), Thinking(feedback="mlp"))
    row = thinker.vocab.latent
    assert torch.equal(again.model.get_input_embeddings().weight[row], thinker.model.get_input_embeddings().weight[row])


def test_new_tokens_of_published_weights_start_where_the_recipe_says(tmp_path):
    thinker_of("llama", tied=False).save_pretrained(tmp_path / "it")
    section = Model(path=str(tmp_path / "it"), init_tokens="7")
    thinker = make_thinker(section, Thinking(), tokens=["<pause>"])
    [seven] = thinker.tokenizer("7", add_special_tokens=False)["input_ids"]
    for table in (thinker.model.get_input_embeddings().weight, thinker.model.get_output_embeddings().weight):
        assert torch.equal(table[thinker.vocab.extra["<pause>"]], table[seven])
    with pytest.raises(tacit.TacitError, match="is 2 tokens"):
        make_thinker(Model(path=str(tmp_path / "it"), init_tokens="<<"), Thinking(), tokens=["<pause>"])


def test_a_model_from_scratch_is_built_as_described():
    section = Model(tiny=Scratch(family="llama", layers=3, hidden=8, heads=2))
    thinker = make_thinker(section, Thinking(), texts=["ab0123456789"])
    assert (thinker.model.config.num_hidden_layers, thinker.model.config.vocab_size) == (3, len(thinker.tokenizer))
    assert thinker.model.config.eos_token_id == thinker.vocab.eos
