"""What an answer is worth: right or wrong, in the asked form or not, and how long its thought was beside those of the other
right answers to the same question.

Whoever wants other rewards names functions of their own, with the signature that TRL has for them:
`def reward(prompts, completions, **columns) -> list[float]`.
"""

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any, NamedTuple

from pydantic import Field

from tacit.errors import DataError, TacitError
from tacit.settings import Settings

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
ROUND = 1e-9
Function = Callable[..., Sequence[float]]


class Reward(Settings):
    """What an answer earns. The lengths compared are those of the right answers to one question: an answer gets the distance of
    its length from their mean, divided by the difference between the longest and the shortest."""

    correct: Weight = 1.0
    """For a right answer, as the task grades it."""
    bad_format: Weight = 1.0
    """Taken off where the words before the answer do not stand there exactly once, or where something is written before them that
    should have been thought."""
    shorter: Weight = 1e-4
    """For a thought shorter than the others, where enough answers to the question are right."""
    longer: Weight = 0.1
    """For a thought longer than the others, where too few are."""
    required: Annotated[float, Field(gt=0)] = 1.0
    """How many answers to a question are enough: a share of them up to 1, above it a number."""
    functions: dict[str, float] = Field(default_factory=dict)
    """Further rewards, MODULE:FUNCTION and the weight of each. A function takes prompts, completions and the columns of the
    rows as keywords, and returns a number for each completion."""


class Judged(NamedTuple):
    """What the reward of an answer depends on."""

    correct: bool
    well_formed: bool
    length: int


def group_rewards(answers: Sequence[Judged], shares: Sequence[float], size: int, reward: Reward) -> list[float]:
    """The rewards of all answers to one question. `shares` say how large a part of the group each answer is, together 1;
    `size` is how many answers the group stands for."""
    right = [(share, one.length) for share, one in zip(shares, answers) if one.correct and one.well_formed and share > 0]
    mass = math.fsum(share for share, _ in right)
    center = math.fsum(share * length for share, length in right) / mass if mass else 0.0
    spread = max((length for _, length in right), default=0) - min((length for _, length in right), default=0)
    needed = reward.required * size if reward.required <= 1 else reward.required
    # With shares that come from probabilities: as many as a group of this size most likely has.
    slope = -reward.shorter if round(mass * size + ROUND) >= needed - ROUND else reward.longer
    found = []
    for one in answers:
        value = -reward.bad_format * (not one.well_formed)
        if one.correct and one.well_formed:
            value += reward.correct + (slope * (one.length - center) / spread if spread else 0.0)
        found.append(value)
    return found


def advantages(rewards: Sequence[float], shares: Sequence[float], sampled: bool, epsilon: float, scale: bool) -> list[float]:
    """How much better each answer is than the mean of its group, in units of the group's standard deviation plus epsilon.
    `sampled`: the answers were drawn, so their deviation is estimated with one degree of freedom less."""
    center = math.fsum(share * r for share, r in zip(shares, rewards))
    if not scale:
        return [r - center for r in rewards]
    return [(r - center) / (deviation(rewards, shares, sampled) + epsilon) for r in rewards]


def deviation(rewards: Sequence[float], shares: Sequence[float], sampled: bool) -> float:
    """The standard deviation of a group's rewards."""
    center = math.fsum(share * r for share, r in zip(shares, rewards))
    variance = math.fsum(share * (r - center) ** 2 for share, r in zip(shares, rewards))
    return math.sqrt(max(variance, 0.0) * (len(rewards) / (len(rewards) - 1) if sampled else 1.0))


def find_function(name: str) -> Function:
    """The function that MODULE:FUNCTION names."""
    module, colon, attribute = name.partition(":")
    remedy = f"method.reward.functions: {name}: write MODULE:FUNCTION, of a module that Python can import"
    if not (module and colon and attribute):
        raise TacitError(remedy)
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise TacitError(f"{remedy} ({error}); a file beside you is found with PYTHONPATH=.") from error
    if not callable(found):
        raise TacitError(f"{remedy}; {attribute} is a {type(found).__name__} and no function")
    return found


def call_function(name: str, prompts: list[str], completions: list[str], columns: dict[str, list[Any]]) -> list[float]:
    """The rewards of a user's function, checked: one number for each completion. `columns` hold the rows' ids as `id`."""
    function = find_function(name)
    try:
        found = list(function(prompts=prompts, completions=completions, **columns))
    except Exception as error:
        row = next((i for i in range(len(prompts)) if _raises(function, prompts, completions, columns, i)), None)
        where = "" if row is None else f" at {_told(row, completions, columns)}"
        raise DataError(
            f"reward function {name} raised {type(error).__name__}{where}: {error}. Let it return a number for every completion"
        ) from error
    if len(found) != len(completions):
        raise DataError(
            f"reward function {name} returned {len(found)} numbers for {len(completions)} completions; it must return one for "
            "each, in their order"
        )
    for row, value in enumerate(found):
        if isinstance(value, bool) or not hasattr(value, "__float__") or not math.isfinite(float(value)):
            raise DataError(
                f"reward function {name} returned {value!r} for {_told(row, completions, columns)}; it must return a finite "
                "number, 0 where it has no opinion"
            )
    return [float(value) for value in found]


def _raises(function: Function, prompts: list[str], completions: list[str], columns: dict[str, list[Any]], i: int) -> bool:
    try:
        function(prompts=prompts[i : i + 1], completions=completions[i : i + 1], **{k: v[i : i + 1] for k, v in columns.items()})
    except Exception:
        return True
    return False


def _told(row: int, completions: list[str], columns: dict[str, list[Any]]) -> str:
    return f"row {columns['id'][row]}, completion {completions[row]!r}"
