"""The problems of another task, written out as plain text: something to read that is made on the spot."""

import string
from collections.abc import Iterator

from tacit.example import Example, Template
from tacit.recipe.choice import TaskChoice
from tacit.tasks.base import Split, Task


class Written(Task):
    """Each problem with its steps and its answer is a document, one piece behind the other."""

    template: Template = Template(bos=True)
    """A text begins behind a BOS and has no words around it."""
    of: TaskChoice
    """The task, and its fields."""

    def examples(self, split: Split) -> Iterator[Example]:
        for example in self.of.settings.examples(split):
            yield Example(example.id, text=" ".join([example.question, *example.steps, example.answer]))

    def letters(self) -> str:
        return string.digits + string.ascii_letters + string.punctuation + string.whitespace
