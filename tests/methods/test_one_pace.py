"""Settings of disappearing steps that would be ignored, could not be kept, or would crash are refused; each with a neighbour that
is taken."""

import numpy as np
import pytest
from pydantic import ValidationError

from tacit.errors import DataError
from tacit.methods.base import Progress
from tacit.methods.filler import WHOLE, Filler
from tacit.methods.gate import Gate, GateState
from tacit.methods.icot import Icot
from tacit.methods.mixed import Echo, Mixed
from tacit.methods.removal import EVERYTHING, PACE, Removal
from tests.methods.test_method_layouts import CHAIN, EXAMPLE, VOCAB

GATE = Gate(stages=6)
PACED = {"per_epoch": 3.0, "every": 2, "start_from": 1, "from_step": 9, "pretrain_epochs": 1.0, "all_beyond": 4}


@pytest.mark.parametrize("field", PACE)
def test_a_gate_and_a_pace_both_say_when(field):
    removal = Removal(**{field: PACED[field]})
    for make in (lambda: Icot(gate=GATE, removal=removal), lambda: Filler(gate=GATE, removal=removal)):
        with pytest.raises(ValidationError, match=rf"removal\.{field} says it too.*leave removal\.{field} out"):
            make()
    Icot(removal=removal), Filler(removal=removal, supervised=True), Icot(gate=GATE, removal=Removal(smoothing=4.0))


FILLERS = [
    ({"gate": GATE, "switch": "random"}, {"gate": GATE, "switch": "depth"}, "switch: random each for itself"),
    ({"gate": GATE, "from_step": 3}, {"from_step": 3}, "from_step says it too"),
    ({"gate": GATE, "from_rate": 3.0}, {"from_rate": 3.0}, "from_rate says it too"),
    ({"always": True, "gate": GATE}, {"gate": GATE}, "gate has nothing to say"),
    ({"always": True, "from_step": 3}, {"always": True}, "from_step has nothing to say"),
    ({"always": True, "removal": Removal()}, {"always": True, "pauses": 6}, "removal has nothing to say"),
    ({"always": True, "replay": 0.5}, {"replay": 0.5}, "replay has nothing to say"),
    ({"supervised": True, "pauses": 6}, {"supervised": True}, "set pauses: null"),
    ({"removal": Removal()}, {"removal": Removal(), "pauses": 3}, "set pauses: 4, say, or supervised: true"),
    ({"ratio": float("inf")}, {"ratio": 1000.0}, "ratio"),
    ({"pauses": 10**12}, {"pauses": 100}, "pauses"),
    ({"frontier_weight": float("inf")}, {"frontier_weight": 9.0}, "frontier_weight"),
]


@pytest.mark.parametrize(("wrong", "right", "told"), FILLERS, ids=[told for _, _, told in FILLERS])
def test_fillers_that_would_not_do_what_they_say(wrong, right, told):
    Filler(**right)
    with pytest.raises(ValidationError, match=told):
        Filler(**wrong)


def test_other_settings_that_cannot_be_kept():
    with pytest.raises(ValidationError, match="from the right"):
        Icot(frontier_weight=2.0, removal=Removal(side="right"))
    with pytest.raises(ValidationError, match="at least 20 steps and at most 5; set most to 20"):
        Gate(stages=2, most=5)
    with pytest.raises(ValidationError, match="threshold"):
        Gate(stages=2, threshold=1.0)
    for field, value in {"per_epoch": 1e-320, "pretrain_epochs": float("inf")}.items():
        with pytest.raises(ValidationError, match=field):
            Removal(**{field: value})
    assert Removal(per_epoch=float("inf")).count(Progress(3, 0.0, 9, 100.0)) == 3, "as published: one at every step"


def test_a_running_mean_never_reaches_one():
    """Why a threshold of one is refused: with everything right for ever, the mean stays below it."""
    state = GateState(Gate(stages=1, threshold=0.999_999, most=None, warmup=0))
    for _ in range(400):
        state.observe({"watched": 1.0} if state.stage == 0 else {})
    assert state.stage == 1
    mean = 0.0
    for _ in range(5000):
        mean = 0.9 * mean + (1 - 0.9) * 1.0
    assert 0.999_999 < mean < 1


def test_nothing_is_gone_before_removal_begins():
    """The published --remove_from_n_steps and --remove_from_n_tokens: the second counts from the first on. During pretraining,
    on the other hand, what is gone from the start is gone."""
    removal = Removal(from_step=10, start_from=2, every=5)
    counts = [removal.count(Progress(step, 0.0, 99, 20.0)) for step in (0, 9, 10, 14, 15, 20)]
    assert counts == [0, 0, 2, 2, 3, 4]
    twin = Removal(pretrain_epochs=0.5, start_from=2, every=5)
    assert [twin.count(Progress(step, 0.0, 99, 20.0)) for step in (0, 9, 10, 14, 15, 20)] == [2, 2, 2, 2, 3, 4]


@pytest.mark.parametrize(
    ("asked_whole", "by_itself"),
    [
        (Icot(positions="keep", gate=Gate(stages=3)), Icot(gate=Gate(stages=3))),
        (Filler(gate=Gate(stages=3)), Filler(gate=Gate(stages=3), supervised=True)),
    ],
)
def test_a_gate_that_ends_too_early_is_found_before_training(asked_whole, by_itself):
    with pytest.raises(
        DataError, match=r"x: 6 tokens or steps .* only 3 are gone at the last stage.*gate\.stages higher"
    ):
        asked_whole.check([EXAMPLE])
    by_itself.check([EXAMPLE])  # what is left, the model writes itself
    asked_whole.model_copy(update={"gate": Gate(stages=3, chunk="double")}).check([EXAMPLE])


def left(layout):
    return [i for segment in layout.segments if segment.name in ("frontier", "steps") for i in segment.ids]


def test_replay_with_removal_meets_earlier_stages_too():
    """Whatever the schedule counts beyond the chain's end: EVERYTHING is a million tokens, and rows have six."""
    method = Filler(removal=Removal(), pauses=6, replay=0.9)
    stage = EVERYTHING * (WHOLE + 1) + WHOLE // 2
    found = [method.layouts(EXAMPLE, VOCAB, stage, np.random.default_rng(i))["main"] for i in range(400)]
    lengths = {len(row.ids) - 6 for row in found}
    assert lengths == set(range(7))
    never = Filler(removal=Removal(), pauses=6)
    assert {len(never.layouts(EXAMPLE, VOCAB, stage, np.random.default_rng(i))["main"].ids) for i in range(50)} == {6}
    before = Filler(replay=0.9)
    shares = [
        before.layouts(EXAMPLE, VOCAB, WHOLE // 2, np.random.default_rng(i))["main"].ids.count(5) for i in range(300)
    ]
    assert 0.8 < np.mean(shares) < 2.2, "shares between none and half, evenly: 6 × (.9 × .25 + .1 × .5) = 1.65"


def test_prompts_behind_fillers_know_what_was_removed():
    method = Filler(removal=Removal(), pauses=2)
    stage = 2 * (WHOLE + 1) + WHOLE // 2  # two of six tokens gone, and half of the others swapped
    layout, prompt = method.layouts(EXAMPLE, VOCAB, stage, None)["main"], method.prompt(EXAMPLE, VOCAB, stage)
    assert layout.ids == [50, 51, 5, 5, 22, 30, 60, 70, 71, 4] and prompt.ids == layout.ids[:4]
    assert left(layout) == CHAIN[4:]
    assert method.prompt(EXAMPLE, VOCAB).ids == [50, 51, 5, 5, 60]


def test_a_rising_share_is_no_new_era():
    ratio = Filler(supervised=True, removal=Removal())
    stages = [removed * (WHOLE + 1) + share for removed in range(3) for share in (0, 1, WHOLE)]
    assert [ratio.era(stage) for stage in stages] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert (
        [Filler(gate=GATE).era(stage) for stage in range(3)] == [0, 1, 2] == [Icot().era(stage) for stage in range(3)]
    )


def test_mixtures_that_are_asked_what_they_never_saw():
    with pytest.raises(ValidationError, match=r"ask is filler and its share filler: 0; set ask to one of cot, none"):
        Mixed(cot=1.0, filler=0.0, none=1.0)
    with pytest.raises(ValidationError, match="with mask: Final no step is learned"):
        Mixed(ask="cot", mask="Final")
    with pytest.raises(ValidationError, match="fillers"):
        Mixed(fillers=10**12)
    Mixed(cot=1.0, filler=0.0, ask="cot"), Mixed(ask="cot"), Mixed(mask="Final")


def test_an_echo_of_more_than_the_question_is_refused():
    with pytest.raises(DataError, match=r"x: its question has 2 tokens, and method.echo repeats 3 stretches of 1"):
        Mixed(echo=Echo(stretches=3)).check([EXAMPLE])
    Mixed(echo=Echo(stretches=2)).check([EXAMPLE])


def test_a_question_that_comes_alone_is_asked_where_it_was_learned():
    """Twin: without the length, nothing tells where, and the answer is asked for where it never stood."""
    alone = EXAMPLE._replace(steps=(), answer=())
    method = Icot(positions="keep", length=6)
    learned = method.layouts(EXAMPLE, VOCAB, None, None)["main"]
    assert (
        method.prompt(alone, VOCAB).positions
        == method.prompt(EXAMPLE, VOCAB).positions
        == [0, 7]
        == learned.positions[:2]
    )
    assert Icot(positions="keep").prompt(alone, VOCAB).positions == [0, 1]
    with pytest.raises(DataError, match=r"x: it has 6 written tokens, and method\.length promises 5"):
        Icot(positions="keep", length=5).layouts(EXAMPLE, VOCAB, 0, np.random.default_rng(0))
    with pytest.raises(ValidationError, match="no place is left free"):
        Icot(length=6)


class Fixed:
    """A random number generator whose geometric draws are known."""

    def __init__(self, draw: int):
        self.draw = draw

    def geometric(self, p: float) -> int:
        self.p = p
        return self.draw


def test_smoothing_is_the_published_distribution_to_its_end():
    """The published table of 100 shares, computed once more: (1 - e^-s) e^(-s o), and at 99 what is left."""
    for rate, shares in ((4.0, {0: 0.98168, 1: 0.01798, 2: 0.00033}), (0.02, {0: 0.019801, 1: 0.019409, 99: 0.138069})):
        removal, numpy = Removal(smoothing=rate), Fixed(1)
        assert removal.offset(numpy) == 0  # type: ignore[arg-type]
        p = numpy.p
        law = [p * (1 - p) ** o for o in range(99)]  # numpy: geometric draws are 1, 2, 3 …
        law.append(1 - sum(law))
        assert [law[o] for o in shares] == pytest.approx(list(shares.values()), abs=5e-6)
    assert [Removal(smoothing=0.02).offset(Fixed(draw)) for draw in (2, 99, 100, 101, 10**9)] == [1, 98, 99, 99, 99]  # type: ignore[arg-type]
    rng = np.random.default_rng(0)
    drawn = np.array([Removal(smoothing=0.02).offset(rng) for _ in range(4000)])
    assert abs((drawn == 99).mean() - 0.138) < 4 * np.sqrt(0.138 * 0.862 / 4000) and drawn.max() == 99
    assert (np.random.default_rng(0).geometric(1 - np.exp(-0.02), 4000) > 100).any(), "the twin: uncut draws go further"
