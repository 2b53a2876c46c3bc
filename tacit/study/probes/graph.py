"""Where a model looks and what its thoughts hold while it searches a graph, by what a search would say about edges and nodes.

After k silent steps the last position stands before hop k + 1. An edge is then

    other       its source is farther than k hops from the root, or out of reach
    reachable   its source is at most k hops away
    frontier    its source is exactly k hops away
    optimal     a frontier edge on a shortest way to the target

and a node likewise, by the hops that thought k itself has made. Classes contain each other, as in the published table.

Shapes: B rows of one length, T columns, E width of embeddings, L thoughts.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from tacit.batch import Batch
from tacit.engine import masks
from tacit.engine.run import run
from tacit.errors import DataError, ModelError
from tacit.example import Encoded
from tacit.layout import Layout, Segment
from tacit.methods.base import question

CLASSES = ("other", "reachable", "frontier", "optimal")
BATCH = 64
Sums = dict[tuple[int, str], tuple[float, int]]
"""By number of thoughts and class: a sum and how much went into it."""


def probe_graph(thinker, examples: Sequence[Encoded], thoughts: int | None = None) -> dict[str, Any]:
    """The numbers of both probes, by how many silent steps were made. `thoughts`: silent steps at most; as many as each
    graph has hops when left out. The model must attend by `eager`, which alone tells its weights."""
    if any(ex.graph is None for ex in examples) or not examples:
        raise DataError("this probe needs questions that list edges in symbols; take task layered or prosqa_symbolic")
    if thinker.door.recurrent or thinker.door.attention != "eager":
        raise ModelError("attention weights are told by eager attention alone; load the model with attention='eager'")
    attended: Sums = {}
    held: Sums = {}
    thinker.eval()
    table = thinker.door.embed(torch.arange(thinker.vocabulary, device=thinker.device)).detach()
    for rows in _alike(examples):
        hops = rows[0].graph.hops if thoughts is None else thoughts  # type: ignore[union-attr]
        inputs, weights, start = read(thinker, rows, hops)
        for k in range(hops + 1):
            column = start + k
            products = (inputs[:, column] @ table.T).tolist()
            for ex, weight, product in zip(rows, weights[:, :, column].sum(1), products):
                for edge, share in edge_weights(ex, weight).items():
                    _add(attended, k, edge_classes(ex, k, edge), share)
                for node in _nodes(ex) if k else ():
                    _add(held, k, node_classes(ex, k, node), product[node])
    return {"rows": len(examples), "attention": _told(attended), "thoughts": _told(held)}


def _alike(examples: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    """Rows of one length and one number of hops, a batch at a time."""

    def size(ex: Encoded) -> tuple[int, int]:
        return len(ex.question), ex.graph.hops  # type: ignore[union-attr]

    for _, group in groupby(sorted(examples, key=size), size):
        rows = list(group)
        yield from (rows[a : a + BATCH] for a in range(0, len(rows), BATCH))


@torch.no_grad()
def read(thinker, rows: Sequence[Encoded], thoughts: int) -> tuple[Tensor, Tensor, int]:
    """What entered every column (B, T, E), the last layer's attention (B, heads, T, T), and the column of the root, behind
    which the thoughts stand."""
    vocab = thinker.vocab
    layouts = [Layout(question(ex), Segment("thought", (vocab.latent,) * thoughts)) for ex in rows]
    batch = Batch.of(layouts, vocab).to(thinker.device)
    inputs = run(thinker, batch).inputs
    width, door = batch.shape[1], thinker.door
    out = door.body(
        inputs_embeds=inputs,
        attention_mask=masks.for_model(door, lambda window: masks.causal(width, 0, None, window, thinker.device)),
        position_ids=batch.positions,
        use_cache=False,
        output_attentions=True,
    )
    return inputs, out.attentions[-1], len(rows[0].question) - 1


def edge_weights(ex: Encoded, attention: Tensor) -> dict[tuple[int, int], float]:
    """(T,) of one position -> what each edge gets of it, over the tokens that tell the edge."""
    assert ex.graph is not None
    (start, _), stride = ex.graph.edges(len(ex.question)), ex.graph.form.stride
    told = attention.tolist()
    # The last edge has no separator; what stands behind it belongs to the query.
    end = len(ex.question) - 5
    return {
        edge: sum(told[at : min(at + stride, end)])
        for at, edge in zip(range(start, end, stride), ex.graph.pairs(ex.question))
    }


def edge_classes(ex: Encoded, k: int, edge: tuple[int, int]) -> Iterator[str]:
    """What an edge is after k silent steps."""
    assert ex.graph is not None
    (source, target), graph = edge, ex.graph
    if not any(source in layer for layer in graph.frontier[: k + 1]):
        yield "other"
        return
    yield "reachable"
    if k < len(graph.frontier) and source in graph.frontier[k]:
        yield "frontier"
        if k < graph.hops and source in graph.on_path[k] and target in graph.on_path[k + 1]:
            yield "optimal"


def node_classes(ex: Encoded, k: int, node: int) -> Iterator[str]:
    """What a node is for thought k, which has made k hops."""
    assert ex.graph is not None
    if not any(node in layer for layer in ex.graph.frontier[: k + 1]):
        yield "other"
        return
    yield "reachable"
    if k < len(ex.graph.frontier) and node in ex.graph.frontier[k]:
        yield "frontier"
        if k <= ex.graph.hops and node in ex.graph.on_path[k]:
            yield "optimal"


def _nodes(ex: Encoded) -> set[int]:
    assert ex.graph is not None
    return {node for edge in ex.graph.pairs(ex.question) for node in edge}


def _add(sums: Sums, k: int, classes: Iterable[str], value: float) -> None:
    for name in classes:
        total, count = sums.get((k, name), (0.0, 0))
        sums[k, name] = (total + value, count + 1)


def _told(sums: Sums) -> list[dict[str, float]]:
    """A line for each number of silent steps: the mean of every class."""
    lines = []
    for k in sorted({k for k, _ in sums}):
        means = {name: sums[k, name][0] / sums[k, name][1] for name in CLASSES if (k, name) in sums}
        lines.append({"thoughts": k, **means})
    return lines
