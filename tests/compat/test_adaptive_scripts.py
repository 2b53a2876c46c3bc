"""The scripts and `tacit show --options`, as a user calls them: a block pasted into the script, or set around it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tacit.cli import main
from tacit.compat.adaptive import run as scripts
from tacit.recipe import load
from tacit.train.folder import RunFolder
from tests.compat.published_blocks import BLOCKS, SFT, text

ROOT = Path(__file__).parents[2]
PLACE = "# ---- a block of options goes here ----\n"
needs_bash = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


def bash(script: Path, *words: str, cwd: Path, **variables: str) -> subprocess.CompletedProcess:
    names = ("DIR_NAME", "TIME_LIMIT", "RESUME_PATH", "RESUME_STEP")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    environment = clean | {"PYTHON": sys.executable, "PYTHONWARNINGS": "ignore", **variables}
    return subprocess.run(
        ["bash", str(script), *words], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )


def pasted(tmp_path: Path, script: str, block: str) -> Path:
    """A checkout whose script has a block in it."""
    (tmp_path / "tacit").symlink_to(ROOT / "tacit")
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("*.py", "preprocessing"))
    file = tmp_path / "scripts" / script
    assert PLACE in file.read_text()
    file.write_text(file.read_text().replace(PLACE, PLACE + block))
    return file


def fields(file: Path) -> dict:
    own = ("about", "run.folder", "run.name")
    return {path: one.value for path, one in load(file, disk=False).values().items() if path not in own}


@needs_bash
@pytest.mark.parametrize("name", SFT)
def test_a_block_pasted_into_the_script(name, tmp_path):
    done = bash(pasted(tmp_path, "sft.bash", text(BLOCKS[name])), "--dry-run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "it.yaml").write_text(done.stdout)
    assert fields(tmp_path / "it.yaml") == fields(ROOT / f"tacit/recipes/adaptive/{name}.yaml")
    assert load(tmp_path / "it.yaml", disk=False).recipe.run.folder == f"checkpoints/{name}"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.yaml", "scripts", "tacit"], (
        "a dry run leaves nothing"
    )


@needs_bash
def test_a_block_with_a_mistake_fails(tmp_path):
    """The twin of the test above."""
    wrong = text(BLOCKS["latent-6"]).replace("codi_loss_20", "codi_los_20")
    done = bash(pasted(tmp_path, "sft.bash", wrong), "--dry-run", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == "" and "did you mean codi_loss_20?" in done.stderr


@needs_bash
def test_variables_around_the_script(tmp_path):
    done = bash(ROOT / "scripts/sft.bash", "--dry-run", "train.seed=5", cwd=tmp_path, **BLOCKS["latent-6"])
    assert done.returncode == 0 and "  seed: 5\n" in done.stdout, done.stderr


@needs_bash
def test_options_of_the_other_script(tmp_path):
    done = bash(ROOT / "scripts/sft.bash", "--dry-run", cwd=tmp_path, **BLOCKS["latent-6+rl"])
    assert done.returncode == 1 and "GRPO_CONFIG_OPTIONS: scripts/sft.bash reads no such variable" in done.stderr
    done = bash(ROOT / "scripts/grpo.bash", "--dry-run", cwd=tmp_path, **BLOCKS["latent-6"])
    assert done.returncode == 1 and "LATENT_SETTINGS_OPTIONS: scripts/grpo.bash reads no such variable" in done.stderr


# --- training, in this process ----------------------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", SFT)
def test_every_block_trains_tiny(name, here, capsys):
    assert scripts.main(["sft", "--tiny"], BLOCKS[name]) == 0, capsys.readouterr().err
    assert RunFolder(here / "checkpoints" / name).manifest()["status"] == "finished"


def test_a_block_of_reinforcement_trains_tiny(here, capsys):
    assert scripts.main(["grpo", "--tiny", "method.max_tokens=4"], BLOCKS["latent-6+rl"]) == 0, capsys.readouterr().err
    assert RunFolder(here / "grpo_checkpoints" / "latent-6+rl").manifest()["status"] == "finished"


def test_resuming(here, capsys):
    assert scripts.main(["sft", "--tiny", "train.save_every=1"], BLOCKS["latent-6"]) == 0
    folder = here / "checkpoints" / "latent-6"
    after = (folder / "final/adapter_model.safetensors").read_bytes()
    assert scripts.main(["sft", "--tiny"], BLOCKS["latent-6"]) == 1
    assert "RESUME_PATH=checkpoints/latent-6 bash scripts/resume_sft.bash" in capsys.readouterr().err
    again = {"RESUME_PATH": "checkpoints/latent-6", "RESUME_STEP": "1"}
    assert scripts.main(["resume", "sft"], again) == 0
    assert "going on from step 1 of 2" in capsys.readouterr().err
    assert (folder / "final/adapter_model.safetensors").read_bytes() == after, "to the last bit"


def test_a_time_limit_stops_and_resuming_goes_on(here, capsys):
    limited = {**BLOCKS["cot_sft"], "TIME_LIMIT": "1e-9"}
    assert scripts.main(["sft", "--tiny"], limited) == 130
    folder = here / "checkpoints" / "cot_sft"
    assert RunFolder(folder).manifest()["status"] == "stopped"
    assert scripts.main(["resume", "sft"], {"RESUME_PATH": str(folder), "TIME_LIMIT": "1"}) == 0
    assert RunFolder(folder).manifest()["status"] == "finished"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "RESUME_PATH: is missing"),
        ({"RESUME_PATH": "nowhere"}, "nowhere holds no run"),
        ({"RESUME_PATH": "run", "RESUME_STEP": "last"}, "RESUME_STEP: last is no step"),
        ({"RESUME_PATH": "run", "TIME_LIMIT": "long"}, "TIME_LIMIT: long is no number of hours"),
    ],
)
def test_what_cannot_be_resumed(variables, sentence, here, capsys):
    (here / "run").mkdir()
    (here / "run" / "recipe.yaml").write_text("method.name: cot\n")
    assert scripts.main(["resume", "sft"], variables) == 1
    assert sentence in capsys.readouterr().err


# --- tacit show --options ----------------------------------------------------------------------------------------------


def shown(capsys, *words: str) -> tuple[int, str, str]:
    code = 0
    try:
        main(["show", *words])
    except SystemExit as end:
        code = end.code or 0
    return code, *capsys.readouterr()


def test_show_says_which_option_a_value_came_from(here, capsys):
    (here / "block").write_text(text(BLOCKS["latent-6"]))
    code, out, err = shown(capsys, "--options", "block", "train.seed=3")
    assert code == 0 and err == ""
    rows = {line.split()[0]: line for line in out.splitlines() if line.split()}
    assert "TRAINING_CONFIG_OPTIONS: lr_8e-4" in rows["lr"] and "command line" in rows["seed"]


def test_show_as_yaml_and_tiny(here, capsys):
    (here / "block").write_text(text(BLOCKS["cot_sft"]))
    code, out, err = shown(capsys, "--options", "block", "--yaml", "--tiny")
    assert code == 0 and "  steps: 2\n" in out and "arithmetic" in out
    assert err == "TRAINING_CONFIG_OPTIONS: gc_if_necessary: has no effect; MICRO_BATCH_SIZE=auto goes on in smaller pieces " \
        "where memory runs out\n"  # fmt: skip


def test_show_of_a_faulty_block(here, capsys):
    (here / "block").write_text(text({**BLOCKS["latent-6"], "LORA_CONFIG_OPTIONS": "r_8"}))
    code, out, err = shown(capsys, "--options", "block")
    assert code == 1 and out == "" and "Traceback" not in err
    assert "3 faults" in err and "nothing says model.lora.alpha" in err
