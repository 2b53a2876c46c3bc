"""Where examples come from and how an answer is graded.

A `Task` is a frozen set of fields: the same fields give the same examples on every machine. `Drawn` is the parent of the
tasks that make their examples up: train, valid and test cannot share a question, because a question's hash says where it
lives. `Generated` draws them one by one; tasks that draw many at once give candidates themselves.
"""

import string
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Any, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from pydantic import Field, field_validator

from tacit.answers import EXTRACTORS, MARKERS, equal, extract
from tacit.errors import DataError, TacitError
from tacit.example import Example, Template
from tacit.registry import nearest
from tacit.settings import Settings

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)

# The part of all questions that lives in each held-out split of a generated task.
HELD_OUT: Mapping[Split, float] = {"valid": 1 / 16, "test": 1 / 16}
FRUITLESS = 10_000

ASKED = Template(question="Q: {question}\nA:", step=" {step}", cue="", answer=" {answer}")
"""The words of published evaluations of models that were trained on text alone. In a recipe: `task.template: asked`."""


class Grade(NamedTuple):
    """Whether an answer is right, what was read as the answer, and by which extractor."""

    correct: bool
    extracted: str | None
    extractor: str


class Task(Settings, ABC):
    """Yields examples and grades answers. Subclasses are its recipes' fields."""

    template: Template = Template()
    """The words around question, steps and answer; `asked` stands for Q: … A: …, as published evaluations have it."""
    extractor: str = "number@1"
    """How the answer is found in what the model wrote, and compared: a name of tacit.answers.EXTRACTORS."""

    @field_validator("template", mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        return ASKED if value == "asked" else value

    @field_validator("extractor")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in EXTRACTORS:
            raise ValueError(f"no extractor {value!r}{nearest(value, EXTRACTORS)}. Known: {', '.join(EXTRACTORS)}")
        return value

    @abstractmethod
    def examples(self, split: Split) -> Iterable[Example]:
        """The examples of a split: a list, or an iterator where the task streams."""

    def grade(self, example: Example, text: str) -> Grade:
        """Grade what was written after the question: what follows the template's cue, or all if no cue was written.

        An answer that cannot be found is wrong.
        """
        cue = self.template.cue.strip()
        found = extract(self.extractor, text.rsplit(cue, 1)[-1] if cue else text)
        gold = extract(self.extractor, example.answer)
        if gold is None:
            gold = example.answer
        return Grade(found is not None and equal(self.extractor, found, gold), found, self.extractor)

    def choices(self, example: Example) -> Sequence[str] | None:
        """The answers a question offers, in an order that does not tell which is right; None for open questions."""
        return None

    def in_words(self, example: Example) -> Sequence[Example] | None:
        """Where a question shows its choices: the question without them, once with the words of each choice as its answer,
        in their order. None where nothing is shown."""
        return None

    def alphabet(self) -> str | None:
        """Characters that answers to open questions consist of, where these are a closed set, such as digits; None: any."""
        return None

    def kind(self, example: Example) -> str | None:
        """The kind of question it is, such as its number of steps, where a task wants its accuracy told kind by kind."""
        return None

    def verdict(self, example: Example, text: str, hidden: int = 0) -> str | None:
        """The kind of success or mistake that a written answer is, where a task tells kinds apart. `hidden` is how many
        first steps were thought instead of written."""
        return None

    def places(self, example: Example, found: str | None) -> Sequence[bool] | None:
        """Which places of the answer are right, where answers have places, such as digits; `found` is what was read as the
        answer."""
        return None

    def written_steps(self, text: str) -> list[str]:
        """The steps in what a model wrote before its answer, without the markers of silent steps."""
        for marker in MARKERS:
            text = text.replace(marker, "")
        cue, (_, end) = self.template.cue.strip(), self.template.step.split("{step}")
        before = text.rsplit(cue, 1)[0] if cue and cue in text else ""
        apart = end or (None if self.template.kind == "symbolic" else "\n")
        return [step.strip() for step in before.split(apart) if step.strip()]

    def words(self) -> list[str] | None:
        """Every word that template kind symbolic can meet, for making a tokenizer; None where words are open-ended."""
        return None

    def letters(self) -> str:
        """Characters that a tokenizer from scratch must know, whether or not a training example has them."""
        return string.digits


def check_split(split: str) -> None:
    """Refuse a split that no task has."""
    if split not in SPLITS:
        raise TacitError(f"there is no split {split!r}{nearest(split, SPLITS)}. Splits: {', '.join(SPLITS)}")


def home(key: str, held_out: Mapping[Split, float] = HELD_OUT) -> Split:
    """The split a question belongs to, by its hash. `held_out` gives each other split its part of all questions."""
    place = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big") / 2**64
    for split, share in held_out.items():
        if place < share:
            return split
        place -= share
    return "train"


class Drawn(Task):
    """A task that draws its examples; each split has its own random numbers and its own questions."""

    seed: int = Field(default=0, ge=0)
    """Other seeds give other examples."""
    train_rows: int = Field(default=10_000, ge=1)
    """Examples of the train split."""
    valid_rows: int = Field(default=500, ge=1)
    """Examples of the valid split."""
    test_rows: int = Field(default=500, ge=1)
    """Examples of the test split."""

    @abstractmethod
    def candidates(self, split: Split, rng: np.random.Generator) -> Iterator[Example | None]:
        """Questions that live in the split, without end and perhaps with repetitions; None for a draw that lives elsewhere."""

    def rows(self, split: Split) -> int:
        """How many examples the split has."""
        return {"train": self.train_rows, "valid": self.valid_rows, "test": self.test_rows}[split]

    def rng(self, split: Split) -> np.random.Generator:
        """The random numbers of a split, which no other split and no other seed shares."""
        return np.random.default_rng([self.seed, SPLITS.index(split)])

    def examples(self, split: Split) -> Iterable[Example]:
        check_split(split)
        return self._different(split)

    def _different(self, split: Split) -> Iterator[Example]:
        wanted, fruitless = self.rows(split), 0
        found: set[str] = set()
        for example in self.candidates(split, self.rng(split)):
            if example is None or example.question in found:
                fruitless += 1
                if fruitless > FRUITLESS:
                    raise DataError(
                        f"{type(self).__name__} with these settings has too few questions: found {len(found)} "
                        f"of {wanted} for {split}; set {split}_rows lower, or make the problems larger"
                    )
                continue
            yield replace(example, id=f"{split}-{len(found)}")
            found.add(example.question)
            fruitless = 0
            if len(found) == wanted:
                return


class Generated(Drawn):
    """A task that draws one problem after the other and can put the same problem in other words."""

    wordings: ClassVar[int] = 256
    """So often a problem is put into other words to make it live in the split that is asked for."""

    @abstractmethod
    def problem(self, rng: np.random.Generator) -> Any:
        """Draw what is to be solved."""

    @abstractmethod
    def pose(self, problem: Any, rng: np.random.Generator) -> Example:
        """Put a problem into words, with fresh names and order, so that it can be put again for another split."""

    def examples(self, split: Split) -> list[Example]:
        return list(super().examples(split))

    def candidates(self, split: Split, rng: np.random.Generator) -> Iterator[Example | None]:
        while True:
            yield self._posed(split, rng)

    def _posed(self, split: Split, rng: np.random.Generator) -> Example | None:
        # A held-out split owns one question in sixteen, and wording a problem anew is cheaper than another problem.
        problem = self.problem(rng)
        for _ in range(self.wordings):
            example = self.pose(problem, rng)
            if home(example.question) == split:
                return example
        return None
