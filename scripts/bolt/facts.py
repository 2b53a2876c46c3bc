"""What the thoughts that were taken say of the map of `walks`, round by round: how many are the true ones, and of how many of its
facts (this label leads from this state to that one) most thoughts that pass through are wrong.

    python scripts/bolt/facts.py runs/repro/bolt-walks/cpu/candidates_4-1 …
"""

import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from tacit.recipe import load

Fact = tuple[str, str]
"""A state, and the label that leads on from it."""


def passed(question: str, steps: Sequence[str]) -> Iterator[tuple[Fact, str]]:
    """Every fact that a thought passes through, and where it says that it leads."""
    state, words = question.split()[0], " ".join(steps).split()
    for label, reached in zip(words[::2], words[1::2]):
        yield (state, label), reached
        state = reached


def judge(place: Path) -> tuple[float, int, int]:
    """Of a round: the share of true thoughts, the facts that are lost, all facts."""
    task = load(place.parent / "recipe.yaml", {"task.part": "gold"}).recipe.resolved_task()
    gold = {example.id: example for example in task.examples("train")}
    facts = {fact: reached for one in gold.values() for fact, reached in passed(one.question, one.steps)}
    said, true = defaultdict(Counter), 0
    rows = [json.loads(line) for line in (place / "thoughts.jsonl").read_text(encoding="utf-8").splitlines()]
    for row in rows:
        true += " ".join(row["steps"]) == " ".join(gold[row["id"]].steps)
        for fact, reached in passed(row["question"], row["steps"]):
            said[fact][reached] += 1
    lost = sum(said[fact].most_common(1)[0][0] != reached for fact, reached in facts.items() if said[fact])
    return true / len(rows), lost, len(facts)


if __name__ == "__main__":
    for folder in map(Path, sys.argv[1:]):
        for place in sorted(folder.glob("round-*")):
            share, lost, known = judge(place)
            print(f"{place}: {share:.3f} true thoughts, {lost} of {known} facts lost")
