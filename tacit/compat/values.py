"""Values as they stand on published command lines: each reader takes a word, or says what was expected."""

import math
from collections.abc import Callable

from tacit.registry import nearest


def whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("a whole number is expected") from None


def number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        raise ValueError("a number is expected")
    return value


def count(text: str) -> int:
    if (value := whole(text)) < 1:
        raise ValueError("a whole number above 0 is expected")
    return value


def natural(text: str) -> int:
    if (value := whole(text)) < 0:
        raise ValueError("a whole number from 0 on is expected")
    return value


def positive(text: str) -> float:
    if (value := number(text)) <= 0:
        raise ValueError("a number above 0 is expected")
    return value


def one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"one of {', '.join(names)} is expected{nearest(text, names)}")
        return text

    return read
