"""A padded, cached batch gives every row the loss and the gradients that it has alone, in every family and schedule."""

import pytest
import torch

from tacit.batch import Batch
from tacit.engine import masks, recurrent, run, stream
from tacit.engine.cache import new_cache
from tacit.feedback import Feedback
from tests.exactness import tiny
from tests.exactness.oracle import jacobi
from tests.exactness.tiny import FAMILIES, RECURRENT, VOCAB, check, rows, thinker

SOME = ("gpt2", "llama", "mistral", "gemma3-mixed", "gru")
SCHEDULES = ({"schedule": "cached"}, {"schedule": "recompute"}, {"schedule": "jacobi", "rounds": 4})
"""Four rounds, since no row has more thoughts than four."""


@pytest.mark.parametrize("family", FAMILIES)
def test_cached_in_every_family(family):
    check(family, thinker(family))


@pytest.mark.parametrize("schedule", SCHEDULES[1:], ids=lambda s: s["schedule"])
@pytest.mark.parametrize("family", SOME)
def test_schedules(family, schedule):
    check(family, thinker(family, **schedule))


@pytest.mark.parametrize("rounds", [0, 1, 2])
@pytest.mark.parametrize("family", ["gpt2", "mistral", "gru"])
def test_jacobi_before_it_is_exact(family, rounds):
    """Too few rounds give an approximation, but the same one whatever else is in the batch."""
    approximate = thinker(family, schedule="jacobi", rounds=rounds)
    check(family, approximate, embeds=lambda mind, layout: jacobi(mind, layout.ids, rounds))
    with pytest.raises(AssertionError, match="losses differ"):
        check(family, approximate)


ATTENTIONS = [(f, a) for f in FAMILIES for a in (("none",) if f in RECURRENT else ("sdpa", "eager"))]


@pytest.mark.slow
@pytest.mark.parametrize("feedback", ["identity", "linear", "mlp", "soft"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["schedule"])
@pytest.mark.parametrize(("family", "attention"), ATTENTIONS)
def test_the_whole_product(family, schedule, feedback, attention):
    mind = thinker(family, feedback=feedback, **schedule)
    assert mind.door.recurrent is (attention == "none")
    if not mind.door.recurrent:
        mind.model.set_attn_implementation(attention)
        del mind.door
        assert mind.door.attention == attention
    layouts = rows()
    check(family, mind, layouts)
    check(family, mind, batch=widened(layouts, 2, 3))
    for layout in layouts:
        check(family, mind, [layout])


@pytest.mark.parametrize("family", ["gpt2", "mistral", "gemma3-mixed"])
def test_eager_attention(family):
    mind = thinker(family)
    mind.model.set_attn_implementation("eager")
    del mind.door
    assert mind.door.attention == "eager"
    check(family, mind)
    for layout in rows():  # without padding, fewer masks are made
        check(family, mind, [layout])


# --- where rows stand does not matter --------------------------------------------------------------------------------


def widened(layouts, left: int, right: int) -> Batch:
    """The same rows with columns of padding on either side, as somebody else might lay them out."""
    batch = Batch.of(layouts, VOCAB)

    def pad(tensor, value):
        return torch.nn.functional.pad(tensor, (left, right), value=value)

    return Batch.from_tensors(
        pad(batch.ids, VOCAB.pad), pad(batch.keep, False), pad(batch.labels, -100), pad(batch.positions, 0), VOCAB
    )


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: s["schedule"])
@pytest.mark.parametrize(("left", "right"), [(3, 0), (0, 4), (2, 2)])
def test_extra_padding(left, right, schedule):
    for family in ("gpt2", "mistral", "gru"):
        check(family, thinker(family, **schedule), batch=widened(rows(), left, right))


@pytest.mark.parametrize("align", ["latent", "left", "right"])
@pytest.mark.parametrize("family", SOME)
def test_alignments(family, align):
    check(family, thinker(family), batch=Batch.of(rows(), VOCAB, align))


@pytest.mark.parametrize("family", SOME)
def test_order_of_rows(family):
    mind, layouts = thinker(family), rows()
    shuffled = [layouts[i] for i in (3, 0, 4, 1, 2)]
    tiny.same(family, mind, mind.loss(Batch.of(shuffled, VOCAB)), mind.loss(Batch.of(layouts, VOCAB)))


@pytest.mark.parametrize("family", SOME)
def test_rows_alone_and_rows_alike(family):
    """Batches without padding take other paths than ragged ones."""
    mind = thinker(family)
    for layout in rows():
        check(family, mind, [layout])
        check(family, mind, [layout, layout])


def test_columns_beyond_the_last_label_are_not_read():
    mind, batch = thinker("gpt2"), Batch.of(rows(), VOCAB)
    whole = mind(batch).hidden
    assert mind(batch, end=batch.end).hidden.shape[1] == batch.end < whole.shape[1]
    torch.testing.assert_close(mind(batch, end=batch.end).hidden, whole[:, : batch.end], rtol=0, atol=1e-12)


@pytest.mark.parametrize("family", ["gpt2", "llama", "mistral"])
def test_every_layer_of_a_trace(family):
    mind, layouts = thinker(family), rows()
    batch = Batch.of(layouts, VOCAB)
    traces = [mind(batch, layers=True, schedule=schedule) for schedule in ("cached", "recompute")]
    assert len(traces[0].layers) == 3
    for r, layout in enumerate(layouts):
        seen = tiny.mind(mind)
        _, states = seen.forward(tiny.oracle.thoughtful(seen, layout.ids))
        at = slice(batch.starts[r], batch.starts[r] + len(layout))
        for trace in traces:
            for ours, theirs in zip(trace.layers, states):
                torch.testing.assert_close(ours[r, at], theirs, rtol=0, atol=1e-12)


# --- twins: each breaks something on purpose, and the comparison must notice -----------------------------------------


def no_mask(patch):
    original = masks.causal
    patch.setattr(masks, "causal", lambda width, past, keep, *rest: original(width, past, None, *rest))
    read = recurrent.RecurrentStream.read
    patch.setattr(recurrent.RecurrentStream, "read", lambda self, e, p, keep=None, layers=False: read(self, e, p))


def no_window(patch):
    original = masks.causal
    patch.setattr(masks, "causal", lambda width, past, keep, window, dev: original(width, past, keep, None, dev))


def late_positions(patch):
    read = stream.AttentionStream.read
    late = lambda self, e, positions, *rest: read(self, e, positions + (self.length > 0), *rest)  # noqa: E731
    patch.setattr(stream.AttentionStream, "read", late)


def no_cache(patch):
    read, again = stream.AttentionStream.read, recurrent.RecurrentStream.read

    def forgetful(self, *given):
        self.cache, self.length, self.keep = new_cache(), 0, None
        return read(self, *given)

    def blank(self, *given):
        self.state = None
        return again(self, *given)

    patch.setattr(stream.AttentionStream, "read", forgetful)
    patch.setattr(recurrent.RecurrentStream, "read", blank)


def no_thoughts(patch):
    patch.setattr(run._Walk, "_enter", lambda self, column, source, looked_up: looked_up)


def early_source(patch):
    source = run._Walk._source
    patch.setattr(run._Walk, "_source", lambda self, read, at=-1: source(self, read, 0 if at == -1 else at))


def no_gradient(patch):
    forward = Feedback.forward
    patch.setattr(Feedback, "forward", lambda self, hidden, door: forward(self, hidden, door).detach())


def wrong_labels(patch):
    of = Batch.of.__func__

    def mislabelled(cls, *given):
        batch = of(cls, *given)
        batch.targets = batch.targets.roll(1)
        return batch

    patch.setattr(Batch, "of", classmethod(mislabelled))


@pytest.mark.parametrize(
    ("family", "sabotage", "found"),
    [
        ("gpt2", no_mask, "losses"),
        ("gru", no_mask, "losses"),
        ("mistral", no_window, "losses"),
        ("gemma3-mixed", no_window, "losses"),
        ("gpt2", late_positions, "losses"),
        ("llama", late_positions, "losses"),
        ("gpt2", no_cache, "losses"),
        ("gru", no_cache, "losses"),
        ("llama", no_thoughts, "losses"),
        ("gpt2", early_source, "losses"),
        ("gpt2", no_gradient, "gradients"),
        ("llama", no_gradient, "gradients"),
        ("gru", no_gradient, "gradients"),
        ("gpt2", wrong_labels, "losses"),
    ],
)
def test_sabotage_is_noticed(family, sabotage, found, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises(AssertionError, match=f"{found}.* differ"):
        check(family, thinker(family))
