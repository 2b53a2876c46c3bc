"""Reasoning by superposition: a chain of silent steps that walks a graph on all its ways at once (Zhu et al., arXiv
2505.12514).

Nothing is ever written. A silent step is taught by what it must name: a random node of the next layer, so that the best a
thought can do is to hold the whole layer. Thoughts are learned hop by hop, the answer behind the last of them.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.random import Generator
from pydantic import Field, model_validator

from tacit.errors import DataError
from tacit.example import Encoded
from tacit.layout import IGNORE, Layout, Segment
from tacit.methods.base import Lesson, Loss, Method, Progress, answer, cue, only_given, question, stages_done
from tacit.methods.gate import Gate, GateState
from tacit.thinking import Thinking
from tacit.vocab import Vocab

if TYPE_CHECKING:
    from tacit.thinker import Thinker

HOPS = 8
"""Hops whose thoughts are told apart in the log, the same in every process; later ones share the last."""
MASS, SEEN = "mass/", "seen/"


class Superposition(Method):
    """Question, silent steps, answer; at stage k thought k names a node that is k + 1 hops away."""

    thoughts: Thinking = Thinking()
    """How a silent step is made; {feedback: pause} is the control with the same labels and stages."""
    latents: Literal["hops"] | int = "hops"
    """Silent steps once all stages are through: as many as there are hops, or a number that does not tell how many."""
    max_stage: int = Field(default=4, ge=0)
    """The last stage, in which graphs of so many hops are answered."""
    gate: Gate | None = None
    """Begin the next stage when the newest thought holds its layer (how much probability it gives to it) and what can be
    answered already is answered."""
    epochs_per_stage: float | None = Field(default=None, gt=0)
    """Without a gate: passes over the data before the next stage. Null: no curriculum, all is learned from the start."""
    labels: Literal["every", "last"] = "every"
    """Which thoughts are taught: every one of the chain, or only the newest, and none where the answer is learned."""
    nodes: Literal["path", "frontier"] = "path"
    """What a thought must name: a node on a shortest way to the target, or any node of its layer."""
    settled: bool = False
    """Teach the thought that has arrived, and those behind it, to name the target. Without this nothing but the answer teaches
    them, and an answer may stay a toss between the two on offer behind thoughts that hold everything."""
    mix: float = Field(default=0.0, ge=0, le=1)
    """Probability that an example is laid out for a random stage up to the current one."""
    ramp: int | None = Field(default=None, ge=1)
    """Meet graphs of at most so many hops until the first stage is through; null meets all from the start."""

    @model_validator(mode="after")
    def _one_curriculum(self) -> "Superposition":
        if self.gate and self.epochs_per_stage is not None:
            raise ValueError("gate and epochs_per_stage both say when a stage ends; leave one of them out")
        if self.gate and self.gate.stages != self.max_stage:
            raise ValueError(f"gate.stages is {self.gate.stages} and max_stage {self.max_stage}; set both alike")
        if self.gate and self.gate.chunk != "one":
            raise ValueError(
                f"gate.chunk: {self.gate.chunk} takes written steps away, and here none is written; set one"
            )
        if self.ramp is not None and not self.gate and self.epochs_per_stage is None:
            raise ValueError(
                f"ramp: {self.ramp} is for the first stage, and without gate and epochs_per_stage there is but the last; set "
                "ramp: null"
            )
        return self

    @model_validator(mode="after")
    def _thoughts_there_are(self) -> "Superposition":
        if isinstance(self.latents, int) and not 0 <= self.latents <= self.max_stage:
            raise ValueError(
                f"latents: {self.latents} must be hops or a number from 0 to max_stage: {self.max_stage}, since every stage adds "
                "one silent step; set max_stage higher for more of them"
            )
        if self.thoughts.close != "token":
            raise ValueError(
                f"thoughts.close: {self.thoughts.close} feeds </think>, and no row of this method has one; leave it out"
            )
        only_given(self.thoughts)
        return self

    def check(self, encoded: Sequence[Encoded]) -> None:
        for ex in encoded:
            if ex.graph is not None and ex.graph.hops > self.max_stage:
                raise DataError(
                    f"{ex.id or 'an example'} has {ex.graph.hops} hops, and max_stage: {self.max_stage} is the last stage, in "
                    f"which graphs of at most {self.max_stage} hops are answered: its answer would never be learned; set "
                    f"max_stage: {ex.graph.hops} (and gate.stages, if there is a gate), or leave such graphs out"
                )

    def thinking(self) -> Thinking:
        return self.thoughts

    def stage(self, at: Progress) -> int:
        if self.epochs_per_stage is None:
            return self.max_stage
        return min(stages_done(at, self.epochs_per_stage), self.max_stage)

    def pacing(self) -> GateState | None:
        return GateState(self.gate) if self.gate else None

    def meets(self, ex: Encoded, stage: int) -> bool:
        return self.ramp is None or stage > 0 or ex.graph is None or ex.graph.hops <= self.ramp

    def layouts(self, ex: Encoded, vocab: Vocab, stage: int | None, rng: Generator | None) -> dict[str, Layout]:
        if ex.graph is None:
            raise DataError(
                f"{ex.id or 'example'} does not say which nodes are how far from its root, so a thought has nothing to "
                "name; take a task that lists edges in symbols, such as layered or prosqa_symbolic"
            )
        hops = ex.graph.hops
        current = stage = self._last(hops) if stage is None else min(stage, self.max_stage)
        if self.mix and rng and rng.random() < self.mix:
            stage = int(rng.integers(min(stage, hops) + 1))
        answered = stage >= hops
        count = self._count(hops, stage)
        layers = ex.graph.on_path if self.nodes == "path" else ex.graph.frontier
        goals = [layer[rng.integers(len(layer)) if rng else 0] for layer in layers[1 : 2 + min(stage, hops - 1)]]
        if not answered:
            goals = goals[: count + 1]  # what thoughts that are not made would name
        if self.labels == "last":
            goals[: len(goals) if answered else -1] = [IGNORE] * (len(goals) - (not answered))
        # A label stands one column behind the thought that must name it, so the newest thought needs a column more.
        arrived = ex.answer[0] if self.settled else IGNORE
        named = [*goals, *[arrived] * (count + 1 - len(goals))]
        thought = Segment("thought", (vocab.latent,) * count, 1.0, labels=named[:count])
        if answered:
            asked = cue(ex, 0.0)
            if self.settled and ex.cue:  # without a cue, the answer itself stands behind the last thought
                asked = Segment("cue", ex.cue, 1.0, labels=[named[count], *[IGNORE] * (len(ex.cue) - 1)])
            return {"main": Layout(question(ex), thought, asked, answer(ex, vocab))}
        name = "newest" if stage == current else "earlier"
        return {"main": Layout(question(ex), thought, Segment(name, goals[count : count + 1], 1.0))}

    def prompt(self, ex: Encoded, vocab: Vocab, stage: int | None = None) -> Layout:
        hops = ex.graph.hops if ex.graph else self.max_stage
        count = self._count(hops, self._last(hops) if stage is None else min(stage, self.max_stage))
        return Layout(question(ex), Segment("thought", (vocab.latent,) * count), cue(ex, 0.0))

    def _last(self, hops: int) -> int:
        """The stage when training is over. Graphs of more hops than were ever trained get as many silent steps as they have
        hops, if that is the rule."""
        return max(hops, self.max_stage) if self.latents == "hops" else self.max_stage

    def _count(self, hops: int, stage: int) -> int:
        """Silent steps of an example at a stage."""
        return min(stage, hops) if self.latents == "hops" else min(stage, self.latents)

    def loss(self, thinker: "Thinker", lesson: Lesson, counts: dict[str, Any]) -> Loss:
        """The sum over the labels of a row, in the mean over rows; and how much of its layer each thought holds."""
        from torch.nn.functional import cross_entropy

        from tacit.objectives import learned_states

        batch = lesson.views["main"]
        logits = thinker.logits(*learned_states(thinker(batch, end=batch.end).hidden, batch))
        total = cross_entropy(logits, batch.targets, reduction="sum") / counts["rows"]
        layer, hop, newest = _layers(batch.layouts, lesson.examples, logits.shape[1])
        held = (logits.detach().softmax(-1) * logits.new_tensor(layer)).sum(-1).tolist()
        right = (logits.detach().argmax(-1) == batch.targets).tolist()
        sums = np.zeros((HOPS + 2, 2))
        # Places 1 … HOPS are thoughts, 0 the answer, the last the newest thought of rows that are not answered yet.
        for share, hit, place, watched in zip(held, right, hop, newest):
            if place is not None:
                sums[place] += (share if place else hit, 1)
            if watched:
                sums[HOPS + 1] += (share, 1)
        parts = {"nll": total.detach()}
        for place, name in enumerate(("answer", *map(str, range(1, HOPS + 1)), "newest")):
            parts[MASS + name], parts[SEEN + name] = logits.new_tensor(sums[place]).unbind()
        return Loss(total, parts)

    def summary(self, parts: dict[str, float]) -> dict[str, float]:
        """`hop_k`: the probability that thought k - 1 gives to the nodes k hops away. `answer`: how often the answer is the
        likeliest token. `newest`: as `hop_k`, for the newest thoughts alone. A gate watches the worse of the two, since thoughts
        that hold everything are of no use while their answer is a toss between the two on offer."""
        out = {name: value for name, value in parts.items() if not name.startswith((MASS, SEEN))}
        for name in [n.removeprefix(SEEN) for n, value in parts.items() if n.startswith(SEEN) and value]:
            share = parts[MASS + name] / parts[SEEN + name]
            out[name if name in ("answer", "newest") else f"hop_{name}"] = share
        watched = [out[name] for name in ("answer", "newest") if name in out]
        return out | ({"watched": min(watched)} if watched else {})


def _layers(
    layouts: Sequence[Layout], examples: Sequence[Encoded], vocabulary: int
) -> tuple[np.ndarray, list[int | None], list[bool]]:
    """For every label of the rows in order: (N, V) 1 for the nodes of the layer that is to be named, its distance from the
    root (0 for an answer, None for the end of the text), and whether it is the newest thought that names it."""
    layers: list[tuple[int, ...]] = []
    hops: list[int | None] = []
    newest: list[bool] = []
    for layout, ex in zip(layouts, examples):
        assert ex.graph is not None
        hop = 0
        for segment in layout.segments:
            if not segment.learn:
                continue
            thinks = segment.name != "answer"
            for place, label in enumerate(segment.ids if segment.labels is None else segment.labels):
                hop += thinks
                if label == IGNORE:
                    continue
                arrived = hop > ex.graph.hops
                layers.append(ex.graph.frontier[hop] if thinks and not arrived else ())
                hops.append((None if arrived else min(hop, HOPS)) if thinks else None if place else 0)
                newest.append(segment.name == "newest")
    member = np.zeros((len(layers), vocabulary), dtype=np.float32)
    for row, layer in enumerate(layers):
        member[row, list(layer)] = 1
    return member, hops, newest
