"""The formula for costs against torch's own counter, and the number of reads against the reads that happen."""

from dataclasses import replace

import pytest
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from tacit.engine.complete import Completion
from tacit.evaluate import split
from tacit.evaluate.flops import Price, Work, price, work
from tacit.evaluate.split import evaluate_split
from tacit.layout import Layout, Segment
from tacit.models.scratch import Scratch, build
from tacit.models.tokenizers import word_tokenizer
from tacit.models.tokens import add_tokens
from tacit.thinker import Thinker
from tacit.thinking import Thinking
from tests.evaluate.small_thinker import METHOD, SETTINGS, TASK, make

ONE_BY_ONE = SETTINGS.model_copy(update={"batch": 1})
MODELS = [
    ("gpt2", {}, "identity"),
    ("gpt2", {}, "soft"),
    ("llama", {"kv_heads": 2}, "identity"),
    ("llama", {"mlp": 50}, "mlp"),
    ("qwen3", {"kv_heads": 1}, "linear"),
]


def thinker_of(family: str, options: dict, feedback: str) -> Thinker:
    """With eager attention, whose products the counter sees; it does not know all fused kernels."""
    base = make(family, **options)
    base.model.set_attn_implementation("eager")
    return Thinker(base.model, base.tokenizer, base.vocab, Thinking(feedback=feedback))


@pytest.fixture
def counted(monkeypatch):
    """A function that gives the report, what torch counted meanwhile, and how often the body was called. What should be written
    is not read for the cost of answers, unless the reading answers."""
    monkeypatch.setattr(split, "read", lambda thinker, layouts, *_: [None] * len(layouts))
    return count


def count(thinker, examples, settings=ONE_BY_ONE, template=TASK.template):
    calls = []
    hook = thinker.door.body.register_forward_hook(lambda *_: calls.append(1))
    with FlopCounterMode(display=False) as counter:
        report = evaluate_split(thinker, METHOD, TASK, template, examples, settings)
    hook.remove()
    return report, counter.get_total_flops(), len(calls)


@pytest.mark.parametrize(("family", "options", "feedback"), MODELS, ids=[f"{m[0]}-{m[2]}" for m in MODELS])
def test_flops_and_forwards_are_those_of_the_work_done(family, options, feedback, examples, counted):
    report, flops, calls = counted(thinker_of(family, options, feedback), examples[:3])
    assert report.flops == pytest.approx(flops, rel=0.02)
    assert report.forwards == calls


@pytest.mark.parametrize(("family", "options", "feedback"), [*MODELS[:4], ("gpt2", {}, "pause")])
def test_verified_answers_cost_what_they_cost(family, options, feedback, examples):
    """The first example is what the model would write and takes a read for each silent step; the others are decoded too."""
    thinker = thinker_of(family, options, feedback).requires_grad_(False)  # which torch's counter stumbles over
    cue, answer = count(thinker, examples[:1])[0].rows[0]["text"].split(maxsplit=1)
    asked = [replace(examples[0], answer=answer), *examples[1:3]]
    how = (
        ONE_BY_ONE.model_copy(update={"check": "verify", "max_tokens": 2}),
        TASK.template.model_copy(update={"cue": cue}),
    )
    assert count(thinker, asked[:1], *how)[2] == (1 if feedback == "pause" else METHOD.max_stage + 1)
    report, flops, calls = count(thinker, asked, *how)
    assert report.flops == pytest.approx(flops, rel=0.02)
    assert report.forwards == calls


def test_twin_a_head_on_every_column_would_be_noticed(examples, monkeypatch, counted):
    thinker = thinker_of("gpt2", {}, "identity")
    frugal = Work.flops
    everywhere = lambda self, price: frugal(self._replace(heads=self.columns), price)  # noqa: E731
    monkeypatch.setattr(Work, "flops", everywhere)
    report, flops, _ = counted(thinker, examples[:3])
    assert report.flops != pytest.approx(flops, rel=0.02)


def test_a_recurrent_model_has_no_attention_to_pay():
    tokenizer = word_tokenizer(TASK.words())
    vocab = add_tokens(tokenizer)
    model = build(Scratch(family="gru", layers=2, hidden=32), len(tokenizer), eos=vocab.eos, pad=vocab.pad, seed=0)
    layer = 2 * 3 * 32 * 32  # two matrices of three gates
    assert price(Thinker(model, tokenizer, vocab)) == Price(2 * 2 * layer, 0, 2 * 32 * len(tokenizer), 0)


def test_adapters_are_counted_and_tables_are_not():
    plain = make("llama")
    before = price(plain)
    assert before.column == 2 * sum(p.numel() for n, p in plain.model.named_parameters() if "_proj" in n)
    rows = [plain.vocab.open]
    config = LoraConfig(
        r=2, target_modules="all-linear", trainable_token_indices={"embed_tokens": rows, "lm_head": rows}
    )
    adapted = Thinker(get_peft_model(plain.model, config), plain.tokenizer, plain.vocab)
    added = sum(p.numel() for n, p in adapted.model.named_parameters() if "lora_" in n and "embed" not in n)
    assert price(adapted).column == before.column + 2 * added


def test_reads_of_a_row_alone(thinker):
    vocab = thinker.vocab
    prompt = Layout(Segment("question", (1, 2, 3)), *vocab.thought(2), Segment("cue", (4,)))
    done = Completion(prompt, ids=[5, 6, vocab.eos], latents=2)
    # 3 tokens and <think>; a silent step; a silent step with </think> and the cue; two of three chosen tokens.
    widths, seen = [4, 1, 3, 1, 1], [4, 5, 8, 9, 10]
    assert work(done, vocab) == (5, 10, sum(w * s for w, s in zip(widths, seen)), 3, 2)


def test_reads_break_where_positions_jump(thinker):
    vocab = thinker.vocab
    prompt = Layout(Segment("question", (1,)), *vocab.thought(1), Segment("cue", (4, 4), skip=3))
    assert work(Completion(prompt, ids=[vocab.eos]), vocab).forwards == 3
    straight = Layout(Segment("question", (1,)), *vocab.thought(1), Segment("cue", (4, 4)))
    assert work(Completion(straight, ids=[vocab.eos]), vocab).forwards == 2
