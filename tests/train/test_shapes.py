"""Examples of one shape: the batches of the quick way are, bit for bit, those of rows laid out one by one."""

import json
from dataclasses import fields, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tacit.batch import Batch
from tacit.errors import DataError
from tacit.example import Encoded, Example, encode
from tacit.layout import Layout, Segment
from tacit.methods.base import Method
from tacit.methods.coconut import Coconut
from tacit.methods.cot import Cot, NoCot, NoThoughts
from tacit.methods.filler import Filler
from tacit.methods.gate import Gate
from tacit.methods.icot import Icot
from tacit.methods.pause import Pause
from tacit.methods.removal import EVERYTHING, Removal
from tacit.train import chance, shapes
from tacit.train.data import Pick, lay_out, lessons
from tacit.train.fit import fit
from tacit.train.shapes import Shaped, Shapes
from tacit.train.step import Learner, Stepper
from tacit.vocab import Vocab
from tests.train.small_runs import TEMPLATE, make_recipe, make_thinker, same, weights

VOCAB = Vocab(900, 901, 902, eos=0, pad=0, extra={"<pause>": 903})
ROWS, SEED = 60, 3
GATE = Gate(stages=9)
SMOOTH = Removal(smoothing=0.7)
METHODS = {
    "cot": (Cot(), (0,)),
    "no_cot": (NoCot(), (0,)),
    "no_thoughts": (NoThoughts(), (0, 1, 4)),
    "coconut": (Coconut(latents_per_step=2), (0, 1, 2, 4)),
    "coconut, mixed": (Coconut(mix=0.5), (0, 2, 4)),
    "pause": (Pause(mix=0.3), (0, 2)),
    "pause, no curriculum": (Pause(curriculum=False), (0,)),
    "icot": (Icot(), (0, 5, EVERYTHING)),
    "icot, steps": (Icot(unit="step", gate=GATE, frontier_weight=4.0), (0, 1, 2)),
    "icot, from the right, kept": (Icot(positions="keep", removal=Removal(side="right")), (0, 4, 30)),
    "icot, smoothed": (Icot(removal=SMOOTH), (0, 3, EVERYTHING)),
    "icot, smoothed, kept": (Icot(positions="keep", removal=SMOOTH, frontier_weight=3.0), (2,)),
    "icot, replayed": (Icot(gate=GATE, replay=0.4, removal=SMOOTH, positions="keep"), (0, 1, 6)),
    "filler": (Filler(), (0, 4000, 10_000)),
    "filler, always": (Filler(always=True, pauses=11), (10_000,)),
    "filler, supervised": (Filler(supervised=True, ratio=0.5), (5000,)),
    "filler, depth": (Filler(switch="depth"), (0, 5000, 10_000)),
    "filler, removed": (Filler(removal=SMOOTH, pauses=11), (3000, 3 * 10_001 + 4000)),
    "filler, gated": (Filler(gate=GATE, replay=0.3, frontier_weight=2.0), (0, 5)),
}
CASES = [(name, stage) for name, (_, stages) in METHODS.items() for stage in stages]


def examples(count: int = ROWS, steps: tuple[int, ...] = (4, 5, 2)) -> list[Encoded]:
    rng = np.random.default_rng(1)

    def draw(n: int) -> tuple[int, ...]:
        return tuple(rng.integers(5, 900, n).tolist())

    return [Encoded(f"row-{i}", draw(6), tuple(map(draw, steps)), draw(1), draw(3), draw(2)) for i in range(count)]


ENCODED = examples()
PICKS = [Pick(2, int(i)) for i in np.random.default_rng(0).permutation(ROWS)[:40]] + [Pick(3, i) for i in range(9)]


def made(method: Method, stage: int, quick: bool, size: int = 20) -> list[Batch]:
    """The first view of every micro-batch of a step."""
    if quick:
        rows = Shapes.of(method, ENCODED, VOCAB, SEED, "cpu").lay_out(PICKS, stage)
        assert isinstance(rows, Shaped)
    else:
        rows = lay_out(method, ENCODED, PICKS, VOCAB, stage, SEED)
    return [lesson.views["main"] for lesson in lessons(method, rows, VOCAB, size)]


FACTS = ("shape", "learned", "tokens", "end")
SEGMENTS = ("question", "steps", "frontier", "answer", "thought", "pause")


def differences(one: Batch, other: Batch) -> list[str]:
    """The names of everything in which two batches differ, but for how they were made."""
    found = [name for name in FACTS if getattr(one, name) != getattr(other, name)]
    for name in (field.name for field in fields(Batch) if field.name not in ("pattern", "kinds")):
        mine, theirs = getattr(one, name), getattr(other, name)
        if isinstance(mine, torch.Tensor) and isinstance(theirs, torch.Tensor):
            alike = mine.dtype == theirs.dtype and mine.is_contiguous() and torch.equal(mine, theirs)
        else:
            alike = list(mine) == list(theirs) if name == "layouts" else mine == theirs
        found += [] if alike else [name]
    found += [f"mask of {name}" for name in SEGMENTS if not torch.equal(one.mask(name), other.mask(name))]
    found += [] if torch.equal(one.has("repeated"), other.has("repeated")) else ["has"]
    return found + ([] if torch.equal(one.at("answer", -1), other.at("answer", -1)) else ["at"])


def compared(name: str, stage: int, size: int = 20) -> set[str]:
    method = METHODS[name][0]
    pairs = zip(made(method, stage, True, size), made(method, stage, False, size), strict=True)
    return {what for pair in pairs for what in differences(*pair)}


@pytest.mark.parametrize(("name", "stage"), CASES)
def test_batches_are_those_of_rows_laid_out_one_by_one(name, stage):
    assert compared(name, stage) == set()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_however_a_step_is_cut(size):
    assert compared("icot, replayed", 6, size) == compared("coconut, mixed", 2, size) == set()


def other_rows(patch):
    fill = Shaped._fill
    patch.setattr(Shaped, "_fill", lambda self, blank, rows, name: fill(self, blank, rows.roll(1, 0), name))


def other_draws(patch):
    patch.setattr(shapes, "generators", lambda seed, picks: chance.generators(seed + 1, picks))
    patch.setattr(Shapes, "_enter", enter_unseen)


def one_outcome(patch):
    patch.setattr(chance.Decisions, "certain", property(lambda self: True))
    patch.setattr(Shapes, "_enter", enter_unseen)


def enter_unseen(self, stage, picks):
    """Without the comparison, which would find the fault and fall back."""
    self.stage, self.patterns = stage, chance.Decisions(lambda rng: self._views(self.example, rng))
    self._laid(picks[:1]), self.patterns.number(np.random.default_rng(0))


@pytest.mark.parametrize(
    ("fault", "found"),
    [(other_rows, "ids"), (other_rows, "targets"), (other_draws, "mask of steps"), (one_outcome, "positions")],
)
def test_faults_are_found(monkeypatch, fault, found):
    fault(monkeypatch)
    assert found in compared("icot, replayed", 6)


# -- whole runs ---------------------------------------------------------------------------------------------------------

SMOOTHED = {"every": 1, "smoothing": 0.7}
RUNS = {
    "icot": ({"name": "icot", "removal": SMOOTHED, "positions": "keep", "replay": 0.3}, {"micro_batch": 3}),
    "long rows": ({"name": "icot", "removal": SMOOTHED}, {"max_length": 17}),
    "a gate": (
        {"name": "icot", "gate": {"stages": 5, "warmup": 0, "least": 1, "most": 2}, "frontier_weight": 2.0},
        {"grow": True},
    ),
    "coconut": ({"name": "coconut", "epochs_per_stage": 0.3, "max_stage": 2, "mix": 0.5}, {"micro_batch": 5}),
    "pause": ({"name": "pause", "epochs_per_stage": 0.3}, {"tokens_per_batch": 100}),
    "filler": ({"name": "filler", "supervised": True}, {"steps": None, "epochs": 1.5}),
}


def pairs(count: int) -> list[Example]:
    """Sums of two digits and one, all of one shape."""
    rng = np.random.default_rng(0)
    drawn = [(int(a), int(b)) for a, b in zip(rng.integers(10, 90, count), rng.integers(0, 10, count))]
    return [
        Example(f"{a}+{b}", f"{a}+{b}", (f"{a % 10}+{b}={a % 10 + b:02}", f"{a + b}"), f"{a + b}") for a, b in drawn
    ]


def trained(folder, name, count=30):
    """Weights, what was logged, and the first lesson of a run."""
    method, train = RUNS[name]
    thinker, recipe = make_thinker(0.1), make_recipe(method, **train)
    thinker.vocab = replace(thinker.vocab, extra={"<pause>": thinker.vocab.open})
    encoded = encode(pairs(count), thinker.tokenizer, TEMPLATE)
    fit(recipe, thinker, recipe.method.settings, encoded, folder=folder)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return weights(thinker), [line | {"seconds": 0} for line in lines], (folder / "lesson.txt").read_text()


def one_by_one(patch):
    patch.setattr(Shapes, "of", lambda *given: None)


@pytest.mark.parametrize("name", RUNS)
def test_a_run_is_the_same_to_the_last_bit(tmp_path, monkeypatch, name):
    laid = []
    lay = Shapes.lay_out
    monkeypatch.setattr(Shapes, "lay_out", lambda *given: laid.append(lay(*given)) or laid[-1])
    quick = trained(tmp_path / "quick", name)
    assert laid and all(isinstance(rows, Shaped) for rows in laid)
    one_by_one(monkeypatch)
    slow = trained(tmp_path / "slow", name)
    assert same(quick[0], slow[0]) and quick[1:] == slow[1:]


def test_a_run_with_a_fault_is_not(tmp_path, monkeypatch):
    whole = trained(tmp_path / "whole", "coconut")
    other_rows(monkeypatch)
    assert not same(whole[0], trained(tmp_path / "faulty", "coconut")[0])


@pytest.mark.parametrize(("rank", "count"), [(0, 1), (0, 2), (1, 2), (2, 3), (7, 8)])
@pytest.mark.parametrize("most", [None, 18, 17, 3])
def test_processes_and_long_rows(rank, count, most):
    """A process lays out the same share, whichever way, and leaves out the same rows."""
    thinker = make_thinker()
    encoded = encode(pairs(30), thinker.tokenizer, TEMPLATE)
    recipe = make_recipe({"name": "icot", "removal": SMOOTHED}, max_length=most)
    learner = Learner(recipe.method.settings, thinker, False)
    ranks = SimpleNamespace(rank=rank, count=count, device=torch.device("cpu"))
    stepper = Stepper(learner, torch.optim.SGD(thinker.parameters(), lr=0.0), encoded, recipe.train, ranks)
    picks = [Pick(1, i) for i in range(7)]
    rows, weight = stepper.lay_out(picks, 1)
    stepper.shapes = None
    expected, alike = stepper.lay_out(picks, 1)
    assert isinstance(rows, Shaped) and not isinstance(expected, Shaped)
    assert list(rows) == expected and rows.examples == expected.examples and weight == alike


# -- what is laid out one by one ------------------------------------------------------------------------------------------


class Sorted(Method):
    """Looks at ids: the smallest step comes first."""

    def layouts(self, ex, vocab, stage, rng):
        return {"main": Layout(Segment("question", ex.question), Segment("steps", sorted(ex.steps)[0], 1.0))}

    def prompt(self, ex, vocab, stage=None):
        return Layout(Segment("question", ex.question))


class Looked(Sorted):
    """Looks ids up."""

    def layouts(self, ex, vocab, stage, rng):
        return {"main": Layout(Segment("question", ex.question), Segment("steps", [range(1000)[ex.cue[0]]], 1.0))}


class Collated(Sorted):
    """Makes tensors in its own way."""

    def collate(self, rows, vocab):
        return {"main": Batch.of([row["main"] for row in rows], vocab, "right")}


@pytest.mark.parametrize("method", [Sorted(), Looked(), Filler(switch="random")])
def test_methods_that_look_at_ids_or_draw_fractions_are_found_out(method):
    made = Shapes.of(method, examples(steps=(4, 4)), VOCAB, SEED, "cpu")
    assert made.lay_out(PICKS, 100) is None and made.lay_out(PICKS, 200) is None


def test_what_has_no_table():
    assert Shapes.of(Cot(), ENCODED, VOCAB, SEED, "cpu")
    assert Shapes.of(Collated(), ENCODED, VOCAB, SEED, "cpu") is None
    longer = ENCODED[5]._replace(cue=(*ENCODED[5].cue, 7))
    shifted = ENCODED[5]._replace(question=ENCODED[5].question[1:], answer=(7, *ENCODED[5].answer))
    thinking = ENCODED[5]._replace(cue=(VOCAB.latent,))
    for odd in (longer, shifted, thinking):
        assert Shapes.of(Cot(), [*ENCODED[:5], odd, *ENCODED[6:]], VOCAB, SEED, "cpu") is None


def test_what_a_method_complains_of_is_said_by_the_row_itself():
    method = Filler(pauses=5, always=True)
    made = Shapes.of(method, ENCODED, VOCAB, SEED, "cpu")
    assert made.lay_out(PICKS, 0) is None
    with pytest.raises(DataError, match=f"{ENCODED[PICKS[0].index].id}: its 11 written tokens make 11 pauses"):
        lay_out(method, ENCODED, PICKS, VOCAB, 0, SEED)


# -- chance -----------------------------------------------------------------------------------------------------------------

NUMBERS = st.integers(0, 2**32 - 1)


@given(seed=st.integers(0, 2**64 - 1), picks=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5, unique=True))
def test_an_examples_random_numbers_do_not_depend_on_its_neighbours(seed, picks):
    def drawn(rng) -> tuple:
        return float(rng.random()), int(rng.integers(10, dtype=np.int32)), float(rng.random())

    together = [drawn(rng) for rng in chance.generators(seed, picks)]
    alone = [drawn(next(chance.generators(seed, [pick]))) for pick in picks]
    assert together == alone
    assert len(set(together)) == len(picks)


def test_other_numbers_give_other_generators():
    drawn = [rng.random() for rng in chance.generators(1, [(0, 0), (0, 1), (1, 0)])]
    assert len({*drawn, *(rng.random() for rng in chance.generators(2, [(0, 0)]))}) == 4


def dice(rng) -> tuple[int, ...]:
    """As many dice as a coin says."""
    return tuple(int(rng.integers(1, 7)) for _ in range(1 + rng.binomial(1, 0.5)))


def test_every_series_of_draws_is_decided_once():
    calls = []
    decisions = chance.Decisions(lambda rng: calls.append(1) or dice(rng))
    for seed in range(400):
        assert decisions.outcomes[decisions.number(np.random.default_rng(seed))] == dice(np.random.default_rng(seed))
    assert len(calls) == len(decisions.outcomes) == len(set(decisions.outcomes)) <= 6 + 36
    assert not decisions.certain


def test_too_many_outcomes_are_not_remembered(monkeypatch):
    monkeypatch.setattr(chance, "MOST", 20)
    decisions = chance.Decisions(lambda rng: rng.integers(10**9))
    with pytest.raises(chance.Forgettable):
        [decisions.number(np.random.default_rng(seed)) for seed in range(30)]
