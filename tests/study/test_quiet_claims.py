"""The claims of the laboratory: their rules, a claim from its name to its page, a run that begins with another arm's, and what a
trained model thinks."""

import json
import math

import pytest

from tacit.evaluate import evaluate
from tacit.registry import resolve
from tacit.study.claims import CLAIMS
from tacit.study.gaps import Gap, Gaps, Level, Near, Shrink, Some
from tacit.study.intervals import Outcome
from tacit.study.probes.thoughts import probe_thoughts
from tacit.study.repro import reproduce
from tacit.study.runs import Run

QUIET = [name for name in CLAIMS if name.startswith("quiet/")]


def outcomes(**arms: list[float]) -> list[Outcome]:
    return [Outcome(arm, seed, value) for arm, values in arms.items() for seed, value in enumerate(values)]


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"plain": [2.0, 2.1, 2.2], "thinks": [1.8, 1.9, 2.0]}, "match"),
        ({"plain": [2.0, 2.1, 2.2], "thinks": [1.95, 2.05, 2.15]}, "miss"),
        ({"plain": [2.0, 2.6, 1.8], "thinks": [1.8, 1.6, 1.9]}, "miss"),
        ({"plain": [2.0], "thinks": [1.8]}, "miss"),
    ],
    ids=["far", "near", "unsure", "one seed"],
)
def test_a_gap_must_be_large_enough_and_sure(values, word):
    rule = Gaps((Gap("plain", "thinks", least=0.1),))
    assert rule.judge(outcomes(**values)).word == word


def test_gaps_are_paired_by_seed_and_told_with_their_error():
    found = Gap("a", "b", least=0.0).found(outcomes(a=[1.0, 2.0, 3.0], b=[0.9, 1.9, 2.6]))
    assert found.mean == pytest.approx(0.2)
    assert found.high - found.mean == pytest.approx(1.96 * math.sqrt(0.03) / math.sqrt(3))
    both = Gaps((Gap("a", "b", least=0.1), Gap("a", "b", most=0.1))).judge(outcomes(a=[1.0, 2.0], b=[0.8, 1.8]))
    assert both.word == "partly" and "not as expected (at most 0.1)" in both.sentence


@pytest.mark.parametrize(("value", "word"), [(1.877, "match"), (1.885, "partly"), (1.9, "miss")])
def test_a_published_number(value, word):
    assert Near({"plain": 1.8733}, 0.005).judge(outcomes(plain=[value, value])).word == word


def test_published_numbers_of_one_seed_are_judged_by_our_own_deviation():
    rule = Near({"a": 2.0, "b": 3.0})
    assert rule.judge(outcomes(a=[1.9, 2.0, 2.3], b=[2.9, 3.0, 3.2])).word == "match"
    assert rule.judge(outcomes(a=[1.9, 2.0, 2.3], b=[3.9, 4.0, 4.2])).word == "miss"


@pytest.mark.parametrize("name", QUIET)
def test_rules_are_about_arms(name):
    """At every scale, about arms that it trains and numbers that they tell."""
    claim = resolve(CLAIMS, name, "claim")
    assert {"smoke", "gpu"} <= set(claim.scales)
    for scale in claim.scales:
        rule = claim.rule_at(scale)
        gaps = [
            end for gap in getattr(rule, "gaps", ()) for end in (getattr(gap, "wide", gap), getattr(gap, "narrow", gap))
        ]
        named = [end for gap in gaps for end in (gap.worse, gap.better)]
        named += [arm for level in getattr(rule, "levels", ()) for arm in getattr(level, "arms", None) or (level.arm,)]
        for name in named:
            arm, _, number = name.partition(": ")
            assert arm in claim.arms_at(scale) and (not number or number in (*claim.listed, *claim.traced))


def test_a_gap_that_shrinks():
    """Seed by seed: what differs between seeds alike does not count, and gaps that are alike do not shrink."""
    small = {"plain 2": [2.5, 2.0, 2.4], "thinks 2": [2.2, 1.7, 2.1]}
    large = {"plain 8": [1.9, 1.5, 1.8], "thinks 8": [1.8, 1.4, 1.65]}
    wide, narrow = Gap("plain 2", "thinks 2"), Gap("plain 8", "thinks 8")
    found = outcomes(**small, **large)
    assert Gaps((Shrink(wide, narrow),)).judge(found).word == "match"
    assert Shrink(wide, narrow).found(found).mean == pytest.approx(0.3 - 0.35 / 3)
    assert Gaps((Shrink(narrow, wide),)).judge(found).word == "miss"
    assert Gaps((Shrink(wide, wide),)).judge(found).word == "miss"
    assert Gaps((Shrink(wide, narrow, least=0.2),)).judge(found).word == "miss"


@pytest.mark.parametrize(("values", "word"), [([0.0, 0.5], "match"), ([0.3, 0.95], "partly"), ([], "partly")])
def test_some_run_lies_between_two_bounds(values, word):
    rule = Gaps((Gap("plain", "thinks", least=0.1),), (Some(("a", "b"), least=0.4, most=0.9),))
    found = outcomes(plain=[2.0, 2.1], thinks=[1.5, 1.6], b=values)
    verdict = rule.judge(found)
    assert verdict.word == word and f"a, b: {int(word == 'match')} of {len(values)} runs" in verdict.sentence


@pytest.mark.parametrize(
    ("entropies", "word"),
    [([0.01, 0.04], "match"), ([0.01, 0.06], "partly"), ([], "partly")],
    ids=["all", "one", "none"],
)
def test_a_level_is_that_of_every_run(entropies, word):
    rule = Gaps((Gap("plain", "thinks", least=0.1),), (Level("thinks: entropy at 50", most=0.05),))
    found = outcomes(plain=[2.0, 2.1], thinks=[1.5, 1.6]) + outcomes(**{"thinks: entropy at 50": entropies})
    verdict = rule.judge(found)
    assert verdict.word == word
    assert ("not as expected (at most 0.05)" in verdict.sentence) == (word != "match")


def test_numbers_of_training_at_a_step(tmp_path):
    """Under their names, where they were logged, and not those of evaluations at the same step."""
    lines = [{"step": 25, "loss": 2.0, "entropy": 4.0}, {"step": 50, "loss": 2.0, "entropy": 0.1}]
    lines += [{"step": 50, "eval/nll": 1.0}, {"step": 75, "loss": 2.0}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    wanted = {f"at {step}": ("entropy", step) for step in (25, 50, 75, 100)}
    assert Run(tmp_path).traced(wanted) == {"at 25": 4.0, "at 50": 0.1}


def test_a_run_begins_with_that_of_another_arm(tmp_path):
    """From its name to its page, on generated text; a second call trains nothing."""
    file = reproduce("quiet/34", "smoke", runs=tmp_path / "runs", results=tmp_path / "results", say=lambda _: None)
    page = json.loads(file.read_text())
    assert file == tmp_path / "results" / "quiet" / "34.json" and page["verdict"] in ("match", "partly", "miss")
    donors = {
        run["seed"]: run["overrides"].get("model.parts.base") for run in page["runs"] if run["arm"] == "pretrained 2"
    }
    assert all(place.endswith(f"empty 2-{seed}") for seed, place in donors.items()) and len(donors) == 1
    empty = next(run for run in page["runs"] if run["arm"] == "empty 2")
    assert empty["overrides"]["method.length"] == empty["metrics"]["thought_tokens"] == empty["metrics"]["used"] == 0
    assert empty["metrics"]["swapped_nll"] == empty["metrics"]["nll"]
    again = reproduce("quiet/34", "smoke", runs=tmp_path / "runs", results=tmp_path / "results", say=lambda _: None)
    assert json.loads(again.read_text()) == page
    folder = tmp_path / "runs" / "quiet/34" / "smoke" / "joint 2-0"
    place, found = probe_thoughts(folder, limit=3)
    assert place.exists() and len(found["texts"]) == 3 and found["starts"] == Run(folder).starts()
    assert evaluate(folder).metrics()["nll"] == pytest.approx(Run(folder).result()["nll"])
    gains = [one["gain"] for text in found["texts"] for one in text["places"]]
    last = Run(folder).result()
    assert all(one["token"] for one in found["texts"][0]["places"]) and any(gains)
    assert sum(entry["n"] for entry in found["tokens"].values()) == len(gains)
    assert last["used"] == pytest.approx(last["swapped_nll"] - last["nll"])


def test_the_step_at_which_thinking_starts(tmp_path):
    """From there on, not only once."""
    gaps = {100: 0.0, 200: 0.05, 300: 0.0, 400: 0.02, 500: 0.1}
    lines = [{"step": step, "eval/nll": 2.0, "eval/null_nll": 2.0 + gap} for step, gap in gaps.items()]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert Run(tmp_path).starts() == 400 and Run(tmp_path).starts(margin=0.2) is None
