"""A file where a folder of results should be: told, and left alone."""

import pytest

from tacit.cli import main


@pytest.mark.parametrize("words", [["demo"], ["train", "mult/2x2-control", "train.steps=2"]], ids=["demo", "train"])
@pytest.mark.parametrize("below", ["", "run"])
def test_a_file_in_the_way_is_told(tmp_path, capsys, words, below):
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(SystemExit) as caught:
        main([*words, "--out", str(file / below) if below else str(file)])
    told = " ".join(capsys.readouterr().err.split())
    assert caught.value.code == 1 and "is a file, and results need a folder" in told and "Traceback" not in told
    assert file.read_text() == "x"
