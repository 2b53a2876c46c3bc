"""A switch to words after fewer silent steps than were trained, words that must come next, and the count of written steps."""

import pytest

from tacit.engine.sampling import Sampling
from tacit.errors import TacitError
from tacit.evaluate.split import evaluate_split, with_latents
from tacit.example import Template, encode
from tacit.layout import Layout, Segment
from tacit.tasks.gsm8k import Gsm8k
from tests.evaluate.small_thinker import METHOD, SETTINGS, TASK, facts


@pytest.fixture
def speaking(thinker):
    thinker.facts = facts()
    yield thinker
    thinker.facts = {}


@pytest.mark.parametrize("latents", [0, 1, 2, 5])
def test_so_many_thoughts_and_then_words(speaking, examples, latents):
    """What is written is what the model writes behind a prompt that was laid out by hand."""
    question, then = examples[0].question, "1 2"
    [answer] = speaking.generate(question, latents=latents, then=then, max_tokens=6)
    [row] = encode(examples[:1], speaking.tokenizer, TASK.template)
    forced = Segment("steps", tuple(speaking.tokenizer(then, add_special_tokens=False)["input_ids"]))
    prompt = with_latents(METHOD.prompt(row, speaking.vocab), latents, speaking.vocab) + Layout(forced)
    [wanted] = speaking.complete([prompt], Sampling(max_tokens=6))
    assert (answer.text, answer.n_thoughts) == (then + wanted.text, latents)


def test_without_either_the_prompt_is_the_methods_own(speaking, examples):
    own, two, none = (
        speaking.generate(examples[0].question, max_tokens=6, **how)[0] for how in ({}, {"latents": 2}, {"latents": 0})
    )
    assert own == two and own.n_thoughts == 2 and none.n_thoughts == 0


def test_a_method_without_thoughts_has_none_to_count(speaking, examples):
    speaking.facts = {**facts(), "method": {"name": "cot"}}
    with pytest.raises(TacitError, match="open no thought"):
        speaking.generate(examples[0].question, latents=1)


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("<<1+1=2>>\n<<2*2=4>>\n### 4", ["<<1+1=2>>", "<<2*2=4>>"]),
        ("<think><latent><latent></think><<2*2=4>>\n### 4", ["<<2*2=4>>"]),
        ("<|start-latent|><|latent|><|end-latent|>### 4", []),
        ("### 4", []),
        ("it never ends", []),  # without an answer, nobody knows what would have been a step
    ],
)
def test_written_steps_without_markers(text, steps):
    assert Gsm8k().written_steps(text) == steps


def test_written_steps_in_symbols_and_without_line_ends():
    assert TASK.written_steps("3 5 [A] 5") == ["3", "5"]
    assert Gsm8k(template=Template(step="{step};", cue="=> ")).written_steps("a;b;=> c") == ["a", "b"]


def test_an_evaluation_counts_them(speaking, examples):
    report = evaluate_split(speaking, METHOD, TASK, TASK.template, examples[:8], SETTINGS)
    counts = [len(TASK.written_steps(row["text"])) for row in report.rows]
    assert report.written_steps_mean == sum(counts) / 8
    assert report.metrics()["written_steps_mean"] == report.written_steps_mean
