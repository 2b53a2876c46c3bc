"""Written steps that disappear: chunks that double, rows of earlier stages, and what a gate is shown."""

import numpy as np
import pytest
from pydantic import ValidationError

from tacit.batch import Batch
from tacit.errors import DataError
from tacit.example import Encoded
from tacit.methods import watching
from tacit.methods.filler import Filler
from tacit.methods.gate import Gate
from tacit.methods.gated import REPEATED
from tacit.methods.icot import Icot
from tacit.methods.removal import Removal
from tests.methods.test_method_layouts import CHAIN, EXAMPLE, VOCAB
from tests.thinkers import thinker_of


def written(layout):
    return [i for s in layout.segments if s.name in ("frontier", "steps") for i in s.ids]


@pytest.mark.parametrize(("stage", "gone"), [(0, 0), (1, 1), (2, 3), (3, 6), (4, 6)])
@pytest.mark.parametrize("kind", [Icot, Filler])
def test_chunks_that_double(kind, stage, gone):
    method = kind(gate=Gate(stages=3, chunk="double"))
    layout = method.layouts(EXAMPLE, VOCAB, stage, np.random.default_rng(0))["main"]
    assert written(layout) == CHAIN[gone:]


@pytest.mark.parametrize("unit", [{"unit": "step"}, {"switch": "depth"}])
def test_whole_steps_go_one_at_a_time(unit):
    kind = Icot if "unit" in unit else Filler
    method = kind(gate=Gate(stages=3), **unit)
    left = [len(written(method.layouts(EXAMPLE, VOCAB, k, np.random.default_rng(0))["main"])) for k in range(4)]
    assert left == [6, 4, 1, 0]


def rows(method, stage, count=2000, example=EXAMPLE, vocab=VOCAB):
    return [method.layouts(example, vocab, stage, np.random.default_rng([7, i]))["main"] for i in range(count)]


def small_words():
    """A thinker, and an example in its tokens."""
    thinker = thinker_of()
    ids = {text: tuple(thinker.tokenizer(text)["input_ids"]) for text in ("3+4", "hel", "lo", "=", "77")}
    return thinker, Encoded("x", ids["3+4"], (ids["hel"], ids["lo"]), ids["="], ids["77"])


def marked(layout):
    return any(s.name == REPEATED for s in layout.segments)


@pytest.mark.parametrize("kind", [Icot, Filler])
def test_replay_meets_every_earlier_stage_equally_often(kind):
    laid = rows(kind(gate=Gate(stages=6), replay=0.4), 4)
    assert sum(map(marked, laid)) / len(laid) == pytest.approx(0.4, abs=0.04)
    left = np.bincount([len(written(row)) for row in laid if marked(row)], minlength=7)
    assert left[:3].sum() == 0
    assert left[3:] / left.sum() == pytest.approx([0.25] * 4, abs=0.05)
    assert {len(written(row)) for row in laid if not marked(row)} == {2}


def test_there_is_nothing_to_replay_at_the_first_stage():
    assert not any(map(marked, rows(Icot(gate=Gate(stages=6), replay=0.4), 0, 50)))


def test_a_gate_is_not_shown_rows_of_earlier_stages():
    """Twin: when the mark is not looked at, they count."""
    thinker, example = small_words()
    vocab = thinker.vocab
    [now] = rows(Icot(gate=Gate(stages=6)), 3, 1, example, vocab)
    mixed = rows(Icot(gate=Gate(stages=6), replay=0.6), 3, 30, example, vocab)
    counted = {}
    for name, layouts in (("fresh", [now]), ("mixed", mixed)):
        batch = Batch.of(layouts, vocab)
        parts = watching.watched_loss(thinker, batch, batch.learned).parts
        counted[name] = float(parts["seen/frontier"]), float(parts["seen/end-0"]), float(parts["seen/tokens"])
    fresh = sum(not marked(row) for row in mixed)
    assert counted["fresh"][:2] == (1, 1)
    assert counted["mixed"][:2] == (fresh, fresh) != (30, 30)
    assert counted["mixed"][2] > fresh * counted["fresh"][2]


def test_hits_are_counted_place_by_place_from_the_end():
    thinker, example = small_words()
    [layout] = rows(Icot(), 0, 1, example, thinker.vocab)
    batch = Batch.of([layout, layout], thinker.vocab)
    parts = watching.watched_loss(thinker, batch, batch.learned).parts
    seen = [float(parts[f"seen/end-{place}"]) for place in range(5)]
    assert seen == [2, 2, 2, 2, 0]  # end of text, two digits, the cue
    start, end = layout.span("answer")
    hidden = thinker(batch, end=batch.end).hidden
    said = thinker.logits(hidden[0, start - 1 : end - 1], batch.ids[0, start - 1 : end - 1]).argmax(-1).tolist()
    right = [float(one == two) for one, two in zip(said, layout.ids[start:end])]
    assert [float(parts[f"right/end-{place}"]) / 2 for place in (2, 1, 0)] == right


def test_a_threshold_below_the_start_is_refused():
    with pytest.raises(ValidationError, match=r"all_beyond: 3 is below start_from: 5.*set all_beyond higher"):
        Removal(start_from=5, all_beyond=3)


@pytest.mark.parametrize("field", ["start_from", "per_epoch", "all_beyond", "from_step", "smoothing"])
def test_negative_removal_is_refused(field):
    with pytest.raises(ValidationError, match="greater than"):
        Removal(**{field: -1})


def test_a_promised_number_of_pauses_is_kept():
    """The promise is what an answer will be asked with, so a row that breaks it is named."""
    with pytest.raises(DataError, match=r"x: its 6 written tokens make 6 pauses, and method.pauses promises 5"):
        Filler(pauses=5, always=True).layouts(EXAMPLE, VOCAB, 0, np.random.default_rng(0))
    Filler(pauses=6, always=True).layouts(EXAMPLE, VOCAB, 0, np.random.default_rng(0))
