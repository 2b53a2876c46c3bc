"""From a row, however it was published, to an `Example`.

| format | a row is |
|---|---|
| `rows` | an object with question, steps, answer (or text): our own schema, Coconut's and ProsQA's files |
| `icot` | a line `question||steps #### answer`, or an object with that line under `text`, or in two under `input`, `output` |
| `gsm8k` | an object whose answer holds the solution, `<<a*b=c>>` marks and `#### answer` in it |
| `text` | a document |
| `choice` | a question with answers on offer, as in `tacit.tasks.offered` |
"""

import re
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from tacit.errors import DataError
from tacit.example import Example, check_text, fault, from_row
from tacit.settings import Settings
from tacit.tasks.offered import offer_file, read_offers
from tacit.tasks.sources import Documents, Raw, file_rows, text_documents

Format = Literal["auto", "rows", "icot", "gsm8k", "text", "choice"]
EQUATION = re.compile(r"<<[^<>]*>>")
DIGITS = re.compile(r"[\d\s+()*]+")


class Reading(Settings):
    """How rows are to be understood."""

    format: Format = "auto"
    """rows, icot, gsm8k, text or choice; auto looks at the first row and takes none for a choice."""
    columns: dict[str, str] = Field(default_factory=dict)
    """Where our fields are called something else: {question: input, answer: target}. Other columns are then dropped."""
    steps: Literal["equations", "sentences"] = "equations"
    """For format gsm8k: the steps are its <<a*b=c>> marks, or the sentences of the solution without the marks."""
    documents: Documents = "file"
    """For plain text: a document is the whole file, a paragraph (between empty lines), or a line."""
    even: bool = False
    """Every row must have as many words in question, steps and answer as the first: other rows are refused."""


def read_file(path: Path, reading: Reading, prefix: str = "") -> Iterator[Example]:
    """The examples of a local file."""
    if reading.format == "choice":
        return read_rows(offer_file(path), reading, prefix, str(path))
    rows = file_rows(path)
    if path.suffix not in (".json", ".jsonl", ".ndjson") and reading.format in ("auto", "text"):
        first = next(rows, None)
        if first and isinstance(first.row, str) and "text" in (reading.format, detect(first.row)):
            return read_rows(text_documents(path, reading.documents), Reading(format="text"), prefix, str(path))
        rows = chain([first] if first else [], rows)
    return read_rows(rows, reading, prefix, str(path))


def read_rows(rows: Iterator[Raw], reading: Reading, prefix: str = "", name: str = "the data") -> Iterator[Example]:
    """The examples of raw rows; rows without an id are numbered behind `prefix`."""
    format, number, first = reading.format, 0, None
    if format == "choice":
        named = (raw._replace(row=_renamed(raw.row, reading.columns, raw.place)) for raw in rows)
        yield from read_offers(named if reading.columns else rows, prefix)
        return
    for number, (place, row) in enumerate(rows, 1):
        if reading.columns:
            row = _renamed(row, reading.columns, place)
        if format == "auto":
            format = detect(row)
        example = _parse(format, row, place, f"{prefix}{number}", reading)
        if reading.even:
            first = first or (place, _lengths(example))
            _check_even(example, place, *first)
        yield example
    if not number:
        raise DataError(f"{name}: has no rows")


def _lengths(example: Example) -> dict[str, int]:
    words = {"question": example.question, "steps": " ".join(example.steps), "answer": example.answer}
    return {field: len(text.split()) for field, text in words.items()}


def _check_even(example: Example, place: str, first: str, wanted: dict[str, int]) -> None:
    for field, count in _lengths(example).items():
        if count != wanted[field]:
            text = " ".join(example.steps) if field == "steps" else getattr(example, field)
            told = f"{count} words where {first} has {wanted[field]}, and all rows are to be alike: {_cut(text)}"
            raise fault(place, field, told)


def _cut(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def detect(row: Any) -> Format:
    """The format by one row. A row that fits nothing is read as our own, whose complaints are the clearest."""
    line = _line(row)
    if isinstance(line, str):
        return "icot" if "||" in line and "####" in line else "rows" if isinstance(row, Mapping) else "text"
    if isinstance(row, Mapping) and "steps" not in row and "####" in str(row.get("answer")):
        return "gsm8k"
    return "rows"


def _parse(format: Format, row: Any, place: str, id: str, reading: Reading) -> Example:
    if format == "icot":
        return parse_icot(check_text(_line(row), "text" if isinstance(row, Mapping) else "line", place), place, id)
    if format == "gsm8k":
        return _parse_gsm8k(row, place, id, reading.steps)
    if format == "text":
        text = row.get("text") if isinstance(row, Mapping) else row
        return Example(id, text=check_text(text, "text", place))
    return from_row(row, place, id)


def _line(row: Any) -> Any:
    """The line of text that a row is, has, or was cut into."""
    if not isinstance(row, Mapping):
        return row
    if "text" not in row and "question" not in row and "####" in str(row.get("output")):
        return f"{row.get('input')}||{row['output']}"
    return row.get("text")


def icot_line(example: Example) -> str:
    """The example as a line; `parse_icot` reads it back."""
    return f"{example.question}||{' '.join(example.steps)} #### {example.answer}"


def parse_icot(line: str, place: str = "line", id: str = "") -> Example:
    """`question||steps #### answer`, for equations, for multiplication and for sentences."""
    question, bar, rest = line.partition("||")
    if not bar or "||" in rest:
        raise fault(
            place,
            "line",
            f"expected question||steps #### answer with one ||, got {line.count('||')} of them in {_cut(line)}",
        )
    if rest.count("####") != 1:
        raise fault(
            place, "line", f"expected one #### before the answer, got {rest.count('####')} of them in {_cut(rest)}"
        )
    cot, answer = rest.split("####")
    question, answer = check_text(question, "question", place), check_text(answer, "answer", place)
    return Example(id, question.strip(), cot_steps(cot.strip()), answer.strip())


def cot_steps(cot: str) -> tuple[str, ...]:
    """The steps of a chain of thought written in one line; none if it is empty."""
    if not cot:
        return ()
    if "<<" in cot and not EQUATION.sub("", cot).strip():
        return tuple(EQUATION.findall(cot))
    if DIGITS.fullmatch(cot):
        # Partial products: one step each, with the running sum that follows it.
        return tuple(part.strip() for part in re.split(r"(?=\+)", cot))
    return tuple(part for part in re.split(r"(?<=[.!?])\s+", cot) if part)


def _parse_gsm8k(row: Any, place: str, id: str, unit: str) -> Example:
    whole = from_row({**row, "steps": []} if isinstance(row, Mapping) else row, place, id)
    if whole.answer.count("####") != 1:
        raise fault(
            place, "answer", f"expected one #### before the final answer, got {whole.answer.count('####')} of them"
        )
    solution, answer = whole.answer.split("####")
    answer = check_text(answer, "answer after ####", place).strip()
    if unit == "equations":
        steps = EQUATION.findall(solution)
    else:
        steps = [line.strip() for line in EQUATION.sub("", solution).splitlines() if line.strip()]
    return Example(whole.id, whole.question, tuple(steps), answer, extra=whole.extra)


def _renamed(row: Any, columns: Mapping[str, str], place: str) -> dict[str, Any]:
    if not isinstance(row, Mapping):
        raise fault(place, "columns", "rows without names have no columns to map; leave columns out")
    renamed = {}
    for ours, theirs in columns.items():
        if theirs not in row:
            raise fault(place, ours, f"columns says {theirs!r}, but the row has {', '.join(map(str, row))}")
        renamed[ours] = _loosened(ours, row[theirs])
    return renamed


def _loosened(field: str, value: Any) -> Any:
    """Other people's columns hold numbers for answers and one string for all steps; ours are strings and a list."""
    if field == "steps" and isinstance(value, str):
        return [line for line in value.splitlines() if line.strip()]
    if field != "steps" and isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return value
