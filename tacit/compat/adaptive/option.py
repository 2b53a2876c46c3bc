"""What an option is: a name, perhaps with numbers in it, and the fields of a recipe that it sets.

The published code lists every value that an option may have; here the numbers are read, so `lr_3e-5` needs no entry of its own.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tacit.errors import TacitError
from tacit.registry import nearest

Fields = Mapping[str, Any]
"""Dotted path of a recipe -> value."""
SLOTS = {"COUNT": r"(\d+k?)", "NUMBER": r"(\d+(?:p\d+)?(?:e-?\d+)?)", "WORD": r"([^/]+)"}
"""What stands in the place of a word in capitals: 30k, 8e-4, 0p1."""
VALUE = r"\d[\dkpe.+-]*"
"""The same in a name that is no option's, whatever it was meant to be."""
NOTHING = "default"
"""The name that every registry has for no setting at all."""
UNSAID: dict[str, Any] = {
    "task.name": "gsm8k",
    "task.part": [0.0, 1.0],
    "task.drop_negative": False,
    "train.clip": 1.0,
    "train.weight_decay": 0.0,
    "train.schedule": "constant",
    "train.warmup": 0,
    "train.save_every": None,
    "eval.every": None,
}
"""What holds in both kinds of training where no option says otherwise."""


@dataclass(frozen=True)
class Option:
    """One line of a registry."""

    form: str
    """Its name, such as `lr_NUMBER`."""
    sets: Callable[..., Fields]
    """From the values in its name to what it sets."""
    note: str = ""
    """What a user should know who gives it."""

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        parts = re.split(f"({'|'.join(SLOTS)})", self.form)
        return re.compile("".join(SLOTS.get(part, re.escape(part)) for part in parts))

    def read(self, name: str) -> Fields | None:
        """What this name sets; None if it is another option's."""
        found = self.pattern.fullmatch(name)
        if found is None:
            return None
        slots = re.findall("|".join(SLOTS), self.form)
        return self.sets(*(value_of(slot, text) for slot, text in zip(slots, found.groups())))


Registry = Sequence[Option]


def value_of(slot: str, text: str) -> Any:
    if slot == "WORD":
        return text
    if slot == "COUNT":
        return int(text.removesuffix("k")) * (1000 if text.endswith("k") else 1)
    number = float(text.replace("p", "."))
    return int(number) if number.is_integer() and "e" not in text else number


def field(path: str) -> Callable[[Any], Fields]:
    """Sets one field to the value in the name."""
    return lambda value: {path: value}


def always(fields: Fields | None = None) -> Callable[[], Fields]:
    """Sets the same, since there is no value in the name."""
    return lambda: fields or {}


@dataclass(frozen=True)
class Chosen:
    """An option that was given."""

    variable: str
    name: str
    option: Option
    fields: Fields

    @property
    def told(self) -> str:
        return f"{self.variable}: {self.name}"


def choose(variable: str, text: str, registries: Mapping[str, Registry], faults: list[str]) -> list[Chosen]:
    """The options of one variable, in order. Names that it does not have are told in `faults`."""
    found = []
    for name in (part.strip() for part in text.split("/") if part.strip()):
        if name == NOTHING:
            continue
        chosen = next(_read(name, registries[variable]), None)
        if chosen is not None:
            found.append(Chosen(variable, name, *chosen))
            continue
        others = [other for other, registry in registries.items() if any(_read(name, registry))]
        forms = [option.form for option in registries[variable]]
        remedy = f"; it is one of {' and '.join(others)}" if others else nearest_form(name, forms)
        faults.append(f"{variable}: {name} is no option of this variable{remedy}")
    return found


def _read(name: str, registry: Registry) -> Iterator[tuple[Option, Fields]]:
    for option in registry:
        fields = option.read(name)
        if fields is not None:
            yield option, fields


def nearest_form(name: str, forms: Sequence[str]) -> str:
    """The option that was probably meant, with the numbers that were given. Numbers are no part of the likeness."""
    given = re.findall(VALUE, name)
    slots = "|".join(SLOTS)
    alike = [form for form in forms if len(re.findall(slots, form)) == len(given)] or forms
    bare = {re.sub(f"_?({slots})", "", form): form for form in alike}
    meant = re.search(r"did you mean (.*)\?", nearest(re.sub(f"_?{VALUE}", "", name) or name, bare))
    if meant is None:
        return f"; known: {', '.join(sorted(forms))}"
    values = iter(given)
    return f"; did you mean {re.sub(slots, lambda slot: next(values, slot[0]), bare[meant[1]])}?"


def refuse(program: str, faults: Sequence[str]) -> None:
    """All faults in one error, if there are any."""
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise TacitError(f"{program} cannot be run; {len(faults)} fault{'s' * (len(faults) != 1)}:{listed}")
