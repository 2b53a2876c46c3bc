"""A claim that is about getting better round by round, judged on outcomes and rebuilt at a size of seconds."""

import json
from dataclasses import replace

import pytest

from tacit.study.claims.bolt_walks import CLAIM
from tacit.study.intervals import Outcome
from tacit.study.page import draw
from tacit.study.repro import reproduce
from tacit.study.rules import Rises

RULE = Rises(("good",), ("a/0", "a/1", "a/2"), "good", "plain", ceilings={"plain": 0.2})


def outcomes(rows, plain=0.1):
    found = [Outcome("plain", seed, plain + 0.001 * seed) for seed in range(len(rows))]
    for seed, row in enumerate(rows):
        found.append(Outcome("good", seed, row[-1]))
        found += [Outcome(f"good: a/{number}", seed, value) for number, value in enumerate(row)]
    return found


def test_every_run_must_rise_every_time():
    rising = [(0.5, 0.6, 0.7), (0.4, 0.6, 0.61), (0.5, 0.7, 0.8)]
    assert RULE.judge(outcomes(rising)).word == "match"
    verdict = RULE.judge(outcomes([*rising[:2], (0.5, 0.7, 0.7)]))
    assert verdict.word == "partly" and "good rises every time in 2 of 3 runs" in verdict.sentence
    assert RULE.judge(outcomes(rising, plain=0.3)).word == "partly"
    assert RULE.judge(outcomes(rising, plain=0.9)).word == "miss"


@pytest.mark.slow
def test_the_claim_from_its_name_to_its_page(tmp_path):
    names = ("candidates_4", "candidates_1", "plain", "shown_and_plain_warm", "plain_cost_of_4")
    few = {name: CLAIM.arms[name] for name in names}
    rule = replace(CLAIM.rule, arms=("candidates_4",), ceilings={"plain": 0.16})
    claim = replace(CLAIM, arms=few, rule=rule)
    file = reproduce(claim, "smoke", runs=tmp_path / "runs", results=tmp_path / "results", say=lambda _: None)
    page = json.loads(file.read_text())
    assert [run["arm"] for run in page["runs"]] == list(few)
    rounds = [run["metrics"] for run in page["runs"] if run["arm"].startswith("candidates")]
    assert all({"accuracy/0", "accuracy/2", "bound_2", "train/seconds"} <= metrics.keys() for metrics in rounds)
    assert "of 0 runs" not in page["sentence"]
    warm = {run["arm"]: run["overrides"].get("bolt.warm_run") for run in page["runs"]}
    assert warm["candidates_1"] == "runs/repro/bolt-walks/smoke/candidates_4-0/warm" and warm["candidates_4"] is None
    assert not (tmp_path / "runs/bolt-walks/smoke/candidates_1-0/warm").exists()
    assert rounds[0]["accuracy/0"] == rounds[1]["accuracy/0"]
    begun = {run["arm"]: run["overrides"].get("model.path") for run in page["runs"]}
    assert begun["shown_and_plain_warm"] == warm["candidates_1"] and begun["plain"] is None
    steps = page["runs"][-1]["overrides"]["train.steps"]
    # Two rounds of eight steps, and 60 documents with four thoughts inferred in each.
    assert steps > 2 * 8 and page["runs"][-1]["metrics"]["train/step"] == steps
    assert reproduce(claim, "smoke", runs=tmp_path / "runs", results=tmp_path / "results", say=lambda _: None) == file


def test_rounds_are_lines_with_the_controls_beside_them(tmp_path):
    runs = [
        {
            "arm": arm,
            "seed": seed,
            "metrics": {"accuracy": row[-1], **({f"accuracy/{n}": v for n, v in enumerate(row)} if row[1:] else {})},
        }
        for arm, rows in {"rising": [(0.5, 0.6, 0.7), (0.4, 0.6, 0.61)], "plain": [(0.1,), (0.12,)]}.items()
        for seed, row in enumerate(rows)
    ]
    page = {"claim": "x", "verdict": "match", "scale": "cpu", "metric": "accuracy", "runs": runs}
    page |= {"shown": ["accuracy/0", "accuracy/1", "accuracy/2"], "over": "round"}
    lines = draw(page, tmp_path / "lines.png").read_bytes()
    assert lines == draw(page, tmp_path / "again.png").read_bytes()
    assert lines != draw(page | {"over": ""}, tmp_path / "bars.png").read_bytes()
    assert (
        lines
        != draw(
            page | {"runs": [*runs[:2], runs[2] | {"metrics": {"accuracy": 0.3}}, runs[3]]}, tmp_path / "c.png"
        ).read_bytes()
    )
    assert lines != draw(page | {"runs": runs[1:]}, tmp_path / "fewer.png").read_bytes()
