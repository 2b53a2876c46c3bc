"""Reasoning by superposition: what every mode lays out at every stage, what a gate is shown, and what is counted."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tacit.batch import Batch
from tacit.edge_list import EdgeList, Form
from tacit.errors import DataError
from tacit.example import Encoded, encode
from tacit.methods.base import Lesson, Progress
from tacit.methods.gate import Gate, GateState
from tacit.methods.superposition import Superposition
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.tasks.layered import Layered
from tacit.thinking import Thinking
from tacit.vocab import Vocab

VOCAB = Vocab(open=1, latent=2, close=3, eos=4, pad=0)
X = -100
# Node 10 leads to 11 and 21, these to 12 (on the way) and 22 (a dead end), 12 to 13, the target.
QUESTION = (4, 10, 11, 10, 21, 11, 12, 21, 22, 12, 13, 50, 13, 30, 51, 10)
GRAPH = EdgeList(Form(), (), ((10,), (11, 21), (12, 22), (13,)), ((10,), (11,), (12,), (13,)))
EXAMPLE = Encoded("x", QUESTION, ((11,), (12,), (13,)), (52,), (13,), graph=GRAPH)
ASKED = [X] * len(QUESTION)
GATE = Gate(stages=4)


def main(method, stage, seed=0, example=EXAMPLE):
    return method.layouts(example, VOCAB, stage, np.random.default_rng(seed))["main"]


def behind(layout) -> list[tuple[int, int]]:
    """(id, label) of everything behind the question."""
    n = len(QUESTION)
    assert layout.ids[:n] == list(QUESTION) and layout.labels[:n] == ASKED
    return list(zip(layout.ids[n:], layout.labels[n:]))


ANSWER = [(52, X), (13, 13), (4, 4)]
MODES = {
    "every": (
        {},
        [
            [(11, 11)],
            [(2, 11), (12, 12)],
            [(2, 11), (2, 12), (13, 13)],
            [(2, 11), (2, 12), (2, 13), *ANSWER],
            [(2, 11), (2, 12), (2, 13), *ANSWER],
        ],
    ),
    "last": (
        {"labels": "last"},
        [
            [(11, 11)],
            [(2, X), (12, 12)],
            [(2, X), (2, X), (13, 13)],
            [(2, X), (2, X), (2, X), *ANSWER],
            [(2, X), (2, X), (2, X), *ANSWER],
        ],
    ),
    "more thoughts than hops": (
        {"latents": 4},
        [
            [(11, 11)],
            [(2, 11), (12, 12)],
            [(2, 11), (2, 12), (13, 13)],
            [(2, 11), (2, 12), (2, 13), *ANSWER],
            [(2, 11), (2, 12), (2, 13), (2, X), *ANSWER],
        ],
    ),
    "settled": (
        {"settled": True, "latents": 4},
        [
            [(11, 11)],
            [(2, 11), (12, 12)],
            [(2, 11), (2, 12), (13, 13)],
            [(2, 11), (2, 12), (2, 13), (52, 13), *ANSWER[1:]],
            [(2, 11), (2, 12), (2, 13), (2, 13), (52, 13), *ANSWER[1:]],
        ],
    ),
    "fewer thoughts than hops": (
        {"latents": 1},
        [
            [(11, 11)],
            [(2, 11), (12, 12)],
            [(2, 11), (12, 12)],
            [(2, 11), *ANSWER],
            [(2, 11), *ANSWER],
        ],
    ),
}


@pytest.mark.parametrize("mode", MODES)
def test_what_a_stage_lays_out(mode):
    fields, stages = MODES[mode]
    for stage, wanted in enumerate(stages):
        assert behind(main(Superposition(**fields), stage)) == wanted
    pauses = Superposition(**fields, thoughts=Thinking(feedback="pause"))
    assert [behind(main(pauses, stage)) for stage in range(5)] == stages


def test_without_a_curriculum_all_is_learned_from_the_start():
    method = Superposition()
    assert method.stage(Progress(0, 0.0, 10)) == 4 and method.pacing() is None
    assert behind(main(method, 4)) == MODES["every"][1][4]


def test_stages_by_epochs():
    method = Superposition(epochs_per_stage=25)
    assert [method.stage(Progress(0, epoch, 10)) for epoch in (0, 24.9, 25, 99, 100, 290)] == [0, 0, 1, 3, 4, 4]


def test_labels_are_drawn_from_the_path_or_from_the_whole_layer():
    found = {
        nodes: {behind(main(Superposition(nodes=nodes), 1, seed))[-1][1] for seed in range(40)}
        for nodes in ("path", "frontier")
    }
    assert found == {"path": {12}, "frontier": {12, 22}}


def test_mixing_draws_any_stage_up_to_the_current_one_and_its_rows_are_not_watched():
    rows = [main(Superposition(mix=0.5), 2, seed) for seed in range(300)]
    counts = np.bincount([row.ids.count(2) for row in rows]) / 300
    assert counts == pytest.approx([1 / 6, 1 / 6, 2 / 3], abs=0.08)
    assert all(
        row.segments[-1].name == ("newest" if row.ids.count(2) == 2 else "earlier") for row in rows if len(row) != 19
    )


def test_prompts_ask_for_what_was_learned():
    for fields, wanted in (
        ({}, [0, 1, 2, 3, 3]),
        ({"latents": 2}, [0, 1, 2, 2, 2]),
        ({"latents": 4}, [0, 1, 2, 3, 4]),
    ):
        method = Superposition(**fields)
        assert [method.prompt(EXAMPLE, VOCAB, stage).ids.count(2) for stage in range(5)] == wanted
        assert method.prompt(EXAMPLE, VOCAB).ids.count(2) == wanted[-1]
        whole = main(method, 4)
        assert whole.ids[: len(method.prompt(EXAMPLE, VOCAB))] == method.prompt(EXAMPLE, VOCAB).ids
    farther = replace_graph(on_path=(*GRAPH.on_path, (14,), (15,)))
    assert Superposition().prompt(farther, VOCAB).ids.count(2) == 5  # more hops than were ever trained
    assert Superposition(latents=4).prompt(farther, VOCAB).ids.count(2) == 4
    assert Superposition().prompt(EXAMPLE._replace(graph=None), VOCAB).ids.count(2) == 4


def replace_graph(**fields):
    return EXAMPLE._replace(graph=GRAPH._replace(**fields))


def test_a_ramp_begins_with_short_graphs():
    short = replace_graph(on_path=GRAPH.on_path[:3])
    ramp, all_at_once = Superposition(ramp=2, gate=GATE), Superposition(gate=GATE)
    assert [ramp.meets(ex, stage) for stage in (0, 1) for ex in (short, EXAMPLE)] == [True, False, True, True]
    assert all_at_once.meets(EXAMPLE, 0)


def test_what_cannot_be_is_refused():
    with pytest.raises(DataError, match=r"x does not say which nodes.*layered or prosqa_symbolic"):
        main(Superposition(), 0, example=EXAMPLE._replace(graph=None))
    with pytest.raises(ValidationError, match="leave one of them out"):
        Superposition(gate=GATE, epochs_per_stage=3)
    with pytest.raises(ValidationError, match=r"gate.stages is 3 and max_stage 4"):
        Superposition(gate=Gate(stages=3))


# --- what is counted -------------------------------------------------------------------------------------------------

TASK = Layered(train_rows=12, hops=(2, 3))


def small():
    tiny = Scratch(hidden=16, heads=2, positions=64, tied=False)
    thinker = make_thinker(Model(tiny=tiny), Thinking(), words=[*TASK.words(), "[A]"])
    return thinker, encode(list(TASK.examples("train")), thinker.tokenizer, TASK.template)


def lesson_of(method, thinker, examples, stage):
    rows = [method.layouts(ex, thinker.vocab, stage, np.random.default_rng(n)) for n, ex in enumerate(examples)]
    return Lesson(method.collate(rows, thinker.vocab), len(rows), examples), [row["main"] for row in rows]


@pytest.mark.parametrize("stage", range(5))
@pytest.mark.parametrize("fields", [{}, {"settled": True, "latents": 4}], ids=["every", "settled"])
def test_masses_are_those_of_each_row_alone(fields, stage):
    """Every number again, a row and a column at a time. Twin: other layers give other masses."""
    thinker, examples = small()
    method = Superposition(max_stage=4, **fields)
    lesson, layouts = lesson_of(method, thinker, examples, stage)
    loss = method.loss(thinker, lesson, lesson.counts())
    seen: dict[str, list[float]] = {}
    total = 0.0
    for ex, layout in zip(examples, layouts):
        hidden = thinker(Batch.of([layout], thinker.vocab)).hidden[0]
        labels = layout.labels
        for column in range(1, len(layout)):
            if labels[column] == X:
                continue
            p = thinker.logits(hidden[[column - 1]], torch.tensor([layout.ids[column - 1]]))[0].softmax(-1)
            total -= float(p[labels[column]].log().detach())
            k = column - len(ex.question) + 1
            if k <= ex.graph.hops:
                held = float(p[list(ex.graph.frontier[k])].sum().detach())
                seen.setdefault(f"hop_{k}", []).append(held)
                if k == stage + 1:
                    seen.setdefault("newest", []).append(held)
            elif labels[column] != thinker.vocab.eos and column >= layout.span("answer")[0]:
                seen.setdefault("answer", []).append(float(p.argmax() == labels[column]))
    found = method.summary({name: float(value) for name, value in loss.parts.items()})
    assert float(loss.total) == pytest.approx(total / len(examples), rel=1e-5)
    means = {n: np.mean(v) for n, v in seen.items()}
    means["watched"] = min(means[n] for n in ("newest", "answer") if n in means)
    assert {n: v for n, v in found.items() if n != "nll"} == pytest.approx(means)
    lesson.examples = [ex._replace(graph=ex.graph._replace(frontier=ex.graph.frontier[::-1])) for ex in examples]
    other = method.summary({n: float(v) for n, v in method.loss(thinker, lesson, lesson.counts()).parts.items()})
    assert other["hop_1"] != pytest.approx(found["hop_1"], rel=1e-3)


def test_micro_batches_add_up():
    thinker, examples = small()
    method = Superposition()
    lesson, _ = lesson_of(method, thinker, examples, 2)
    whole = method.loss(thinker, lesson, lesson.counts())
    rows = [method.layouts(ex, thinker.vocab, 2, np.random.default_rng(n)) for n, ex in enumerate(examples)]
    parts = [Lesson(method.collate(rows[a:b], thinker.vocab), b - a, examples[a:b]) for a, b in ((0, 5), (5, 12))]
    pieces = [method.loss(thinker, part, {"rows": 12.0}) for part in parts]
    assert float(sum(p.total for p in pieces)) == pytest.approx(float(whole.total), rel=1e-5)
    for name, value in whole.parts.items():
        assert float(sum(p.parts[name] for p in pieces)) == pytest.approx(float(value), rel=1e-4, abs=1e-6)


def test_a_gate_waits_for_answers_as_well():
    """Thoughts may hold everything while the answer is a toss between the two on offer. Twin: where it is not."""
    parts = {f"{of}{name}": 10.0 for of in ("mass/", "seen/") for name in ("1", "2", "newest", "answer")}
    found = Superposition().summary(parts | {"mass/answer": 5.0})
    assert (found["newest"], found["answer"], found["watched"]) == (1.0, 0.5, 0.5)
    assert Superposition().summary(parts)["watched"] == 1.0
    unanswered = {name: value for name, value in parts.items() if "answer" not in name}
    assert Superposition().summary(unanswered)["watched"] == 1.0


def test_a_gate_counts_steps_in_which_nothing_is_watched():
    """Twin: a step that shows little lowers the mean."""
    gate = Gate(stages=2, threshold=0.5, memory=0.5, least=1, warmup=0, most=3)
    one, other = GateState(gate), GateState(gate)
    one.observe({"watched": 0.9})
    one.observe({})
    assert (one.stage, one.since, one.mean) == (0, 2, 0.45)
    one.observe({})
    assert one.stage == 1  # the cap
    other.observe({"watched": 0.9})
    other.observe({"watched": 0.0})
    assert other.mean < 0.45


def test_a_model_that_knows_the_layer_holds_it():
    """A model made by hand: it gives all its probability to the true layer, whatever is asked."""
    _, examples = small()
    thinker, _ = small()
    method = Superposition()
    lesson, layouts = lesson_of(method, thinker, examples, 1)
    wanted = []
    for ex, layout in zip(examples, layouts):
        hops = [1, 2] if layout.ids.count(thinker.vocab.latent) else [1]
        wanted += [ex.graph.frontier[hop] for hop in hops]
    logits = torch.full((len(wanted), thinker.vocabulary), -50.0)
    for row, layer in enumerate(wanted):
        logits[row, list(layer)] = 0.0

    class Knowing:
        def __call__(self, batch, end):
            return SimpleNamespace(hidden=torch.zeros(*batch.shape, 4))

        def logits(self, hidden, said):
            return logits

    parts = method.loss(Knowing(), lesson, lesson.counts()).parts  # type: ignore[arg-type]
    found = method.summary({name: float(value) for name, value in parts.items()})
    assert found["hop_1"] == found["hop_2"] == found["watched"] == pytest.approx(1.0)
    assert found["nll"] == pytest.approx(2 * np.log(2), rel=1e-4)  # two nodes a layer, so each label costs one bit
