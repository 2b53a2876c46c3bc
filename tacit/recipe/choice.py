"""A task or a method in a recipe: a registered name, and the settings of the class behind it.

The class is imported when a recipe names it and not before, so a recipe costs no more imports than it uses.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, model_serializer
from pydantic_core import PydanticCustomError

from tacit.methods import METHODS
from tacit.registry import resolve
from tacit.settings import Settings
from tacit.tasks import TASKS

REGISTRIES: dict[str, Mapping[str, Any]] = {"task": TASKS, "method": METHODS}


class Choice(Settings):
    """Written as one mapping, `{name: coconut, max_stage: 3}`; used as `choice.name` and `choice.settings`."""

    name: str
    """A name from `tacit ls`."""
    settings: Any
    """An instance of the class that the name stands for: a `Task` or a `Method`."""

    @model_serializer
    def _flat(self) -> dict[str, Any]:
        return {"name": self.name, **self.settings.model_dump(mode="json")}


def decode(cls: type[Settings], tree: Any) -> Any:
    """Settings from plain data. Strict, so that `true` is no number; as JSON, so that a list may be a tuple."""
    return cls.model_validate_json(json.dumps(tree), strict=True)


def choose(kind: str, given: Any) -> Any:
    """The choice that a mapping describes. Faults in it join those of the rest of the recipe, with their paths."""
    if not isinstance(given, dict):
        return given
    registry = REGISTRIES[kind]
    name = given.get("name")
    if name is None:
        raise _fault("missing", name)
    if not isinstance(name, str) or name not in registry:
        known = sorted(registry)
        reason = f"is no known {kind}; known: {', '.join(known)}"
        raise _fault(PydanticCustomError("unknown_name", "{reason}", {"reason": reason, "known": known}), name)
    fields = {key: value for key, value in given.items() if key != "name"}
    return Choice(name=name, settings=decode(resolve(registry, name, kind), fields))


def _fault(error: Any, name: Any) -> ValidationError:
    return ValidationError.from_exception_data("choice", [{"type": error, "loc": ("name",), "input": name}])


def choose_task(given: Any) -> Any:
    """See `choose`."""
    return choose("task", given)


def choose_method(given: Any) -> Any:
    """See `choose`."""
    return choose("method", given)


TaskChoice = Annotated[Choice, BeforeValidator(choose_task)]
MethodChoice = Annotated[Choice, BeforeValidator(choose_method)]
