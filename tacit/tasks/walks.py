"""Walks on a graph whose map is nowhere written: a start, a few labels, and where they lead.

Every label is a permutation of the states, the same in all documents, and frequent labels are much more frequent than rare ones.
A document tells start, labels and end; the states between are what a thought would have to supply, and the map is what a model
has to find out. A few documents come with their thoughts, so common labels are learned from them and rare ones must be inferred.
"""

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from tacit.example import Example, Template
from tacit.tasks.base import Generated, Grade, Split
from tacit.tasks.sources import json_lines


class Walks(Generated):
    """Where labels lead from a start; the steps are each label and the state behind it. valid has the labels of training, test
    has all labels equally often."""

    wordings: ClassVar[int] = 1
    """A walk is its words."""

    template: Template = Template(
        kind="symbolic", question="{question}", step="{step}", cue="", answer="{answer}", bos=True
    )
    """The words around question, steps and answer."""
    extractor: str = "exact@1"
    """How the answer is found in what the model wrote, and compared: a name of tacit.answers.EXTRACTORS."""
    states: int = Field(default=10, ge=2)
    """States of the world."""
    labels: int = Field(default=20, ge=1)
    """Labels, each a permutation of the states."""
    hops: int = Field(default=5, ge=1)
    """Labels of a walk."""
    zipf: float = Field(default=1.0, ge=0)
    """A label's frequency is one over its rank to this power."""
    warm_rows: int = Field(default=500, ge=0)
    """Training documents that come with their thoughts."""
    train_rows: int = Field(default=5_000, ge=1)
    """Training documents that come without."""
    valid_rows: int = Field(default=1_000, ge=1)
    """Examples of the valid split."""
    test_rows: int = Field(default=1_000, ge=1)
    """Examples of the test split."""
    part: Literal["warm", "corpus", "both", "gold"] = "warm"
    """What train is. warm: the documents with thoughts. corpus: those without. both: all of them. gold: the corpus with its true
    thoughts, which nobody is given but an oracle."""
    inferred: str | None = None
    """A file of rows with ids and steps: the corpus comes with the thoughts that were inferred for it."""
    world: int = Field(default=0, ge=0)
    """Other numbers give other maps."""

    @cached_property
    def map(self) -> np.ndarray:
        """(labels, states): where each label leads from each state."""
        rng = np.random.default_rng([self.world, self.states, self.labels])
        return rng.permuted(np.tile(np.arange(self.states), (self.labels, 1)), axis=1)

    @cached_property
    def _frequency(self) -> np.ndarray:
        weights = 1.0 / np.arange(1, self.labels + 1) ** self.zipf
        return weights / weights.sum()

    def words(self) -> list[str]:
        return [*(f"s{n}" for n in range(self.states)), *(f"l{n}" for n in range(self.labels))]

    def problem(self, rng: np.random.Generator) -> tuple[int, np.ndarray, np.ndarray]:
        """A start, labels by frequency, and labels at random, for the split that has those."""
        frequent = rng.choice(self.labels, self.hops, p=self._frequency)
        return int(rng.integers(self.states)), frequent, rng.integers(self.labels, size=self.hops)

    def pose(self, problem: tuple[int, np.ndarray, np.ndarray], rng: np.random.Generator) -> Example:
        start, labels, _ = problem
        return self._walk(start, labels)

    def _walk(self, start: int, labels: np.ndarray) -> Example:
        here, steps = start, []
        for label in labels.tolist():
            here = int(self.map[label, here])
            steps.append(f"l{label} s{here}")
        question = " ".join([f"s{start}", *(f"l{label}" for label in labels.tolist())])
        return Example(question=question, steps=tuple(steps), answer=f"s{here}")

    def _posed(self, split: Split, rng: np.random.Generator) -> Example | None:
        if split != "test":
            return super()._posed(split, rng)
        start, _, labels = self.problem(rng)
        return self._walk(start, labels)

    def rows(self, split: Split) -> int:
        return self.warm_rows + self.train_rows if split == "train" else super().rows(split)

    def examples(self, split: Split) -> list[Example]:
        found = super().examples(split)
        if split != "train":
            return found
        warm, corpus = found[: self.warm_rows], found[self.warm_rows :]
        thoughts = self._inferred()
        bare = [replace(example, steps=thoughts.get(example.id, ())) for example in corpus]
        return {"warm": warm, "corpus": bare, "both": [*warm, *bare], "gold": corpus}[self.part]

    def _inferred(self) -> dict[str, tuple[str, ...]]:
        if self.inferred is None:
            return {}
        return {str(raw.row["id"]): tuple(raw.row["steps"]) for raw in json_lines(Path(self.inferred))}

    def grade(self, example: Example, text: str) -> Grade:
        """The last state that was written is the answer."""
        return super().grade(example, (text.split() or [""])[-1])
