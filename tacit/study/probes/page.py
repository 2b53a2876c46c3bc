"""The probe of a run as files: `probes/graph.json`, and `probes/graph.png` made from it."""

import json
from pathlib import Path
from typing import Any

from tacit.study.figures import COLORS, figure

FOLDER = "probes"


def probe(run: str | Path, *, limit: int = 500, hops: int | None = None) -> tuple[Path, dict[str, Any]]:
    """Probe a trained run on its own held-out graphs, the first `limit` of them, or of those with so many hops."""
    from tacit.evaluate.subject import load_for_eval
    from tacit.example import encode
    from tacit.study.probes.graph import probe_graph
    from tacit.thinker import Thinker

    subject = load_for_eval(run, split="test")
    encoded = encode(subject.examples, subject.thinker.tokenizer, subject.template)
    chosen = [ex for ex in encoded if hops is None or (ex.graph and ex.graph.hops == hops)][:limit]
    looked_at = Thinker.from_pretrained(str(run), attention="eager")
    found = {"probe": "graph", "run": str(run), "hops": hops, **probe_graph(looked_at, chosen)}
    folder = Path(run) / FOLDER
    folder.mkdir(exist_ok=True)
    (folder / "graph.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    draw(found, folder / "graph.png")
    return folder, found


def draw(found: dict[str, Any], file: Path) -> Path:
    """Both probes side by side: a line for each class over the number of silent steps."""
    from tacit.study.probes.graph import CLASSES

    titles = {"attention": "attention on an edge, last layer", "thoughts": "thought · embedding of a node"}
    with figure(file, 1, 2, size=(9, 3.6)) as axes:
        for axis, (name, title) in zip(axes, titles.items()):
            for kind, color in zip(CLASSES, COLORS[::-1]):
                lines = [line for line in found[name] if kind in line]
                steps, means = [line["thoughts"] for line in lines], [line[kind] for line in lines]
                axis.plot(steps, means, color=color, marker="o", label=kind)
            axis.set(title=title, xlabel="silent steps so far")
            axis.xaxis.get_major_locator().set_params(integer=True)
        axes[0].set_ylabel("mean over edges, heads added up")
        axes[1].set_ylabel("mean over nodes")
        axes[0].legend()
    return file
