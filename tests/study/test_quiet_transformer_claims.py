"""Every arm of the findings on transformers is a recipe that stands, at every scale, and one of them runs to its page."""

import json

import pytest

from tacit.recipe import load
from tacit.registry import resolve
from tacit.study.claims import CLAIMS
from tacit.study.repro import reproduce

NAMES = [f"quiet/{number}" for number in (11, 12, 13, 14, 15, 16, 17, "t8")]


@pytest.mark.parametrize("name", NAMES)
def test_every_arm_is_a_recipe(name):
    claim = resolve(CLAIMS, name, "claim")
    for scale in claim.scales:
        for arm, settings in claim.settings(scale).items():
            load(claim.arms[arm].recipe, settings)


def test_the_short_runs_come_to_a_page(tmp_path):
    small = {"model.tiny.hidden": 20, "task.of.train_rows": 8, "task.of.valid_rows": 2}
    folders = {"runs": tmp_path / "runs", "results": tmp_path / "results"}
    file = reproduce("quiet/t8", "smoke", overrides=small, **folders, say=lambda _: None)
    page = json.loads(file.read_text())
    thinks, plain = (next(run for run in page["runs"] if run["arm"] == arm) for arm in ("thinks", "plain"))
    assert {"null_nll", "base_nll", "swapped_nll"} <= set(thinks["metrics"])
    assert "null_nll" not in plain["metrics"]
