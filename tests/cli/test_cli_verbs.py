"""The verbs as a user meets them: what they print, where, and how they exit."""

import json
import os
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import tacit.recipe
from tacit.cli import main
from tacit.methods import METHODS
from tacit.settings import Settings
from tacit.tasks import TASKS
from tacit.thinking import Thinking

ROOT = Path(__file__).parents[2]


class Silent(Settings):
    """Thinks in silence.

    A second paragraph that no list shows.
    """

    steps: int = 1
    """How many silent steps."""

    def thinking(self):
        return Thinking()

    def absent(self):
        return ()

    def refuses(self, thinking):
        return ()


class Sums(Settings):
    """Adds numbers."""


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(METHODS, "silent", Silent)
    monkeypatch.setitem(TASKS, "sums", Sums)


@pytest.fixture
def recipe(tmp_path):
    file = tmp_path / "small.yaml"
    text = (
        "about: small\nmodel.tiny.layers: 2\ntask: {name: sums}\nmethod: {name: silent, steps: 3}\ntrain: {steps: 9}\n"
    )
    file.write_text(text)
    return str(file)


@pytest.fixture
def tacit_(capsys):
    """Runs a command line; gives exit code, output and error output."""

    def run(*words):
        with pytest.raises(SystemExit) as caught:
            main(list(words))
        return caught.value.code or 0, *capsys.readouterr()

    return run


def test_check_of_a_sound_recipe(tacit_, recipe):
    assert tacit_("check", recipe) == (0, f"ok  {recipe}\n", "")


def test_check_of_several_recipes_reports_all_faults(tacit_, recipe):
    code, out, err = tacit_("check", recipe, "nowhere", recipe, "train.lr=fast", "method.stps=1")
    assert code == 1 and out == ""
    assert err.count("has 2 faults") == 2 and "there is no recipe called 'nowhere'" in err
    assert "Traceback" not in err


def test_check_goes_on_after_a_faulty_recipe(tacit_, recipe):
    code, out, err = tacit_("check", "nowhere", recipe)
    assert (code, out) == (1, f"ok  {recipe}\n") and "nowhere" in err


def test_show(tacit_, recipe):
    code, out, err = tacit_("show", recipe, "train.lr=0.5", "model.path=runs/not/there")
    assert (code, err) == (0, "")
    rows = [line.split() for line in out.splitlines()]
    assert ["lr", "0.5", "command", "line"] in rows
    assert ["steps", "3", f"{recipe}:4"] in rows
    assert ["seed", "0", "default"] in rows


def test_show_keeps_brackets(tacit_, recipe):
    code, out, _ = tacit_("show", recipe, "template.cue=[bold]", "model.lora={targets: [q_proj]}")
    assert code == 1
    code, out, _ = tacit_("show", recipe, "template.cue='[bold]'", "model.lora={targets: [q_proj]}")
    assert code == 0 and '"[bold]"' in out and '["q_proj"]' in out


def test_show_as_yaml_runs_again(tacit_, recipe, tmp_path):
    _, first, _ = tacit_("show", recipe, "--yaml", "train.lr=0.5", "--tiny")
    again = tmp_path / "again.yaml"
    again.write_text(first)
    assert tacit_("show", str(again), "--yaml") == (0, first, "")
    assert "steps: 2\n" in first and "lr: 0.5\n" in first


def test_show_schema_and_help(tacit_, recipe):
    code, out, _ = tacit_("show", "--schema")
    assert code == 0 and "method_silent" in json.loads(out)["$defs"]
    code, out, _ = tacit_("show", "--help-field", "method.silent.steps")
    assert (code, out) == (0, "method.silent.steps: whole number, default 1\n    How many silent steps.\n")
    assert tacit_("show", recipe, "--help-field", "method.steps") == (0, out, "")


def test_ls(tacit_):
    code, out, _ = tacit_("ls")
    assert code == 0 and out.startswith("recipes:\n") and "\nmethods:\n" in out and "\ntasks:\n" in out
    _, out, _ = tacit_("ls", "methods")
    [line] = [line for line in out.splitlines() if line.startswith("silent ")]
    assert line.split(maxsplit=1) == ["silent", "Thinks in silence."]


def test_numbered_names_are_listed_as_one_counts(tacit_):
    names = [line.split()[0] for line in tacit_("ls", "claims")[1].splitlines()]
    numbers = [name for name in names if name.startswith("quiet/") and name[6:].isdigit()]
    assert numbers == sorted(numbers, key=lambda name: int(name[6:])) != sorted(numbers)


def test_versions(tacit_):
    code, out, _ = tacit_("--version")
    assert code == 0 and out.startswith(f"tacit {tacit.__version__}, python 3.")
    assert f"torch {version('torch')}" in out.splitlines()


def test_ls_does_not_import_what_it_lists(tacit_, tmp_path, monkeypatch):
    (tmp_path / "heavy.py").write_text('"""Module."""\nraise RuntimeError\nclass Heavy:\n    """Costs a lot."""\n')
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(METHODS, "heavy", "heavy:Heavy")
    monkeypatch.setitem(METHODS, "gone", "no_such_module:Thing")
    _, out, _ = tacit_("ls", "methods")
    rows = dict(line.split(maxsplit=1) for line in out.splitlines())
    assert rows["heavy"] == "Costs a lot." and rows["gone"] == "(module no_such_module is not installed)"


@pytest.mark.parametrize(
    "words", [["check"], ["show"], ["check", "train.lr=1"], ["bake"], ["show", "--no-such"], ["ls", "x"]]
)
def test_usage_errors_exit_with_2(tacit_, words):
    code, out, err = tacit_(*words)
    assert (code, out) == (2, "") and "Usage" in err


def test_a_mistake_is_one_screen_without_a_traceback(tacit_, recipe):
    code, out, err = tacit_("show", recipe, "train.lr=fast")
    assert (code, out) == (1, "") and err.startswith("recipe small has 1 fault\n") and "Traceback" not in err


@pytest.mark.parametrize("words", [["--traceback", "show", "nowhere"], ["show", "nowhere", "--traceback"]])
def test_the_traceback_can_be_asked_for(words):
    with pytest.raises(tacit.TacitError):
        main(words)


def test_an_interrupt_exits_with_130(tacit_, recipe, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(tacit.recipe, "load", interrupted)
    assert tacit_("check", recipe)[0] == 130


def python(code: str) -> str:
    """The output of a fresh interpreter."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    return done.stdout


HELP = """
import sys
{before}
from tacit.cli import main
try:
    main({words})
except SystemExit:
    pass
heavy = [name for name in ("torch", "transformers", "datasets", "numpy", "matplotlib") if name in sys.modules]
print("LOADED", *heavy)
"""


@pytest.mark.parametrize("words", [["--help"], ["check", "--help"], ["ls"]])
def test_help_loads_nothing_heavy(words):
    out = python(HELP.format(before="", words=words))
    assert out.splitlines()[-1] == "LOADED"


def test_an_import_of_torch_would_be_noticed():
    assert python(HELP.format(before="import torch", words=["--help"])).splitlines()[-1].startswith("LOADED torch")


def test_help_is_quick():
    """The promise is a second, of the processor's time, because other work shares the machine."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        out = python(HELP.format(before="", words=["--help"]))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 1 and "check" in out and "show" in out
