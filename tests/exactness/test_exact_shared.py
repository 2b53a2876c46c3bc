"""One chain of thoughts for several stages gives the loss and the gradients of all stages as rows of their own."""

import pytest
import torch

from tacit.engine import masks, run, shared
from tacit.engine.shared import SharedBatch, shared_loss
from tacit.errors import DataError, ModelError
from tacit.layout import Layout, Segment
from tests.exactness import tiny
from tests.exactness.oracle import jacobi
from tests.exactness.tiny import VOCAB, answer, naive_loss, question, same, thinker, words

SOME = ("gpt2", "llama", "mistral", "gemma3-mixed", "gru")


def stages(ask: int, steps: int, seed: int, learn: float = 0.0) -> list[Layout]:
    """Stage k: k thoughts, and the steps that are still written. Stage 0 opens and closes an empty thought."""
    written = [words(2, seed + s) for s in range(steps)]
    return [
        Layout(
            question(ask, seed),
            *VOCAB.thought(k, learn),
            Segment("steps", [i for step in written[k:] for i in step], 1.0),
            answer(2, seed + 9, 0.5),
        )
        for k in range(steps + 1)
    ]


def groups() -> list[list[Layout]]:
    """Examples of different lengths, one of which learns when to stop, and stages in any order."""
    backwards = stages(3, 2, 70)[::-1]
    return [stages(5, 3, 50), stages(2, 3, 60, learn=1.0), [*backwards, backwards[1]]]


def check_shared(family: str, thinker, given=None, embeds=None) -> None:
    given = groups() if given is None else given
    rows = [layout for group in given for layout in group]
    same(family, thinker, shared_loss(thinker, SharedBatch.of(given, VOCAB)), naive_loss(thinker, rows, embeds))


@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_stages_that_share_a_chain(family):
    check_shared(family, thinker(family))


@pytest.mark.parametrize("family", ["gpt2", "gru"])
def test_other_ways_of_thinking(family):
    check_shared(family, thinker(family, feedback="mlp", scale="table"))
    check_shared(family, thinker(family, feedback="pause"))
    check_shared(family, thinker(family, confine=True))
    check_shared(family, thinker(family, schedule="recompute"))
    hasty = thinker(family, schedule="jacobi", rounds=2)
    check_shared(family, hasty, embeds=lambda mind, layout: jacobi(mind, layout.ids, 2))


@pytest.mark.parametrize("family", SOME)
def test_examples_without_thoughts(family):
    """What nobody thinks about is shared as far as it is the same, beside examples with thoughts."""
    plain = [Layout(question(4, 90), answer(n, 2)) for n in (1, 3)]
    check_shared(family, thinker(family), [plain, plain[:1] * 2])
    check_shared(family, thinker(family), [plain, stages(2, 1, 60, learn=1.0)])


def test_a_count_of_the_whole_step():
    mind, given = thinker("gpt2"), groups()
    whole = SharedBatch.of(given, VOCAB)
    parts = [shared_loss(mind, SharedBatch.of([group], VOCAB), whole.learned) for group in given]
    same("gpt2", mind, sum(parts), shared_loss(mind, whole))


def test_in_chunks(monkeypatch):
    mind, batch = thinker("gpt2"), SharedBatch.of(groups(), VOCAB)
    whole = shared_loss(mind, batch)
    monkeypatch.setattr("tacit.objectives.CHUNK", 5 * tiny.SIZE)
    same("gpt2", mind, shared_loss(mind, batch), whole)


def test_a_half_precision_head_is_scored_in_float32():
    mind = thinker("gpt2").bfloat16()
    batch = SharedBatch.of(groups(), VOCAB)
    assert shared_loss(mind, batch).dtype == torch.float32


# --- twins -----------------------------------------------------------------------------------------------------------


def tails_hang_elsewhere(patch):
    of = SharedBatch.of.__func__

    def wrong(cls, *given):
        batch = of(cls, *given)
        batch.at = batch.at - 1
        return batch

    patch.setattr(SharedBatch, "of", classmethod(wrong))


def tails_see_the_whole_chain(patch):
    original = masks.branched
    end = lambda trunk, at, *rest: original(trunk, torch.full_like(at, trunk.shape[1] - 1), *rest)  # noqa: E731
    patch.setattr(masks, "branched", end)


def chain_without_gradient(patch):
    enter = run._Walk._enter
    patch.setattr(run._Walk, "_enter", lambda self, *given: enter(self, *given).detach())


def every_token_counts_the_same(patch):
    targets = shared.SharedBatch._targets

    def wrong(*given):
        found = targets(*given)
        return found | {"weights": torch.ones_like(found["weights"])}

    patch.setattr(shared.SharedBatch, "_targets", wrong)


@pytest.mark.parametrize(
    ("sabotage", "found"),
    [
        (tails_hang_elsewhere, "losses"),
        (tails_see_the_whole_chain, "losses"),
        (chain_without_gradient, "gradients"),
        (every_token_counts_the_same, "losses"),
    ],
)
def test_sabotage_is_noticed(sabotage, found, monkeypatch):
    sabotage(monkeypatch)
    with pytest.raises(AssertionError, match=f"{found}.* differ"):
        check_shared("gpt2", thinker("gpt2"))


# --- what cannot share a chain is refused ----------------------------------------------------------------------------


def test_stages_of_different_questions():
    with pytest.raises(DataError, match="share"):
        SharedBatch.of([[stages(3, 2, 50)[1], stages(3, 2, 80)[2]]], VOCAB)


def test_nothing_in_common():
    with pytest.raises(DataError, match="no beginning in common"):
        SharedBatch.of([[Layout(Segment("question", (5, 6))), Layout(Segment("question", (7, 6)))]], VOCAB)


def test_unequal_groups():
    with pytest.raises(DataError, match="same number"):
        SharedBatch.of([stages(3, 2, 50), stages(3, 1, 60)], VOCAB)


def test_other_positions():
    moved = Layout(Segment("question", words(3, 50), skip=1), *VOCAB.thought(1), answer(2, 2))
    with pytest.raises(DataError, match="positions"):
        SharedBatch.of([[stages(3, 2, 50)[2], moved]], VOCAB)


def test_more_positions_than_the_model_has():
    long = [Layout(question(3, 1), *VOCAB.thought(k), answer(tiny.POSITIONS, 2)) for k in (0, 1)]
    with pytest.raises(DataError, match="positions"):
        shared_loss(thinker("gpt2"), SharedBatch.of([long], VOCAB))


def test_a_gradient_window():
    with pytest.raises(ModelError, match=r"(?s)window.*Unset the window"):
        shared_loss(thinker("gpt2", window=1), SharedBatch.of(groups(), VOCAB))


@pytest.mark.parametrize("feedback", ["identity", "pause"])
def test_gradient_checkpointing(feedback):
    mind = thinker("gpt2", feedback=feedback).train()
    tiny.checkpoint(mind.model)
    with pytest.raises(ModelError, match=r"share a chain need it\. Set train\.checkpointing: false"):
        shared_loss(mind, SharedBatch.of(groups(), VOCAB))


def test_moving_keeps_everything():
    batch = SharedBatch.of(groups(), VOCAB)
    moved = batch.to("cpu")
    assert moved.last_position == batch.last_position and moved.learned == batch.learned
