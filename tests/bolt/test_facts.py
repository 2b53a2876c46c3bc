"""What thoughts say of the map: all of it right where they are true, and one fact lost where they agree on a wrong one."""

import json
import runpy
from pathlib import Path

import pytest
import yaml

from tacit.recipe import load

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "scripts/bolt/facts.py"))
judge, passed = SCRIPT["judge"], SCRIPT["passed"]


@pytest.fixture
def place(tmp_path):
    recipe = load("bolt/tiny", {"task.train_rows": 300, "task.part": "gold"}).recipe
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    (tmp_path / "round-1").mkdir()
    rows = [
        {"id": one.id, "question": one.question, "steps": one.steps} for one in recipe.resolved_task().examples("train")
    ]
    return tmp_path / "round-1", rows


def write(place, rows):
    (place / "thoughts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_true_thoughts_lose_no_fact(place):
    write(*place)
    share, lost, known = judge(place[0])
    assert (share, lost) == (1.0, 0) and known > 100


def test_twin_a_fact_that_all_get_wrong_is_lost(place):
    """Thoughts that come to it end there, with another state."""
    folder, rows = place
    wrong, true = next(passed(rows[0]["question"], rows[0]["steps"]))
    changed = 0
    for row in rows:
        words = []
        for fact, reached in passed(row["question"], row["steps"]):
            if fact == wrong:
                words += [fact[1], "s0" if true != "s0" else "s1"]
                changed += 1
                break
            words += [fact[1], reached]
        row["steps"] = [" ".join(words)]
    write(folder, rows)
    share, lost, _ = judge(folder)
    assert lost == 1 and share == pytest.approx(1 - changed / len(rows)) and 0 < changed < len(rows)
