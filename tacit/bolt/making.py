"""From a recipe to the making of its data: the steps that need no model of ours."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from tacit.bolt.command_lines import Line, line
from tacit.bolt.preparation import Preparation
from tacit.bolt.rounds import Rounds
from tacit.bolt.synthesize import check_kind, merge, plan, work
from tacit.errors import TacitError
from tacit.recipe import load
from tacit.registry import nearest

PARTS = ("plan", "work", "merge")


def rounds_of(words: Sequence[str]) -> Rounds:
    """The section bolt of a recipe with its changes."""
    recipe = load(words[0], words[1:]).recipe
    if recipe.bolt is None:
        raise TacitError(f"{words[0]} has no section bolt; take bolt/finemath, or add one")
    return recipe.bolt


def corpus_of(words: Sequence[str]) -> Preparation:
    """How the documents of a recipe are prepared."""
    settings = rounds_of(words).corpus
    if settings is None:
        raise TacitError(
            f"{words[0]} does not say where its documents come from; set bolt.corpus.source and bolt.corpus.folder"
        )
    return settings


def synthesis_lines(kind: str, words: Sequence[str], workers: int) -> list[Line]:
    """Plan, work, merge."""
    check_kind(kind)
    told = ("bolt", "synthesize", kind, *words, "--part")
    return [line(*told, "plan"), line(*told, "work", processes=workers), line(*told, "merge")]


def synthesis_part(part: str, kind: str, words: Sequence[str]) -> None:
    """One of the three."""
    if part not in PARTS:
        raise TacitError(f"there is no part {part!r}{nearest(part, PARTS)}. Known: {', '.join(PARTS)}")
    check_kind(kind)
    folder, rounds = Path(corpus_of(words).folder), rounds_of(words)
    if rounds.synthesis is None:
        raise TacitError(f"{words[0]} does not say who writes; set bolt.synthesis.backend")
    if part == "plan":
        if not (folder / "warm.jsonl").is_file():
            raise TacitError(
                f"there is no file {folder / 'warm.jsonl'} with documents to think about; make it with tacit bolt prepare "
                f"{shlex.join(words)}"
            )
        plan(kind, folder / "warm.jsonl", folder, rounds.synthesis, rounds.chunking)
    elif part == "work":
        print(f"{work(kind, folder, rounds.synthesis)} shards made here")
    else:
        print(merge(kind, folder, rounds.synthesis))
