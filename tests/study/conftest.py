import pytest

from tests.study.made_run import made_run


@pytest.fixture
def run(tmp_path):
    return made_run(tmp_path / "runs" / "one", stages=2)
