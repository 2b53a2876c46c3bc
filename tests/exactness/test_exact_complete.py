"""Prompts that are read together, in any number of slots, continue as each would alone: greedily, to the very token."""

import pytest
import torch

from tacit.engine import complete as completing
from tacit.engine import masks, prompts, stream
from tacit.engine.sampling import Sampling
from tacit.layout import Layout, Segment
from tests.exactness import oracle, tiny
from tests.exactness.tiny import FAMILIES, SILENT, VOCAB, thinker, words

SOME = ("gpt2", "llama", "mistral", "gemma3-mixed", "gru")
NEW = 7
MARKS = (VOCAB.open, VOCAB.close)


def thought(count):
    return VOCAB.thought(count)


def mixed() -> list[Layout]:
    """No thought, some, several, text behind them, one prompt twice, latents at the very end, and different lengths."""
    ask = [Segment("question", words(n, 90 + n)) for n in range(10)]
    return [
        Layout(ask[5], *thought(2)),
        Layout(ask[3]),
        Layout(ask[7], *thought(1), Segment("cue", words(3, 80)), *thought(2), Segment("cue", words(2, 81))),
        Layout(ask[3], *thought(4), Segment("cue", words(4, 82))),
        Layout(ask[5], *thought(2)),
        Layout(ask[9], *thought(0)),
        Layout(ask[1], Segment("thought", (VOCAB.latent,) * 3)),
        Layout(ask[5], Segment("open", (VOCAB.open,))),
    ]


def shared() -> list[Layout]:
    """A prefix of eighteen tokens, then different lengths; twice the same; one a prefix of another."""
    few_shot = words(18, 70)
    tails = [words(n, 71 + i) for i, n in enumerate((6, 1, 4, 9, 2))]
    rows = [Layout(Segment("question", (*few_shot, *tail)), *thought(k)) for tail, k in zip(tails, (2, 0, 1, 3, 0))]
    return [*rows, rows[0], Layout(Segment("question", (*few_shot, *tails[3][:4])), *thought(1))]


def check_greedy(mind, layouts, new=NEW, **options):
    """Tokens, silent steps and the vectors fed back are those of the oracle, row by row."""
    done = mind.complete(layouts, Sampling(max_tokens=new, thoughts=True), **options)
    seen = tiny.mind(mind)
    for layout, completion in zip(layouts, done):
        rounds = mind.thinking.rounds if mind.thinking.schedule == "jacobi" else None
        naive = oracle.greedy(seen, layout.ids, new, VOCAB.eos, MARKS, mind.thinking.max_latents, rounds)
        assert completion.ids == naive.ids, f"{layout} went on {completion.ids} and alone {naive.ids}"
        assert completion.latents == len(completion.thoughts) == len(naive.thoughts)
        assert completion.stopped == ("eos" if naive.ids[-1] == VOCAB.eos else "length")
        for ours, theirs in zip(completion.thoughts, naive.thoughts):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    return done


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_in_every_family(family):
    check_greedy(thinker(family), mixed())


@pytest.mark.parametrize("slots", [1, 2, 5, None])
@pytest.mark.parametrize("family", ["gpt2", "mistral", "gru"])
def test_slots(family, slots):
    check_greedy(thinker(family), mixed(), slots=slots)


@pytest.mark.parametrize("slots", [2, None])
@pytest.mark.parametrize("family", SOME)
def test_shared_prefixes(family, slots):
    mind = thinker(family)
    reader = prompts.PromptReader(mind, [prompts.Head(tuple(p.ids[:19]), tuple(range(19))) for p in shared()])
    assert reader.common >= prompts.SHARED  # otherwise this tests nothing
    check_greedy(mind, shared(), slots=slots)


@pytest.mark.parametrize("rounds", [0, 1, 4])
@pytest.mark.parametrize("family", ["gpt2", "mistral", "gru"])
def test_thoughts_made_in_rounds(family, rounds):
    """What was trained with rounds is asked with rounds, also where prompts share a prefix or come again."""
    mind = thinker(family, schedule="jacobi", rounds=rounds)
    check_greedy(mind, mixed(), slots=3)
    check_greedy(mind, shared())


def test_thoughts_made_one_by_one_instead_are_noticed():
    mind = thinker("gpt2", schedule="jacobi", rounds=1)
    mind.thinking = mind.thinking.model_copy(update={"schedule": "cached"})
    done = mind.complete(mixed(), Sampling(max_tokens=NEW, thoughts=True))
    mind.thinking = mind.thinking.model_copy(update={"schedule": "jacobi"})
    again = mind.complete(mixed(), Sampling(max_tokens=NEW, thoughts=True))
    assert [c.ids for c in done] != [c.ids for c in again]


@pytest.mark.slow
@pytest.mark.parametrize("slots", [1, 2, 3, 5, None])
@pytest.mark.parametrize("feedback", ["identity", "linear", "soft", "pause"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_whole_product(family, feedback, slots):
    mind = thinker(family, feedback=feedback)
    check_greedy(mind, mixed(), slots=slots)
    check_greedy(mind, shared(), slots=slots)


@pytest.mark.parametrize("source", ["penultimate", "middle"])
def test_thoughts_from_another_layer(source):
    mind = thinker("gpt2", layers=4, source=source)
    check_greedy(mind, mixed(), slots=3)
    mind.thinking = mind.thinking.model_copy(update={"source": "last"})
    done = mind.complete(mixed(), Sampling(max_tokens=NEW))
    mind.thinking = mind.thinking.model_copy(update={"source": source})
    assert [c.ids for c in done] != [c.ids for c in mind.complete(mixed(), Sampling(max_tokens=NEW))]


@pytest.mark.parametrize("feedback", ["mlp", "soft", "pause"])
@pytest.mark.parametrize("family", ["gpt2", "gru"])
def test_other_feedback(family, feedback):
    check_greedy(thinker(family, feedback=feedback, scale="table"), mixed(), slots=3)


def test_eager_attention():
    mind = thinker("gemma3-mixed")
    mind.model.set_attn_implementation("eager")
    del mind.door
    done = mind.complete(mixed(), Sampling(max_tokens=NEW), slots=3)
    assert [c.ids for c in done] == [c.ids for c in thinker("gemma3-mixed").complete(mixed(), Sampling(max_tokens=NEW))]


def inclined(family, towards, by=1.0, **thinking):
    """A model that likes some token; `towards` ids get a bonus on their logits, the same for engine and oracle."""
    mind = thinker(family, **thinking)
    head = mind.model.get_output_embeddings()
    with torch.no_grad():
        if head.bias is None:
            head.bias = torch.nn.Parameter(torch.zeros(tiny.SIZE, dtype=torch.float64))
        head.bias[torch.tensor(towards)] += by
    return mind


@pytest.mark.parametrize("family", SOME)
def test_the_model_thinks_on_its_own(family):
    """<latent> may be chosen like any other token, behind any other token."""
    mind = inclined(family, SILENT, 1.5)
    done = check_greedy(mind, mixed(), new=9, slots=3)
    own = [i for completion in done for i in completion.ids if i == VOCAB.latent]
    assert len(own) >= 3  # otherwise this tests nothing


@pytest.mark.parametrize("family", ["gpt2", "llama", "gru"])
def test_some_end_early(family):
    done = check_greedy(inclined(family, [VOCAB.eos], 1.5), mixed() * 2, new=9, slots=3)
    lengths = {len(completion.ids) for completion in done if completion.stopped == "eos"}
    assert len(lengths) >= 2


def test_one_prompt_many_times():
    for family in ("gpt2", "mistral", "gru"):
        check_greedy(thinker(family), mixed()[:1] * 5, slots=2)
        check_greedy(thinker(family), mixed()[:1] * 5)


# --- with no latents, the library's own generation -------------------------------------------------------------------


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in tiny.RECURRENT])
def test_the_librarys_own_generation(family):
    """The same prompts, padded on the left, through the unmodified model's `generate`."""
    mind = inclined(family, SILENT, -1e9)  # neither is to think here
    texts = [words(n, 60 + n) for n in (6, 2, 9, 4)]
    width = max(map(len, texts))
    ids = torch.tensor([[VOCAB.pad] * (width - len(t)) + list(t) for t in texts])
    keep = torch.tensor([[0] * (width - len(t)) + [1] * len(t) for t in texts])
    said = mind.model.generate(
        input_ids=ids,
        attention_mask=keep,
        max_new_tokens=NEW,
        do_sample=False,
        pad_token_id=VOCAB.pad,
        eos_token_id=VOCAB.eos,
    )[:, width:]
    layouts = [Layout(Segment("question", text)) for text in texts]
    for slots in (2, None):
        for row, completion in zip(said.tolist(), mind.complete(layouts, Sampling(max_tokens=NEW), slots=slots)):
            end = row.index(VOCAB.eos) + 1 if VOCAB.eos in row else NEW
            assert completion.ids == row[:end]


# --- twins -----------------------------------------------------------------------------------------------------------


def no_mask(patch):
    original = masks.causal
    patch.setattr(masks, "causal", lambda width, past, keep, *rest: original(width, past, None, *rest))


def window_in_columns(patch):
    patch.setattr(masks, "order", lambda keep: torch.arange(keep.shape[1]).expand_as(keep))


def joined_rows_keep_old_pads(patch):
    patch.setattr(stream, "_merge", lambda mine, theirs, rows, width: mine)


def thoughts_looked_up(patch):
    patch.setattr(completing._Sampler, "_think", lambda self, embeds, slots, tokens: embeds)


def thoughts_of_a_neighbour(patch):
    think = completing._Sampler._think

    def rolled(self, embeds, slots, tokens):
        self.states = self.states.roll(1, 0)
        return think(self, embeds, slots, tokens)

    patch.setattr(completing._Sampler, "_think", rolled)


def late_positions(patch):
    read = stream.AttentionStream.read
    late = lambda self, e, positions, *a, **k: read(self, e, positions + (self.length > 0), *a, **k)  # noqa: E731
    patch.setattr(stream.AttentionStream, "read", late)


def held_prompts_mixed_up(patch):
    original = prompts._repeat
    patch.setattr(prompts, "_repeat", lambda s, h, rows: original(s, h, [min(r + 1, len(h) - 1) for r in rows]))


@pytest.mark.parametrize(
    ("family", "sabotage", "layouts"),
    [
        ("gpt2", no_mask, mixed),
        ("mistral", window_in_columns, shared),
        ("gpt2", joined_rows_keep_old_pads, mixed),
        ("llama", thoughts_looked_up, mixed),
        ("gpt2", thoughts_of_a_neighbour, mixed),
        ("llama", late_positions, mixed),
        ("gpt2", held_prompts_mixed_up, shared),
    ],
)
def test_sabotage_is_noticed(family, sabotage, layouts, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises((AssertionError, RuntimeError)):
        check_greedy(thinker(family), layouts(), slots=3)
