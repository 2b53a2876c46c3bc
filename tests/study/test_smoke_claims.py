"""A claim goes from its name to a page, with everything trained and asked for real, only little of it."""

import json
from dataclasses import replace

from tacit.study.asked import asked
from tacit.study.claims.adaptive_latent import CLAIM, FORCED, WIDE
from tacit.study.claims.rl_length import CLAIM as RL
from tacit.study.repro import reproduce
from tacit.study.runs import Run

JUDGED = ("K=0", "swapped")
"""Of the ways of asking, those that a verdict depends on."""


def rebuilt(claim, arms, folder):
    """With these arms alone, asked in these ways alone."""
    few = {name: replace(arm, asked={way: arm.asked[way] for way in JUDGED if arm.asked}) for name, arm in arms.items()}
    return reproduce(
        replace(claim, arms=few), "smoke", runs=folder / "runs", results=folder / "results", say=lambda _: None
    )


def test_distilled_thoughts(tmp_path):
    file = rebuilt(CLAIM, CLAIM.arms, tmp_path)
    page = json.loads(file.read_text())
    assert [run["arm"] for run in page["runs"]] == list(CLAIM.arms)
    assert {file.suffix for file in (tmp_path / "results").iterdir()} == {".json", ".md", ".png"}
    for run in page["runs"]:
        assert tuple(run.get("asked", ())) == (JUDGED if CLAIM.arms[run["arm"]].asked else ())
        assert CLAIM.metric in run["metrics"]
    assert page["runs"][0]["metrics"]["latents_mean"] == 6 and page["runs"][0]["asked"]["K=0"]["latents_mean"] == 0
    bounds = [*CLAIM.rule.floors, *CLAIM.rule.ceilings]
    assert all(f"{arm} at" in page["sentence"] for arm in bounds) and "of 0 runs" not in page["sentence"]
    assert "| as trained | K=0 | swapped |" in file.with_suffix(".md").read_text()


def test_where_written_steps_are_wide(tmp_path):
    page = json.loads(
        rebuilt(
            WIDE, {name: WIDE.arms[name] for name in ("codi_5", "codi_0", "stages", "aligned")}, tmp_path
        ).read_text()
    )
    assert "of 0 runs" not in page["sentence"]


def test_shorter_thoughts(tmp_path):
    """Arms of reinforcement begin with the weights of the arm before them."""
    page = json.loads(
        rebuilt(RL, {name: replace(arm, asked={}) for name, arm in RL.arms.items()}, tmp_path).read_text()
    )
    assert [run["arm"] for run in page["runs"]] == ["start", "exact", "sampled", "published"]
    first = tmp_path / "runs/rl-length/smoke"
    for run in page["runs"][1:]:
        assert run["overrides"]["model.path"] == "runs/repro/rl-length/smoke/start-0"
        assert Run(first / f"{run['arm']}-0").recipe["model"]["path"] == str(first / "start-0")
        assert {"latents_mean", "accuracy"} <= run["metrics"].keys()
    assert "exact − start" in page["sentence"] and "sampled at most" in page["sentence"]
    assert len({run["metrics"]["train/tokens"] for run in page["runs"]}) > 1


class Report:
    def __init__(self, **found):
        self.metrics = lambda: found


def test_nothing_is_asked_twice(tmp_path):
    """Also when it was interrupted; what is asked in another way than before is asked again."""
    calls = []

    def evaluate(folder, **options):
        calls.append(options)
        if options == FORCED["K=4"]:
            raise KeyboardInterrupt
        return Report(accuracy=options.get("latents", -1) / 10)

    try:
        asked(Run(tmp_path), FORCED, evaluate)
    except KeyboardInterrupt:
        assert len(calls) == 5
    others = {**FORCED, "K=4": {"latents": 5}}
    found = asked(Run(tmp_path), others, evaluate)
    assert calls[5:] == [{"latents": 5}, FORCED["K=5"], FORCED["K=6"], FORCED["swapped"]]
    assert list(found) == list(others) and found["K=4"] == {"accuracy": 0.5}
    asked(Run(tmp_path), {"K=4": {"latents": 3}}, evaluate)
    assert calls[9:] == [{"latents": 3}]
