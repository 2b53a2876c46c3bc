"""What a gate is shown by a step whose rows all repeat earlier stages: nothing, and the step is taken."""

import pytest

from tacit.methods.gate import Gate, GateState
from tacit.methods.watching import PLACES, RIGHT, SEEN, ratios


def parts(
    seen: int, hit: int, places: dict[int, tuple[int, int]], frontier: tuple[int, int] = (0, 0)
) -> dict[str, float]:
    found = {"nll": 1.5, f"{RIGHT}tokens": hit, f"{SEEN}tokens": seen}
    found |= {f"{RIGHT}frontier": frontier[0], f"{SEEN}frontier": frontier[1]}
    for place in range(PLACES):
        found[f"{RIGHT}end-{place}"], found[f"{SEEN}end-{place}"] = places.get(place, (0, 0))
    return {name: float(value) for name, value in found.items()}


def test_the_worst_place_and_the_frontier():
    told = ratios(parts(10, 6, {0: (2, 2), 1: (1, 4)}, frontier=(1, 2)))
    assert told == {"nll": 1.5, "token_accuracy": 0.6, "answer_worst": 0.25, "frontier": 0.5, "watched": 0.25}
    assert ratios(parts(10, 6, {0: (3, 4)}))["watched"] == 0.75


def test_a_step_of_repeated_rows_alone():
    """Twin: a step in which one row of the stage stands."""
    told = ratios(parts(10, 6, {}))
    assert told == {"nll": 1.5, "token_accuracy": 0.6}
    assert ratios(parts(0, 0, {})) == {"nll": 1.5}
    gate = GateState(Gate(stages=2, threshold=0.1, memory=0.0, least=1, warmup=0, most=None))
    gate.observe(told)
    assert gate.stage == 0
    gate.observe(ratios(parts(10, 6, {0: (1, 2)})))
    assert gate.stage == 1


def test_training_goes_on_through_such_steps(tmp_path):
    pytest.importorskip("torch")
    from tacit.train.session import train

    few = {"train.batch": 1, "train.steps": 12, "method.replay": 0.9, "method.gate.warmup": 0, "method.gate.least": 1}
    few |= {"method.gate.most": 1, "eval.limit": 2}
    assert (train("mult/2x2-filler", few, out=tmp_path / "run", tiny=True) / "final").exists()
