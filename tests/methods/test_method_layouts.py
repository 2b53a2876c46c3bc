"""What each method lays out, by the rules of its paper; and what every method owes the loop."""

import math

import numpy as np
import pytest

from tacit.edge_list import EdgeList, Form
from tacit.example import Encoded
from tacit.methods import METHODS
from tacit.methods.base import Progress
from tacit.methods.bolt import Bolt
from tacit.methods.coconut import Coconut
from tacit.methods.cot import NoThoughts
from tacit.methods.filler import PAUSE, WHOLE, Filler
from tacit.methods.gate import Gate, GateState
from tacit.methods.icot import Icot
from tacit.methods.pause import Pause
from tacit.methods.removal import EVERYTHING, Removal
from tacit.registry import resolve
from tacit.vocab import Vocab

MARKS = dict(zip(Bolt.tokens, range(80, 84)))
VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0, extra={PAUSE: 5, **MARKS})
STEPS = ((10, 11), (20, 21, 22), (30,))
EXAMPLE = Encoded("x", (50, 51), STEPS, (60,), (70, 71))
CHAIN = [10, 11, 20, 21, 22, 30]
END = [60, 70, 71, 4]


def rng():
    return np.random.default_rng(0)


def main(method, stage, example=EXAMPLE):
    return method.layouts(example, VOCAB, stage, rng())["main"]


def drawn(name):
    """An example that a method can lay out. One whose thoughts name nodes must know them; here a path of two hops."""
    return (
        EXAMPLE._replace(graph=EdgeList(Form(), (), *[((20,), (21,), (22,))] * 2))
        if name == "superposition"
        else EXAMPLE
    )


def made(name):
    """A method with the settings that it cannot do without."""
    needed = {"grpo": {"actor": {"name": "cot"}}, "unquiet": {"teacher": None}}
    return resolve(METHODS, name, "method")(**needed.get(name, {}))


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("plain", "quiet", "gaussian")])
def test_every_method_asks_what_it_learned_to_answer(name):
    """The last prompt starts the last layout, no question is learned, and something is. Texts ask nothing."""
    method, example = made(name), drawn(name)
    layout, prompt = method.layouts(example, VOCAB, None, None)["main"], method.prompt(example, VOCAB)
    assert layout.ids[: len(prompt)] == prompt.ids
    assert layout.positions[: len(prompt)] == prompt.positions
    # What comes before the thoughts of a text is text as well.
    assert all((label == -100) != (name == "bolt") for label in layout.labels[: len(EXAMPLE.question)])
    assert layout.labels[-1] == VOCAB.eos


@pytest.mark.parametrize("name", METHODS)
def test_every_method_can_be_read_without_chance(name):
    method, example = made(name), drawn(name)
    for stage in (0, 1, 2, None):
        first, again = (method.layouts(example, VOCAB, stage, None)["main"] for _ in range(2))
        prompt = method.prompt(example, VOCAB, stage)
        # Superposition answers no graph of more hops than its stage has thoughts; such a row ends with the newest thought.
        asked = stage is None or stage >= 2 or name != "superposition"
        assert first == again and (first.ids[: len(prompt)] == prompt.ids) == asked


@pytest.mark.parametrize(
    "method",
    [
        Icot(removal=Removal(smoothing=0.1)),
        Filler(switch="random"),
        Filler(gate=Gate(stages=6), removal=Removal(smoothing=0.1)),
        Coconut(mix=1.0),
    ],
    ids=["smoothing", "random-switch", "smoothing-before-pauses", "mix"],
)
def test_only_random_numbers_vary_a_layout(method):
    """Twin: with them, rows of one stage differ."""
    stage = WHOLE // 2 if isinstance(method, Filler) and method.switch == "random" else 1
    drawn = {tuple(method.layouts(EXAMPLE, VOCAB, stage, np.random.default_rng(i))["main"].ids) for i in range(30)}
    assert len(drawn) > 1
    assert len({tuple(method.layouts(EXAMPLE, VOCAB, stage, None)["main"].ids) for _ in range(30)}) == 1


def test_the_last_stage_is_the_one_that_a_trained_model_is_asked_in():
    pairs = [(Coconut(), 4), (Pause(), 9), (NoThoughts(), 4), (Icot(), EVERYTHING), (Filler(), WHOLE)]
    pairs += [(Filler(gate=Gate(stages=6)), 6), (Filler(gate=Gate(stages=3), switch="depth"), 3)]
    for method, last in pairs:
        assert main(method, None) == main(method, last), method


@pytest.mark.parametrize(
    ("stage", "latents", "left"),
    [(0, 0, CHAIN), (1, 2, [20, 21, 22, 30]), (2, 4, [30]), (3, 6, []), (4, 6, []), (9, 6, [])],
)
def test_coconut_replaces_steps_from_the_front(stage, latents, left):
    layout = main(Coconut(latents_per_step=2, max_stage=3), stage)
    assert layout.ids == [50, 51, 1, *[2] * latents, 3, *left, *END]
    assert layout.labels == [-100] * (4 + latents) + left + END


def test_a_stage_beyond_an_examples_own_steps_still_has_all_its_blocks():
    """The published rule: fewer steps than stages do not mean fewer thoughts before the last stage."""
    short = EXAMPLE._replace(steps=STEPS[:1])
    assert main(Coconut(latents_per_step=1, max_stage=3), 2, short).ids.count(2) == 2
    assert main(Coconut(latents_per_step=1, max_stage=3, pad_to_max=False), 4, short).ids.count(2) == 1
    assert main(Coconut(latents_per_step=1, max_stage=3, pad_to_max=True), 4, short).ids.count(2) == 3


def test_mixing_draws_any_stage_of_the_example_and_only_while_learning():
    method = Coconut(latents_per_step=1, max_stage=2, mix=1.0)
    seen = {method.layouts(EXAMPLE, VOCAB, 1, np.random.default_rng(i))["main"].ids.count(2) for i in range(60)}
    assert seen == {0, 1, 2}  # three steps replaced is beyond the last stage: two blocks, and nothing written
    assert method.prompt(EXAMPLE, VOCAB, 1).ids.count(2) == 1


def test_pauses_stand_where_thoughts_stood():
    for stage in range(5):
        options = {"latents_per_step": 2, "max_stage": 3}
        assert main(Pause(**options), stage) == main(Coconut(**options), stage)
    assert main(Pause(latents_per_step=2, max_stage=3, curriculum=False), 0).ids == [50, 51, 1, *[2] * 6, 3, *END]


def test_steps_vanish_without_a_trace():
    assert main(NoThoughts(max_stage=2), 2).ids == [50, 51, 30, *END]
    assert main(NoThoughts(max_stage=2), 3).ids == [50, 51, *END]


def test_stages_start_at_whole_epochs():
    method = Coconut(epochs_per_stage=0.1, first_stage=1, max_stage=9)
    assert [method.stage(Progress(0, epoch, 10)) for epoch in (0.0, 0.05, 0.1, 0.3, 0.7)] == [1, 1, 2, 4, 8]


@pytest.mark.parametrize(("side", "left"), [("left", [21, 22, 30]), ("right", [10, 11, 20])])
def test_tokens_vanish_from_one_side(side, left):
    assert main(Icot(removal=Removal(side=side)), 3).ids == [50, 51, *left, *END]


def test_kept_positions_move_the_last_token_before_the_cut():
    """It takes the place of the last removed token, in layouts and in prompts."""
    kept = Icot(positions="keep")
    assert main(kept, 3).positions == [0, 4, 5, 6, 7, 8, 9, 10, 11]
    assert main(Icot(), 3).positions == list(range(9))
    assert kept.prompt(EXAMPLE, VOCAB).positions == [0, 7]
    right = Icot(positions="keep", removal=Removal(side="right"))
    assert main(right, 3).positions == [0, 1, 2, 3, 7, 8, 9, 10, 11]


def test_the_published_pace():
    """808,000 rows in batches of 32, eight tokens an epoch: one token every 3,156 steps."""
    removal = Removal(per_epoch=8.0)
    counts = [removal.count(Progress(step, 0.0, 10**6, 808_000 / 32)) for step in (0, 3155, 3156, 6312)]
    assert counts == [0, 0, 1, 2]
    late = Removal(per_epoch=8.0, pretrain_epochs=1.0, start_from=2, all_beyond=4)
    found = [
        late.count(Progress(step, 0.0, 10**6, 25_250)) for step in (0, 25_250 + 3155, 25_250 + 3156, 25_250 + 6312)
    ]
    assert found == [2, 2, 3, EVERYTHING]


def test_smoothing_follows_its_distribution():
    """Twin: the same draws do not fit another rate."""
    draws = np.array([Removal(smoothing=1.0).offset(g) for g in [rng()] for _ in range(20_000)])

    def fits(rate: float) -> bool:
        expected = [(1 - math.exp(-rate)) * math.exp(-rate * o) for o in range(4)]
        return all(
            abs((draws == o).mean() - p) < 4 * math.sqrt(p * (1 - p) / len(draws)) for o, p in enumerate(expected)
        )

    assert fits(1.0) and not fits(1.1)


@pytest.mark.parametrize(("ratio", "pauses"), [(1.0, 4), (0.5, 2), (0.3, 2), (2.0, 8)])
def test_a_run_of_swapped_tokens_becomes_so_many_pauses(ratio, pauses):
    method = Filler(gate=Gate(stages=6), ratio=ratio)
    layout = main(method, 4)
    assert layout.ids == [50, 51, *[5] * pauses, 22, 30, *END]
    assert layout.labels[2 : 2 + pauses] == [-100] * pauses


def test_supervised_pauses_are_learned_and_not_fed():
    method = Filler(gate=Gate(stages=6), supervised=True)
    assert main(method, 4).labels[2:6] == [5] * 4
    assert method.prompt(EXAMPLE, VOCAB).ids == [50, 51]


def test_depth_swaps_whole_steps_and_random_any_token():
    assert main(Filler(switch="depth", gate=Gate(stages=3)), 2).ids == [50, 51, *[5] * 5, 30, *END]
    half = main(Filler(switch="random"), WHOLE // 2).ids
    assert 0 < half.count(5) < 6 and [i for i in half[2:-4] if i != 5] == [i for i in CHAIN if i in half]


def test_the_share_rises_to_all_at_the_last_step():
    method = Filler(from_step=100, from_rate=20.0)
    rates = [method.stage(Progress(step, 0.0, 300)) for step in (0, 99, 100, 200, 300)]
    assert rates == [0, 0, 2000, 6000, WHOLE]
    assert main(method, WHOLE).ids == [50, 51, *[5] * 6, *END]


def test_the_frontier_is_the_first_written_token_and_may_weigh_more():
    for method, stage in ((Icot(frontier_weight=2.0), 2), (Filler(gate=Gate(stages=6), frontier_weight=2.0), 2)):
        layout = main(method, stage)
        (start, end) = layout.span("frontier")
        assert layout.ids[start:end] == [20]
        assert next(s.learn for s in layout.segments if s.name == "frontier") == 2.0


def test_a_gate_opens_when_the_worst_is_learned_and_not_before():
    gate = GateState(Gate(stages=2, threshold=0.9, memory=0.5, least=3, most=None, warmup=4))
    seen = []
    for watched in (1.0,) * 6 + (0.5,) * 9 + (1.0,) * 6:
        gate.observe({"watched": watched})
        seen.append(gate.stage)
    assert seen[:5] == [0, 0, 0, 0, 1]  # the warm-up over, everything right
    assert set(seen[5:15]) == {1}  # half right never opens it
    assert seen[-1] == 2
    again = GateState(gate.gate)
    again.restore(gate.state())
    assert again.state() == gate.state()


def test_a_gate_that_waited_too_long_opens_all_the_same():
    gate = GateState(Gate(stages=1, most=5, warmup=0, least=1))
    for _ in range(5):
        assert gate.stage == 0
        gate.observe({"watched": 0.0})
    assert gate.stage == 1
