"""Where a run is, told in a line."""

import pytest

from tacit.launch.watch import standing
from tests.study.made_run import made_run


@pytest.mark.parametrize(("stages", "told"), [(1, {}), (2, {"stage": "stage 1"})])
def test_a_stage_is_told_where_there_is_more_than_one(tmp_path, stages, told):
    found = standing(made_run(tmp_path / "run", stages=stages))
    assert {name: words for name, words in found.items() if name == "stage"} == told
    assert found["step"].startswith("step 40/") and found["accuracy"] == "accuracy 75.0%"
