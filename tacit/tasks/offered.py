"""Questions with answers on offer: from a row, however it was published, to an `Example`.

| a row has | as in |
|---|---|
| question, choices (a list), answer: a letter, a number from 0 on, or the words of a choice | our own files, MMLU |
| question, choices {label, text} or question {stem, choices}, answerKey | CommonsenseQA, RiddleSense |
| goal, sol1, sol2, label 0 or 1 | PIQA |
| context, question, answerA, answerB, answerC, label 1 to 3 | Social IQa |
| question, answer true or false | StrategyQA |

The question of the example shows its options, each with a letter, and its answer is a letter; where yes and no are all there
is, nothing is shown. What was offered stays in `extra`.
"""

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from tacit.errors import DataError
from tacit.example import Example, check_text, fault
from tacit.tasks.sources import Raw, file_rows, text_lines

LETTERS = "ABCDEFGH"
OFFERED, BARE = "offered", "bare"
"""Keys of `extra`: the words of the choices in their order, and the question without them."""
YES_NO = ("yes", "no")
TOLD = 5
"""So many faults of a file are told; the rest are counted."""
SOLUTIONS, ANSWERS = ("sol1", "sol2"), ("answerA", "answerB", "answerC")


class Offer(NamedTuple):
    """A question as it was published."""

    question: str
    choices: Sequence[str]
    right: int
    shown: bool = True
    """Whether the question shows its choices."""
    steps: tuple[str, ...] = ()


def read_offers(rows: Iterable[Raw], prefix: str) -> list[Example]:
    """The examples of all rows; their faults, if they have any, come together in one message."""
    found, faults = [], []
    for number, (place, row) in enumerate(rows, 1):
        try:
            found.append(_example(row, place, f"{prefix}{number}"))
        except DataError as error:
            faults.append(str(error))
    if faults:
        more = f"\nand {len(faults) - TOLD} more faults like these" if len(faults) > TOLD else ""
        raise DataError("\n".join(faults[:TOLD]) + more)
    return found


def offer_file(path: Path) -> Iterator[Raw]:
    """The rows of a file. Right answers that were published in a file of their own, X-labels.lst beside X.jsonl, join them;
    a .csv may have the columns question, A, B, …, answer, or these without a header."""
    if path.suffix == ".csv":
        yield from _csv_rows(path)
        return
    labels = path.with_name(f"{path.stem}-labels.lst")
    if not labels.is_file():
        yield from file_rows(path)
        return
    rows, told = list(file_rows(path)), [raw.row.strip() for raw in text_lines(labels)]
    if len(rows) != len(told):
        raise DataError(
            f"{labels}: has {len(told)} labels for the {len(rows)} rows of {path}; they must be of one split"
        )
    for (place, row), label in zip(rows, told):
        yield Raw(place, {**row, "label": label} if isinstance(row, Mapping) else row)


def _csv_rows(path: Path) -> Iterator[Raw]:
    lines = csv.reader(raw.row + "\n" for raw in text_lines(path))
    first = next(lines)
    names = [cell.strip() for cell in first]
    header = "question" in names
    if not header:
        names = ["question", *LETTERS[: max(0, len(first) - 2)], "answer"]
    letters = [name for name in names if len(name) == 1 and name in LETTERS]
    for number, cells in enumerate(lines if header else chain([first], lines), 1):
        place = f"{path}: row {number}"
        if len(cells) != len(names):
            yield Raw(place, cells)
            continue
        row: dict[str, Any] = {name: cell for name, cell in zip(names, cells) if name not in letters}
        yield Raw(place, row | {"choices": [cells[names.index(letter)] for letter in letters]})


# --- one row ---------------------------------------------------------------------------------------------------------


def _example(row: Any, place: str, id: str) -> Example:
    if isinstance(row, list):
        raise fault(
            place, "row", f"{len(row)} columns, which is not as many as in the first; quote cells with commas in them"
        )
    if not isinstance(row, Mapping):
        raise fault(place, "row", f"expected a JSON object, got {type(row).__name__}")
    offer = _offer(row, place)
    letters = LETTERS[: len(offer.choices)]
    listed = "".join(f"\n({letter}) {words}" for letter, words in zip(letters, offer.choices)) if offer.shown else ""
    extra = {name: row[name] for name in ("subject", "domain") if isinstance(row.get(name), str)}
    return Example(
        str(row.get("id") or row.get("qid") or id),
        offer.question + listed,
        offer.steps,
        letters[offer.right] if offer.shown else offer.choices[offer.right],
        extra=extra | {OFFERED: list(offer.choices), BARE: offer.question},
    )


def _offer(row: Mapping[str, Any], place: str) -> Offer:
    if SOLUTIONS[0] in row:
        question = check_text(row.get("goal"), "goal", place)
        return Offer(question, _texts([row.get(n) for n in SOLUTIONS], SOLUTIONS, place), _label(row, place, 0, 2))
    if ANSWERS[0] in row:
        parts = [check_text(row.get(name), name, place).strip() for name in ("context", "question")]
        return Offer(" ".join(parts), _texts([row.get(n) for n in ANSWERS], ANSWERS, place), _label(row, place, 1, 3))
    if _is_yes_no(row):
        facts = row.get("facts") or ()
        steps = (facts,) if isinstance(facts, str) else tuple(check_text(fact, "facts", place) for fact in facts)
        return Offer(check_text(row.get("question"), "question", place), YES_NO, int(not row["answer"]), False, steps)
    stem = row.get("question")
    inside = stem if isinstance(stem, Mapping) else row
    question = check_text(stem.get("stem") if isinstance(stem, Mapping) else stem, "question", place)
    if "choices" not in inside:
        raise fault(
            place, "choices", f"missing; the row has {', '.join(map(str, row))}; write the answers on offer as a list"
        )
    labels, choices = _labelled(inside["choices"], place)
    field = "answerKey" if "answerKey" in row else "answer"
    return Offer(question, choices, _right(row.get(field), field, labels, choices, place))


def _is_yes_no(row: Mapping[str, Any]) -> bool:
    return isinstance(row.get("answer"), bool) and "choices" not in row


def _labelled(given: Any, place: str) -> tuple[Sequence[str], Sequence[str]]:
    """The labels and the words of the choices."""
    if isinstance(given, Mapping):
        labels, texts = given.get("label"), given.get("text")
    elif isinstance(given, Sequence) and given and all(isinstance(one, Mapping) for one in given):
        labels, texts = [one.get("label") for one in given], [one.get("text") for one in given]
    else:
        labels, texts = None, given
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        raise fault(place, "choices", f"expected a list of answers, got {type(texts).__name__}")
    if not 2 <= len(texts) <= len(LETTERS):
        raise fault(
            place, "choices", f"{len(texts)} of them, and a question needs 2 to {len(LETTERS)} answers on offer"
        )
    names = LETTERS[: len(texts)] if labels is None else [str(label).strip() for label in labels]
    if len(names) != len(texts):
        raise fault(place, "choices", f"{len(names)} labels for {len(texts)} texts; give every choice one label")
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise fault(place, "choices", f"label {twice[0]!r} is there twice; give every choice a label of its own")
    return names, _texts(texts, [f"choices[{n}]" for n in range(len(texts))], place)


def _texts(given: Sequence[Any], names: Sequence[str], place: str) -> list[str]:
    texts = [check_text(text, name, place).strip() for text, name in zip(given, names)]
    twice = next((n for n, text in enumerate(texts) if text in texts[:n]), None)
    if twice is not None:
        raise fault(place, names[twice], f"{texts[twice]!r} is offered twice; offer different answers")
    return texts


def _right(given: Any, field: str, labels: Sequence[str], choices: Sequence[str], place: str) -> int:
    """Which choice the answer means: by its label, by its words, or, as a number, by its place from 0 on."""
    known = f"write a label ({', '.join(labels)}), the words of a choice, or its number from 0 to {len(choices) - 1}"
    if isinstance(given, int) and not isinstance(given, bool):
        if not 0 <= given < len(choices):
            raise fault(place, field, f"{given} is no choice; {known}")
        return given
    if not isinstance(given, str) or not given.strip():
        raise fault(place, field, f"missing, so nothing can be graded (published test splits are often so); {known}")
    meant = {list(names).index(given.strip()) for names in (labels, choices) if given.strip() in names}
    if not meant:
        raise fault(place, field, f"{given!r} is no choice; {known}")
    if len(meant) > 1:
        raise fault(
            place, field, f"{given!r} is the label of one choice and the words of another; write a number from 0 on"
        )
    return meant.pop()


def _label(row: Mapping[str, Any], place: str, first: int, count: int) -> int:
    """A published number, which some files hold as words."""
    known = [str(n) for n in range(first, first + count)]
    given = str(row.get("label", "")).strip()
    if given not in known:
        raise fault(
            place,
            "label",
            f"{given or 'missing'} is no choice; write one of {', '.join(known)}, or put X-labels.lst beside X.jsonl",
        )
    return known.index(given)
