"""The published preprocessing: lines `question||steps #### answer` become `data/gsm_{train,valid,test}.json`, each a list of
questions with steps and answer."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tacit.errors import TacitError
from tacit.example import Example, to_row
from tacit.tasks.base import SPLITS, Split
from tacit.tasks.formats import Reading, read_file
from tacit.tasks.gsm8k import Gsm8k
from tacit.whole import whole

FILES = "ICOT_FILES"
"""Environment variable: a folder with train.txt, valid.txt and test.txt that stand in for the download."""


def main(words: Sequence[str]) -> int:
    """Write the splits that are named, or all three; the exit code."""
    wanted = list(words) or list(SPLITS)
    try:
        for split in wanted:
            if split not in SPLITS:
                raise TacitError(f"there is no split {split!r}; splits: {', '.join(SPLITS)}")
            file = Path("data") / f"gsm_{split}.json"
            print(f"{file}: {write(file, rows(split))} rows", flush=True)
    except TacitError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def rows(split: Split) -> Iterable[Example]:
    """The examples of a split: from local files if the variable says so, or else from the hub."""
    folder = os.environ.get(FILES)
    if not folder:
        return Gsm8k(variant="gsm8k-aug").examples(split)
    file = Path(folder).expanduser() / f"{split}.txt"
    if not file.is_file():
        raise TacitError(f"{FILES} is {folder}, and there is no {file}; unset it to read the rows from the hub")
    return read_file(file, Reading(format="icot"))


def write(file: Path, examples: Iterable[Example]) -> int:
    """A JSON list with a row a line, whole or not at all; how many rows there are."""
    file.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with whole(file) as out:
        for count, example in enumerate(examples, 1):
            row = {name: value for name, value in to_row(example).items() if name != "id"}
            out.write(("[\n" if count == 1 else ",\n") + json.dumps(row, ensure_ascii=False))
        out.write("\n]\n" if count else "[]\n")
    return count
