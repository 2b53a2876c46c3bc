"""What an answer is worth: right or wrong, in the asked form or not, and how long its thought was beside those of the other
right answers to the same question.

Whoever wants other rewards names functions of their own, with the signature that TRL has for them:
`def reward(prompts, completions, **columns) -> list[float]`.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib import import_module
from itertools import pairwise
from typing import Annotated, Any, NamedTuple

from pydantic import Field, field_validator

from tacit.errors import DataError, TacitError
from tacit.settings import Settings

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ROUND = 1e-9
Columns = dict[str, list[Any]]


class Function(Settings):
    """A reward of the user's own."""

    function: str
    """MODULE:FUNCTION, where Python can import it; a file in the folder you work in is found with PYTHONPATH=."""
    weight: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    """What its numbers are multiplied by."""

    @field_validator("function")
    @classmethod
    def _both(cls, value: str) -> str:
        module, _, name = value.partition(":")
        if not (module and name):
            raise ValueError(f"{value!r} does not name a function; write MODULE:FUNCTION, such as my_rewards:brevity")
        return value


class Reward(Settings):
    """What an answer earns. Lengths are compared among the right answers to one question: each gets the distance of its length
    from their mean, divided by the difference between the longest and the shortest; where lengths are not drawn but weighed,
    by what that difference would be on average if it were among as many drawn ones."""

    correct: Weight = 1.0
    """For a right answer in the right form, as the task grades it."""
    bad_format: Weight = 1.0
    """Taken off where the words before the answer are not there exactly once, or where something is written before them that
    should have been thought."""
    shorter: Weight = 1e-4
    """For thinking less than the other right answers, where enough answers to the question are right. What it does depends on
    method.epsilon: rewards that differ by less than that are hardly told apart."""
    longer: Weight = 0.1
    """For thinking more than the other right answers, where too few are right."""
    required: Annotated[float, Field(gt=0)] = 1.0
    """How many right answers are enough: up to 1 a share of them, above it a number."""
    functions: tuple[Function, ...] = ()
    """Further rewards, which are added."""


class Judged(NamedTuple):
    """What the reward of an answer depends on."""

    correct: bool
    well_formed: bool
    length: int


def group_rewards(
    answers: Sequence[Judged], shares: Sequence[float], size: int, reward: Reward, sampled: bool = True
) -> list[float]:
    """The rewards of all answers to one question. `shares` say how large a part of the group each answer is, together 1;
    `size` is how many answers the group stands for, and `sampled` whether these are the answers."""
    right = [i for i, (one, share) in enumerate(zip(answers, shares)) if one.correct and one.well_formed and share > 0]
    mass = math.fsum(shares[i] for i in right)
    center = math.fsum(shares[i] * answers[i].length for i in right) / mass if right else 0.0
    # Shares that are probabilities: as many right answers as a group of this size most likely has.
    count = round(mass * size + ROUND)
    needed = reward.required * size if reward.required <= 1 else reward.required
    slope = -reward.shorter if count >= needed - ROUND else reward.longer
    lengths = [answers[i].length for i in right]
    among = {} if sampled else _ranges(lengths, [shares[i] / mass for i in right], max(2, count))
    found = []
    for one in answers:
        value = -reward.bad_format * (not one.well_formed)
        if one.correct and one.well_formed:
            span = among.get(one.length, 0.0) if among else max(lengths, default=0) - min(lengths, default=0)
            value += reward.correct + (slope * (one.length - center) / span if span else 0.0)
        found.append(value)
    return found


def _ranges(lengths: Sequence[int], shares: Sequence[float], count: int) -> dict[int, float]:
    """For each length, the mean difference between the longest and the shortest of so many answers of which it is one."""
    chance: dict[int, float] = defaultdict(float)
    for length, share in zip(lengths, shares):
        chance[length] += share
    ordered = sorted(chance)
    found = dict.fromkeys(ordered, 0.0)
    below = 0.0
    for low, high in pairwise(ordered):
        below = min(1.0, below + chance[low])
        for length in ordered:
            # The others do not all lie on its own side of the gap between two lengths.
            alone = below if length <= low else 1 - below
            found[length] += (high - low) * (1 - alone ** (count - 1))
    return found


def find_function(name: str) -> Callable[..., Sequence[float]]:
    """The function that MODULE:FUNCTION names."""
    module, _, attribute = name.partition(":")
    remedy = "name a function of a module that Python can import; a file in this folder is found with PYTHONPATH=."
    try:
        found: Any = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise TacitError(f"there is no reward function {name} ({error}); {remedy}") from error
    if callable(found):
        return found  # type: ignore[return-value]
    raise TacitError(f"{name} is a {type(found).__name__} and no reward function; {remedy}")


def call_function(name: str, prompts: list[str], completions: list[str], columns: Columns) -> list[float]:
    """The rewards of a user's function, checked: one number for each completion. `columns` hold the rows' ids as `id`."""
    function = find_function(name)
    try:
        found = list(function(prompts=prompts, completions=completions, **columns))
    except Exception as error:
        row = next((i for i in range(len(prompts)) if _raises(function, prompts, completions, columns, i)), None)
        where = "" if row is None else f" at {_told(row, completions, columns)}"
        raise DataError(
            f"reward function {name} raised {type(error).__name__}{where}: {error}. Let it return a number for every "
            "completion, 0 where it has no opinion"
        ) from error
    if len(found) != len(completions):
        raise DataError(
            f"reward function {name} returned {len(found)} numbers for {len(completions)} completions; let it return one "
            "for each, in their order"
        )
    for row, value in enumerate(found):
        if not hasattr(value, "__float__") or not math.isfinite(float(value)):
            raise DataError(
                f"reward function {name} returned {value!r} for {_told(row, completions, columns)}; let it return a finite "
                "number, 0 where it has no opinion"
            )
    return [float(value) for value in found]


def _raises(function: Callable, prompts: list[str], completions: list[str], columns: Columns, i: int) -> bool:
    """Whether the function raises for this row alone."""
    alone = {name: values[i : i + 1] for name, values in columns.items()}
    try:
        list(function(prompts=prompts[i : i + 1], completions=completions[i : i + 1], **alone))
    except Exception:
        return True
    return False


def _told(row: int, completions: list[str], columns: Columns) -> str:
    return f"row {columns['id'][row]}, completion {completions[row]!r}"
