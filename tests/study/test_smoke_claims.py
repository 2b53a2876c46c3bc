"""A claim goes from its name to a page, with everything trained and asked for real, only little of it."""

import json
from dataclasses import replace

from tacit.study.asked import asked
from tacit.study.claims.adaptive_latent import CLAIM, FORCED, WIDE
from tacit.study.repro import reproduce
from tacit.study.runs import Run


def rebuilt(claim, folder):
    return reproduce(claim, "smoke", runs=folder / "runs", results=folder / "results", say=lambda _: None)


def test_distilled_thoughts(tmp_path):
    file = rebuilt("adaptive-latent", tmp_path)
    page = json.loads(file.read_text())
    assert [run["arm"] for run in page["runs"]] == list(CLAIM.arms)
    assert {file.suffix for file in (tmp_path / "results").iterdir()} == {".json", ".md", ".png"}
    for run in page["runs"]:
        assert list(run.get("asked", ())) == list(CLAIM.arms[run["arm"]].asked)
        assert CLAIM.metric in run["metrics"]
    assert page["runs"][0]["asked"]["K=2"]["latents_mean"] == 2
    bounds = [*CLAIM.rule.floors, *CLAIM.rule.ceilings]
    assert all(f"{arm} at" in page["sentence"] for arm in bounds) and "of 0 runs" not in page["sentence"]
    assert "| as trained | K=0 |" in file.with_suffix(".md").read_text()


def test_where_written_steps_are_wide(tmp_path):
    judged = replace(WIDE, arms={name: WIDE.arms[name] for name in ("codi_5", "codi_0")})
    assert "of 0 runs" not in json.loads(rebuilt(judged, tmp_path).read_text())["sentence"]


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
    assert calls[5:] == [{"latents": 5}, {"latents": 5}, {"latents": 6}, {"swap": True}]
    assert list(found) == list(others) and found["K=4"] == {"accuracy": 0.5}
    asked(Run(tmp_path), {"K=4": {"latents": 3}}, evaluate)
    assert calls[9:] == [{"latents": 3}]
