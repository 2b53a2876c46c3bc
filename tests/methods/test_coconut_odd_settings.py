"""Settings of silent steps that cannot do what they say: refused before training, instead of ignored or met at its first step."""

import numpy as np
import pytest
from pydantic import ValidationError

from tacit.batch import Batch
from tacit.errors import DataError
from tacit.evaluate.split import evaluate_split, with_latents
from tacit.example import encode
from tacit.methods.base import Progress
from tacit.methods.coconut import Coconut
from tacit.methods.cot import NoThoughts
from tacit.methods.gate import Gate
from tacit.methods.pause import Pause
from tacit.methods.superposition import Superposition
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.recipe.training import Eval
from tacit.tasks.layered import Layered
from tacit.thinking import Aside, Thinking

IGNORE = -100
TASK = Layered(train_rows=12, valid_rows=6, hops=(2, 3))


@pytest.mark.parametrize(
    ("thoughts", "told"),
    [
        ({"window": 1}, "gradient window of 1 counts from the last thought"),
        ({"close": "token+thought"}, "close: token.thought feeds one more thought into </think>"),
        ({"schedule": "recompute"}, "stages: all hang on one chain"),
    ],
)
def test_thoughts_that_stages_of_one_chain_cannot_share(thoughts, told):
    with pytest.raises(ValidationError, match=told):
        Coconut(stages="all", thoughts=Thinking(**thoughts))
    Coconut(stages="one", thoughts=Thinking(**thoughts))


@pytest.mark.parametrize("kind", [Coconut, Pause])
def test_stages_have_no_place_where_nothing_is_written(kind):
    with pytest.raises(ValidationError, match="first_stage: 3, which begins with the last stage"):
        kind(curriculum=False, stages="all", max_stage=2)
    kind(first_stage=3, stages="all", max_stage=2)


@pytest.mark.parametrize("kind", [Coconut, Pause, NoThoughts])
def test_nothing_is_mixed_where_nothing_is_written(kind):
    with pytest.raises(ValidationError, match="set mix: 0, or curriculum: true"):
        kind(curriculum=False, mix=0.3)


@pytest.mark.parametrize("kind", [Coconut, Superposition])
def test_learned_parts_that_nothing_would_teach(kind):
    with pytest.raises(ValidationError, match="take method distill with stop: 1"):
        kind(thoughts=Thinking(confine=True))
    with pytest.raises(ValidationError, match="take method quiet_star or ponder"):
        kind(thoughts=Thinking(aside=Aside(mixer=True)))


@pytest.mark.parametrize("method", [Coconut(epochs_per_stage=1e-310), Superposition(epochs_per_stage=1e-310)])
def test_stages_too_short_to_count(method):
    """Twin: before anything is read, no stage is over."""
    assert (
        method.stage(Progress(1, 0.5, 10))
        == method.stage(Progress(1, 400.0, 10))
        == method.max_stage + isinstance(method, Coconut)
    )
    assert method.stage(Progress(0, 0.0, 10)) == 0


def test_a_superposition_that_cannot_be():
    with pytest.raises(ValidationError, match="latents: 9 must be hops or a number from 0 to max_stage: 4"):
        Superposition(latents=9)
    with pytest.raises(ValidationError, match="ramp: 2 is for the first stage"):
        Superposition(ramp=2)
    with pytest.raises(ValidationError, match="no row of this method has one"):
        Superposition(thoughts=Thinking(close="token+thought"))
    with pytest.raises(ValidationError, match="chunk: double takes written steps away"):
        Superposition(gate=Gate(stages=4, chunk="double"))


def small():
    tiny = Scratch(hidden=16, heads=2, positions=64, tied=False)
    thinker = make_thinker(Model(tiny=tiny), Thinking(), words=[*TASK.words(), "[A]"])
    return thinker, encode(list(TASK.examples("train")), thinker.tokenizer, TASK.template)


def test_graphs_that_no_stage_answers():
    _, examples = small()
    with pytest.raises(DataError, match=r"has 3 hops, and max_stage: 2 is the last stage.*set max_stage: 3"):
        Superposition(max_stage=2).check(examples)
    Superposition(max_stage=3).check(examples)
    Superposition(max_stage=2).check([ex for ex in examples if ex.graph.hops == 2])


@pytest.mark.parametrize("latents", ["hops", 0, 1, 3])
@pytest.mark.parametrize("labels", ["every", "last"])
def test_the_newest_thought_is_the_one_that_is_taught(latents, labels):
    """Also where there are fewer thoughts than stages. All ids are tokens; of an unanswered row the last label is a node as far
    away as the newest thought can see."""
    thinker, examples = small()
    method = Superposition(latents=latents, labels=labels, max_stage=3)
    for ex in examples:
        for stage in range(ex.graph.hops):
            row = method.layouts(ex, thinker.vocab, stage, np.random.default_rng(0))["main"]
            made = min(stage, 3 if latents == "hops" else latents)
            learned = [label for label in row.labels if label != IGNORE]
            assert min(row.ids) >= 0 and row.ids.count(thinker.vocab.latent) == made
            assert len(learned) == (1 if labels == "last" else made + 1)
            assert row.labels[-1] == learned[-1] and learned[-1] in ex.graph.on_path[made + 1]


def test_without_a_cue_the_answer_follows_the_last_thought():
    thinker, examples = small()
    bare = examples[0]._replace(cue=())
    row = Superposition(settled=True).layouts(bare, thinker.vocab, 4, None)["main"]
    assert row.labels[-2:] == [*bare.answer, thinker.vocab.eos] and len(row.labels) == len(row.ids)
    Batch.of([row], thinker.vocab)


@pytest.mark.parametrize("latents", [0, 2, 12])
def test_thoughts_with_labels_are_asked_in_another_number(latents):
    """Twin: in their own number they keep their labels."""
    thinker, examples = small()
    method = Superposition()
    settings = Eval(batch=4, max_tokens=4, latents=latents)
    report = evaluate_split(thinker.eval(), method, TASK, TASK.template, list(TASK.examples("valid")), settings)
    assert report.latents_mean == latents and report.n == 6
    row = method.layouts(examples[0], thinker.vocab, None, None)["main"]
    own = examples[0].graph.hops
    assert with_latents(row, own, thinker.vocab) == row
    changed = with_latents(row, own + 1, thinker.vocab)
    assert [label for label in changed.labels if label != IGNORE] == [*examples[0].answer, thinker.vocab.eos]
