"""How an answer is found in what a model wrote, and when two answers are the same.

An extractor has a name and a version, `number@1`; results carry it, and what a version does never changes: a better
rule is `number@2`. An extractor gives the answer as a plain string, and extracting from that string gives it again.
"""

import re
from collections.abc import Callable
from fractions import Fraction

from tacit.errors import TacitError
from tacit.registry import nearest

# What published systems and this one write around silent steps.
MARKERS = ("<think>", "</think>", "<latent>", "<|start-latent|>", "<|latent|>", "<|end-latent|>")

# 1,234.5  -$7  $-7  .5  1/2  2 1/2  3e-4
NUMBER = re.compile(
    r"""(?P<sign> (?<![\w)\]%])-\$?\s? | \$-?\s? )?    # after a word or a bracket a minus subtracts
        (?P<size> [0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?:\.[0-9]+)? | [0-9]+(?:\.[0-9]+)? | \.[0-9]+ )
        (?P<power> e[-+]?[0-9]{1,2}(?![0-9]) )?          # longer exponents would be numbers that fill the memory
        (?P<fraction> (?:\s[0-9]{1,9})?/[0-9]{1,9}(?![0-9/]) )?""",
    re.VERBOSE | re.IGNORECASE,
)
CHOICE = re.compile(r"\b(?i:true|false|yes|no)\b|\b[A-H]\b(?=[).:,]|\s*$)")
ANSWER_IS = re.compile(r"answer\s*(?:is\s*[:=]?|[:=])", re.IGNORECASE)
TOLERANCE = Fraction(1, 1_000_000)


def extract(name: str, text: str) -> str | None:
    """The answer in the text by the named extractor, or None where there is none."""
    return _extractor(name)[0](text)


def equal(name: str, a: str, b: str) -> bool:
    """Whether two extracted answers are the same answer."""
    return a == b or _extractor(name)[1](a, b)


def cot_match(steps: tuple[str, ...] | list[str], text: str, question: str = "") -> bool:
    """Whether the text up to its first `#` is exactly these steps.

    A leading question and the markers of silent steps are left out, and so are blanks and line ends, in which templates
    differ.
    """
    text = text.removeprefix(question)
    for marker in MARKERS:
        text = text.replace(marker, "")
    return "".join(text.split("#")[0].split()) == "".join("".join(steps).split())


def _after_mark(text: str) -> tuple[str, bool]:
    """What follows the last `#`, else the last "answer is", else everything; and whether there was such a mark."""
    if "#" in text:
        return text.rsplit("#", 1)[1], True
    marks = list(ANSWER_IS.finditer(text))
    return (text[marks[-1].end() :], True) if marks else (text, False)


def _number(text: str) -> str | None:
    """The first number after a mark; without a mark, the last number of the text."""
    part, marked = _after_mark(text.replace("\u2212", "-"))
    found = list(NUMBER.finditer(part))
    if not found:
        return None
    match = found[0] if marked else found[-1]
    size = match["size"].replace(",", "")
    sign = "-" if "-" in (match["sign"] or "") else ""
    return sign + ("0" if size[0] == "." else "") + size + (match["power"] or "").lower() + (match["fraction"] or "")


def _value(number: str) -> Fraction:
    """The exact value of an extracted number, mixed numbers included."""
    negative, number = number.startswith("-"), number.lstrip("-")
    whole, _, fraction = number.rpartition(" ")
    value = Fraction(whole or 0) + _quotient(fraction)
    return -value if negative else value


def _quotient(text: str) -> Fraction:
    above, _, below = text.partition("/")
    return Fraction(above) / Fraction(below or 1)


def _same_number(a: str, b: str) -> bool:
    try:
        return abs(_value(a) - _value(b)) <= TOLERANCE
    except (ValueError, ZeroDivisionError):  # 1/0, or more digits than Python turns into a number
        return False


def _hash(text: str) -> str | None:
    """Coconut's rule: what follows the last `#`, without commas."""
    return text.rsplit("#", 1)[-1].replace(",", "").strip() or None


def _exact(text: str) -> str | None:
    return " ".join(text.split()) or None


def _last_line(text: str) -> str | None:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else None


def _choice(text: str) -> str | None:
    """The first True, False, Yes, No or letter after a mark; without a mark, the last of the text."""
    part, marked = _after_mark(text)
    found = [match.group().capitalize() for match in CHOICE.finditer(part)]
    return (found[0] if marked else found[-1]) if found else None


def _boxed(text: str) -> str | None:
    r"""The content of the last \boxed{…}, braces inside it included; a text without one is taken whole."""
    start = text.rfind("\\boxed{")
    if start < 0:
        return _exact(text)
    begin = start + len("\\boxed{")
    depth = 1
    for index in range(begin, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return _exact(text[begin:index])
    return None


def _same_text(a: str, b: str) -> bool:
    return a == b


def _same_boxed(a: str, b: str) -> bool:
    return bool(NUMBER.fullmatch(a) and NUMBER.fullmatch(b)) and _same_number(_number(a) or "", _number(b) or "")


EXTRACTORS: dict[str, tuple[Callable[[str], str | None], Callable[[str, str], bool]]] = {
    "number@1": (_number, _same_number),
    "exact@1": (_exact, _same_text),
    "choice@1": (_choice, _same_text),
    "hash@1": (_hash, _same_text),
    "last_line@1": (_last_line, _same_text),
    "boxed@1": (_boxed, _same_boxed),
}


def _extractor(name: str) -> tuple[Callable[[str], str | None], Callable[[str, str], bool]]:
    if name not in EXTRACTORS:
        known = ", ".join(EXTRACTORS)
        raise TacitError(f"there is no answer extractor called {name!r}{nearest(name, EXTRACTORS)}. Known: {known}")
    return EXTRACTORS[name]
