"""Probes on models that were made by hand, where it is known where they look and what they think."""

import json

import pytest
import torch

from tacit.cli import main
from tacit.edge_list import EdgeList, Form
from tacit.errors import DataError, ModelError
from tacit.example import Encoded, encode
from tacit.models.making import make_thinker
from tacit.models.scratch import Scratch
from tacit.recipe.schema import Model
from tacit.study.probes import graph as probe
from tacit.study.probes.page import draw
from tacit.tasks.layered import Layered
from tacit.tasks.prosqa import ProsQASymbolic
from tacit.thinking import Thinking
from tacit.train.session import train

TASK = Layered(train_rows=20)
# 10 leads to 11 and 21, these to 12 (on the way) and 22; 12 to 13, the target. 40 leads to 41.
EDGES = [(10, 11), (10, 21), (11, 12), (21, 22), (12, 13), (40, 41)]
QUESTION = (4, *[node for edge in EDGES for node in edge], 50, 13, 41, 51, 10)
ROW = Encoded(
    "x",
    QUESTION,
    (),
    (),
    (13,),
    graph=EdgeList(Form(), (), ((10,), (11, 21), (12, 22), (13,)), ((10,), (11,), (12,), (13,))),
)


def classes(k: int) -> dict[str, list]:
    found = {name: [] for name in probe.CLASSES}
    for edge in EDGES:
        for name in probe.edge_classes(ROW, k, edge):
            found[name].append(edge)
    return found


def test_edges_by_what_a_search_has_seen():
    first, second = classes(0), classes(1)
    assert first["reachable"] == first["frontier"] == [(10, 11), (10, 21)]
    assert first["optimal"] == [(10, 11)] and len(first["other"]) == 4
    assert second["reachable"] == EDGES[:4] and second["frontier"] == EDGES[2:4] and second["optimal"] == [(11, 12)]
    assert classes(3)["frontier"] == [] and classes(3)["other"] == [(40, 41)]


def test_nodes_by_what_a_search_has_seen():
    found = {node: list(probe.node_classes(ROW, 1, node)) for node in (10, 11, 21, 12, 41)}
    assert found == {
        10: ["reachable"],
        11: ["reachable", "frontier", "optimal"],
        21: ["reachable", "frontier"],
        12: ["other"],
        41: ["other"],
    }


def test_an_edge_gets_what_its_tokens_get():
    weights = probe.edge_weights(ROW, torch.arange(len(QUESTION), dtype=torch.float))
    assert weights == {edge: 4.0 * i + 3 for i, edge in enumerate(EDGES)}
    told = ROW.graph.form._replace(stride=3)  # type: ignore[union-attr]
    separated = (4, 10, 11, 60, 40, 41, 50, 13, 41, 51, 10)
    row = ROW._replace(question=separated, graph=ROW.graph._replace(form=told))  # type: ignore[union-attr]
    assert probe.edge_weights(row, torch.arange(11.0)) == {(10, 11): 1 + 2 + 3, (40, 41): 4 + 5}


def thinker_of(task, **fields):
    """One layer, names told apart by one direction each, and positions that say nothing."""
    tiny = Scratch(layers=1, hidden=64, heads=1, positions=256, tied=False, **fields)
    thinker = make_thinker(Model(tiny=tiny), Thinking(), words=[*task.words(), "[A]"])
    thinker.model.set_attn_implementation("eager")
    body = thinker.model.transformer
    with torch.no_grad():
        body.wpe.weight.zero_()
        body.wte.weight.copy_(torch.eye(*body.wte.weight.shape))
        body.h[0].attn.c_attn.weight.zero_()
        body.h[0].attn.c_attn.bias.zero_()
    vars(thinker).pop("door", None)
    return thinker, encode(list(task.examples("train")), thinker.tokenizer, task.template)


@pytest.mark.parametrize("task", [TASK, ProsQASymbolic(train_rows=6)], ids=["layered", "prosqa"])
def test_a_model_that_looks_everywhere_alike(task):
    thinker, examples = thinker_of(task)
    [ex] = examples[:1]
    stride = ex.graph.form.stride
    for line in probe.probe_graph(thinker, [ex])["attention"]:
        tokens = len(ex.question) + line["thoughts"]
        for name in probe.CLASSES:
            # With a separator, the edge that stands last is a token shorter.
            least = (stride if stride == 2 else 2) / tokens
            assert name not in line or least - 1e-6 <= line[name] <= stride / tokens + 1e-6


def test_a_model_that_looks_for_its_own_name():
    """Queries and keys are the embeddings, so the root looks at tokens that are called as it is: the sources of its edges.
    Twin: with queries turned away it looks at both ends of the other edges, and at one of its own."""
    for sign in (1.0, -1.0):
        thinker, examples = thinker_of(TASK)
        with torch.no_grad():
            weight = thinker.model.transformer.h[0].attn.c_attn.weight
            weight[:, :64], weight[:, 64:128] = sign * torch.eye(64), torch.eye(64)
        alike = [ex for ex in examples if ex.graph.hops == 3]
        first = probe.probe_graph(thinker, alike)["attention"][0]
        if sign > 0:
            # Two edges lead away from the root, and it looks at itself as well.
            assert first["frontier"] == first["reachable"] == pytest.approx(1 / 3, abs=0.01)
            assert first["other"] < 0.005
        else:
            assert first["other"] == pytest.approx(2 * first["frontier"], rel=0.05)


def test_thoughts_that_hold_their_layer():
    """The thought of hop k is put together by hand from the nodes of layer k. Twin: one hop late, it holds another."""
    thinker, examples = thinker_of(TASK)
    table = thinker.door.embed(torch.arange(thinker.vocabulary))

    def held(late: int):
        def read(thinker, rows, thoughts):
            start = len(rows[0].question) - 1
            inputs = torch.zeros(len(rows), start + 1 + thoughts, table.shape[1])
            for r, ex in enumerate(rows):
                for k in range(1 + late, thoughts + 1):
                    inputs[r, start + k] = table[list(ex.graph.frontier[k - late])].sum(0)
            return inputs, torch.zeros(len(rows), 1, start + 1 + thoughts, start + 1 + thoughts), start

        return read

    lines = {}
    for late in (0, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(probe, "read", held(late))
            lines[late] = probe.probe_graph(thinker, examples)["thoughts"]
    for line in lines[0]:
        assert line["frontier"] == line["optimal"] == 1.0 and line["other"] == 0.0
        assert line["reachable"] == pytest.approx(2 / (1 + 2 * line["thoughts"]))
    assert all(line["frontier"] == 0.0 for line in lines[1])


def test_what_entered_is_what_was_thought():
    thinker, examples = thinker_of(TASK)
    ex = [one for one in examples if one.graph.hops == 3][:2]
    inputs, weights, start = probe.read(thinker, ex, 2)
    assert weights.shape[-1] == inputs.shape[1] == start + 3
    assert torch.allclose(weights.sum(-1), torch.ones(()))
    assert not inputs[:, start + 1].equal(inputs[:, start + 2])
    assert torch.allclose(weights[:, :, 0, 1:], torch.zeros(()))  # nobody looks ahead


def test_models_and_rows_that_cannot_be_probed():
    thinker, examples = thinker_of(TASK)
    with pytest.raises(DataError, match="layered or prosqa_symbolic"):
        probe.probe_graph(thinker, [examples[0]._replace(graph=None)])
    thinker.model.set_attn_implementation("sdpa")
    vars(thinker).pop("door", None)
    with pytest.raises(ModelError, match="eager"):
        probe.probe_graph(thinker, examples)


def test_the_picture_comes_from_the_numbers(tmp_path):
    thinker, examples = thinker_of(TASK)
    found = json.loads(json.dumps(probe.probe_graph(thinker, examples)))
    first = draw(found, tmp_path / "a.png").read_bytes()
    assert first == draw(found, tmp_path / "b.png").read_bytes()
    found["attention"][0]["frontier"] += 0.5
    assert first != draw(found, tmp_path / "c.png").read_bytes()


def test_a_run_is_probed_by_name(tmp_path, capsys):
    run = train("superposition/coconut-tiny", out=tmp_path / "run", tiny=True)
    with pytest.raises(SystemExit, match="0"):
        main(["probe", str(run), "--limit", "4", "--hops", "3"])
    found = json.loads((run / "probes" / "graph.json").read_text())
    assert (found["rows"], found["hops"]) == (4, 3) and [line["thoughts"] for line in found["attention"]] == [
        0,
        1,
        2,
        3,
    ]
    assert (run / "probes" / "graph.png").stat().st_size > 5000
    told = capsys.readouterr().out
    assert "optimal" in told and f"{found['attention'][0]['frontier']:.3f}" in told
    with pytest.raises(SystemExit, match="1"):
        main(["probe", str(train("arithmetic/cot-tiny", out=tmp_path / "other", tiny=True))])
