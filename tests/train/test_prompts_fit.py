"""A model must be able to be asked when training is over, also where training ends before the last stage."""

import pytest
from pydantic import ValidationError

from tacit.errors import DataError
from tacit.methods.coconut import Coconut
from tacit.methods.pause import Pause
from tacit.train.session import train

TINY = {"eval.limit": 4, "train.batch": 4}


def run(tmp_path, recipe, **overrides):
    return train(recipe, TINY | overrides, out=tmp_path / "run", tiny=True)


@pytest.mark.parametrize("field", ["max_stage", "latents_per_step"])
def test_silent_steps_that_only_the_last_stage_has(tmp_path, field):
    """Training ends in stage 0, whose rows fit; nothing is learned in vain. Twin: a few silent steps."""
    with pytest.raises(DataError, match=r"asked in \d+ positions when training is over, [36]00 of them silent"):
        run(
            tmp_path,
            "arithmetic/coconut-tiny",
            **{f"method.{field}": {"max_stage": 300, "latents_per_step": 200}[field]},
        )
    assert not (tmp_path / "run/metrics.jsonl").exists()
    run(tmp_path, "arithmetic/coconut-tiny", **{f"method.{field}": 4})


def test_gated_stages_are_looked_at_to_their_end(tmp_path):
    """Of a curriculum that listens, nobody knows how far it will come. Twin: room for its last stage."""
    graphs = {"task.slots": 0, "task.hops": [1], "task.held_out_hops": [], "method.ramp": None}
    with pytest.raises(DataError, match="asked in 19 positions when training is over, 4 of them silent steps"):
        run(tmp_path, "superposition/fixed-tiny", **graphs, **{"model.tiny.positions": 17})
    run(tmp_path, "superposition/fixed-tiny", **graphs, **{"model.tiny.positions": 24})


@pytest.mark.parametrize("kind", [Coconut, Pause])
def test_more_silent_steps_than_any_model_has_positions(kind):
    with pytest.raises(ValidationError, match="100000 are the most"):
        kind(latents_per_step=10**9)
    kind(latents_per_step=0, max_stage=10**9)


def test_training_that_ends_before_its_last_stage_says_so(tmp_path, capsys):
    """Twins: training that comes to its end, and questions asked with what was learned."""
    short = {"method.max_stage": 3, "method.epochs_per_stage": 1, "method.first_stage": 1}
    told = "training ends in stage 1, with 1 silent steps, and the model is asked as after its last stage, with 3"
    for number, (more, said) in enumerate(
        [({}, True), ({"eval.latents": 1}, False), ({"method.first_stage": 3}, False)]
    ):
        run(tmp_path / str(number), "arithmetic/coconut-tiny", **short | more)
        assert (told in capsys.readouterr().err) == said
