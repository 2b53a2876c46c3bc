"""Multiple choice: which of the answers on offer is right?

Prompts are those of the published evaluations: the question, its options with letters, and `A:`. Where the answers of a test
split are secret, valid and test are both the published validation split.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import ClassVar, NamedTuple

from pydantic import Field, model_validator

from tacit.example import Example, Template
from tacit.tasks.base import ASKED, Split, Task
from tacit.tasks.formats import Reading
from tacit.tasks.offered import BARE, LETTERS, OFFERED
from tacit.tasks.rows import Rows

CONVERTED = "refs/convert/parquet"
"""Where the hub keeps the rows of data sets that were published as scripts, which are not run any more."""


class Published(NamedTuple):
    """A data set of the hub."""

    id: str
    config: str | None = None
    revision: str | None = None
    valid: str = ""
    """The splits that ours are called there; empty finds them."""
    test: str = ""


class Choice(Task):
    """Any questions with answers on offer, from local files in any published shape or in our own."""

    published: ClassVar[Published | None] = None

    template: Template = ASKED
    """The words around question and answer."""
    extractor: str = "choice@1"
    """How the answer is found in what the model wrote: a letter, yes or no."""
    path: str = ""
    """A local file, a folder with train/valid/test files, or a hub id, instead of the published set."""
    train: str = ""
    """The train split: a local file."""
    valid: str = ""
    """The valid split, likewise."""
    test: str = ""
    """The test split, likewise: all of its rows."""
    limit: int | None = Field(default=None, ge=1)
    """At most this many rows of a split."""

    @model_validator(mode="after")
    def _somewhere(self) -> "Choice":
        if not (self.published or self.path or self.train or self.valid or self.test):
            raise ValueError(
                "set path (a file or a folder), or test to a file; published sets have names of their own, such as csqa"
            )
        return self

    def examples(self, split: Split) -> Iterable[Example]:
        return self._rows().examples(split)

    def _rows(self) -> Rows:
        local = {name: getattr(self, name) for name in ("path", "train", "valid", "test")}
        reading = Reading(format="choice")
        if any(local.values()) or self.published is None:
            return Rows(**local, reading=reading, limit=self.limit)
        at = self.published
        return Rows(
            path=at.id,
            config=self._config(),
            revision=at.revision,
            valid=at.valid,
            test=at.test,
            reading=reading,
            limit=self.limit,
        )

    def _config(self) -> str | None:
        return self.published.config if self.published else None

    def choices(self, example: Example) -> Sequence[str]:
        offered = self._offered(example)
        return offered if self._bare(example) == example.question else LETTERS[: len(offered)]

    def in_words(self, example: Example) -> Sequence[Example] | None:
        if self._bare(example) == example.question:
            return None
        return [replace(example, question=self._bare(example), answer=words) for words in self._offered(example)]

    def kind(self, example: Example) -> str | None:
        return (example.extra or {}).get("subject")

    def letters(self) -> str:
        return super().letters() + LETTERS + "()\n"

    def _offered(self, example: Example) -> list[str]:
        return (example.extra or {})[OFFERED]

    def _bare(self, example: Example) -> str:
        return (example.extra or {})[BARE]


class CommonsenseQA(Choice):
    """CommonsenseQA: five answers that need to know how things usually are."""

    published = Published("tau/commonsense_qa", test="validation")


class RiddleSense(Choice):
    """RiddleSense: riddles with five answers."""

    published = Published("INK-USC/riddle_sense", revision=CONVERTED, test="validation")


class Mmlu(Choice):
    """MMLU: exam questions of 57 subjects with four answers."""

    published = Published("cais/mmlu", config="all", valid="validation", test="test")

    subject: str | None = None
    """One subject, such as abstract_algebra; null for all of them."""

    def _config(self) -> str | None:
        return self.subject or super()._config()


class Piqa(Choice):
    """PIQA: which of two ways does the job?"""

    published = Published("ybisk/piqa", revision=CONVERTED, test="validation")


class Siqa(Choice):
    """Social IQa: what people want, feel and do next; three answers."""

    published = Published("allenai/social_i_qa", revision=CONVERTED, test="validation")


class StrategyQA(Choice):
    """StrategyQA: yes or no, by steps that the question does not name; its facts are the steps of a chain of thought."""

    published = Published("ChilleD/StrategyQA")
