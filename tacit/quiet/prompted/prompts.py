"""What stands in front of a text: words that say what a thought is for, scenarios, and examples with and without one."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml
from pydantic import Field, ValidationError

from tacit.errors import DataError
from tacit.example import Example, Template, encode
from tacit.registry import nearest
from tacit.settings import Settings
from tacit.vocab import CLOSE, LATENT, OPEN

if TYPE_CHECKING:
    from tacit.thinker import Thinker

VARIANTS = Path(__file__).parent / "variants"


class Shown(Settings):
    """A place of a text, with the thought that belongs there."""

    kind: str = ""
    """What sort of place it is; for readers of the file."""
    before: str = Field(min_length=1)
    """The text so far."""
    thought: str | None = Field(default=None, min_length=1)
    """Left out where thinking does not pay: then the null thought stands here."""
    after: str = Field(min_length=1)
    """How the text goes on."""

    def written(self, null: str) -> str:
        return f"{self.before}{OPEN}{self.thought or null}{CLOSE}{self.after}"


class Scenario(Shown):
    """A longer example, with words about it."""

    title: str
    """What is shown."""
    remark: str
    """Why it pays to think there, or why it does not."""


class Prompt(Settings):
    """One variant."""

    about: str
    """What this variant is, in one line."""
    explanation: str = ""
    """What a token is, what a pass can do, what a thought is for. {null_thought} stands for the null thought."""
    scenarios: tuple[Scenario, ...] = ()
    """Longer examples with remarks."""
    lead: str = ""
    """Words before the examples."""
    examples: tuple[Shown, ...] = ()
    """Annotated places, with and without a thought."""
    null_thought: str = Field(min_length=1)
    """The thought that means: keep to what would have been predicted anyway."""
    ending: str = ""
    """Words behind all this; the text follows them."""

    def written(self) -> str:
        """The whole, as it stands in front of a text."""
        scenarios = [f"{one.title}\n\n{one.written(self.null_thought)}\n\n{one.remark}" for one in self.scenarios]
        examples = [one.written(self.null_thought) for one in self.examples]
        said = [self.explanation.replace("{null_thought}", self.null_thought), *scenarios, self.lead, *examples]
        return "\n\n".join(part.strip("\n") for part in said if part) + "\n\n" + self.ending

    def check(self, name: str, annotations: int) -> None:
        """Refuse what would teach something else."""
        if len(self.examples) < annotations:
            raise DataError(
                f"{name} has {len(self.examples)} annotated examples and method.annotations asks for {annotations}; add some "
                f"under examples, or set method.annotations: {len(self.examples)}"
            )
        thoughts = [one.thought is not None for one in self.examples]
        if thoughts and len(set(thoughts)) == 1:
            kind, missing = ("with", "without") if thoughts[0] else ("without", "with")
            raise DataError(
                f"all examples of {name} are {kind} a thought, so nothing shows when to think; add some {missing} one "
                "(thought is left out where the null thought belongs)"
            )
        for number, one in enumerate((*self.scenarios, *self.examples), 1):
            _refuse_marks(f"{name}: scenario or example {number}", (one.before, one.thought or "", one.after))
        _refuse_marks(f"{name}: null_thought", (self.null_thought,))


def _refuse_marks(place: str, texts: Sequence[str]) -> None:
    found = next((mark for text in texts for mark in (OPEN, CLOSE, LATENT) if mark in text), None)
    if found:
        raise DataError(
            f"{place} contains {found}; the marks are put around `thought`, of which there is one, between `before` and "
            "`after`. Remove it"
        )


def names() -> list[str]:
    return sorted(file.stem for file in VARIANTS.glob("*.yaml"))


@lru_cache(16)
def load(name: str) -> Prompt:
    """A variant by name, or a file of the same form."""
    told = _read(name)
    base = told.pop("extends", None)
    if base is not None:
        told = _read(base) | told
    try:
        return Prompt.model_validate(told)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        remedy = first["msg"]
        if place == "null_thought":
            remedy = (
                "a prompt needs a null thought, the fixed words of a place where thinking does not pay; add a line such as "
                "null_thought: I keep to what I would have predicted."
            )
        elif first["type"] == "extra_forbidden":
            remedy = f"there is no such field{nearest(place, Prompt.model_fields)}"
        raise DataError(f"{name}: {place}: {remedy}") from error


def _read(name: str) -> dict[str, Any]:
    file = Path(name) if name.endswith((".yaml", ".yml")) else VARIANTS / f"{name}.yaml"
    try:
        told = yaml.safe_load(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"there is no prompt called {name!r}{nearest(name, names())}. Known: {', '.join(names())}; or name a .yaml file"
        ) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise DataError(f"{file}: cannot be read as YAML: {error}") from error
    if not isinstance(told, dict):
        raise DataError(f"{file}: expected fields such as explanation, examples and null, got {type(told).__name__}")
    return told


class Words(NamedTuple):
    """A prompt in ids."""

    prompt: tuple[int, ...]
    null: tuple[int, ...]


def in_ids(name: str | None, chat: bool, thinker: "Thinker") -> Words:
    """`chat`: as a message of the user. Without a name, nothing stands in front of a text, and the null thought is empty."""
    if name is None:
        return Words((), ())
    prompt, tokenizer = load(name), thinker.tokenizer
    if chat:
        template = Template(kind="chat", question="{question}")
        said = encode([Example(name, question=prompt.written())], tokenizer, template)[0].question
    else:
        row = encode([Example(name, text=prompt.written())], tokenizer)[0]
        said = (*row.question, *row.answer)
    null = encode([Example(name, text=prompt.null_thought)], tokenizer, Template(bos=False))[0].answer
    return Words(tuple(said), tuple(null))
