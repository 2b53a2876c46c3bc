"""Every command line in the documents: its verb, its options, its recipe and every setting in it exist."""

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from tacit.bench import benchmarks
from tacit.cli import app
from tacit.errors import TacitError
from tacit.recipe import load
from tacit.study.claims import CLAIMS

ROOT = Path(__file__).parents[2]
PAGES = [page for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))] if page.name != "log.md"]
NOT_YET = ("import", "lens", "export")
"""Verbs that docs/scope.md announces."""
PLACEHOLDERS = {"N": "1", "MODE": "run", "k": "2", "$seed": "43", "…": ""}
GROUP = get_command(app)
NAMES = {"repro": CLAIMS, "bench": benchmarks()}
RECIPES = {folder.name for folder in (ROOT / "tacit" / "recipes").iterdir()}
SETTING = re.compile(r"^[a-z_.]+=")


def documented() -> list[tuple[str, str, bool]]:
    """Page, line, and whether the line is set apart as code; others stand in sentences and may name no more than an option."""
    found = set()
    for page in PAGES:
        for block, inline in re.findall(r"^    (tacit .*)$|`(tacit [^`]*)`", page.read_text(), re.M):
            found.add((page.name, block or inline, bool(block)))
    return sorted(found)


def check(line: str, whole: bool = True) -> None:
    """Reads the line as the command itself would, and does not run it."""
    line = re.sub(r"\[(--[^\[\]]*)\]", r"\1", line.replace("[--public]", "--public"))  # [--what may be left out]
    words = [PLACEHOLDERS.get(word, word) for word in shlex.split(line, comments=True)[1:]]
    words = [word for word in words if word]
    command = GROUP
    name = "tacit"
    while isinstance(command, TyperGroup):
        if not words and not whole:
            return
        assert words and words[0] in command.commands, f"{name} has no command {words[:1]}"
        name, command, words = f"{name} {words[0]}", command.commands[words[0]], words[1:]
    given = {word.partition("=")[0] for word in words if word.startswith("--")}
    known = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
    assert given <= {*known, "--help"}, f"{name} has no option {sorted(given - known)}"
    if whole:
        try:
            command.make_context(name, list(words))
        except Exception as wrong:  # the kinds belong to the library
            raise AssertionError(f"{name}: {wrong}") from wrong
    named = [word for word in words if not word.startswith("-") and "=" not in word]
    if (registry := NAMES.get(name.partition(" ")[2])) and named and not named[0].isupper():
        assert named[0] in registry, f"{name}: no {named[0]}"
        return
    settings = [word for word in words if SETTING.match(word) and ".." not in word and "," not in word]
    for word in named:
        if "/" in word and word.partition("/")[0] in RECIPES:
            load(word, settings, disk=False)


@pytest.mark.parametrize(("page", "line", "whole"), documented(), ids=lambda part: str(part)[:60])
def test_the_line_can_be_typed(page, line, whole):
    verb = line.split()[1]
    if verb in NOT_YET:
        assert page == "scope.md" and verb not in GROUP.commands
        return
    check(line, whole)


WRONG = """
tacit trian mult/2x2-filler
tacit train mult/2x2-filer
tacit train mult/2x2-filler train.lrr=1
tacit eval RUN --latent 3
tacit eval --latents 3
tacit repro no-such
tacit bench no-such
tacit bolt run bolt/smok --out x
tacit bolt
"""


@pytest.mark.parametrize("line", WRONG.split("\n")[1:-1])
def test_twin_a_mistake_would_be_noticed(line):
    with pytest.raises((AssertionError, TacitError)):
        check(line)


@pytest.mark.parametrize("page", [*PAGES, ROOT / "docs" / "log.md"], ids=lambda page: page.name)
def test_links_and_paths_lead_somewhere(page):
    words = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", words) if not link.startswith("http")]
    paths = re.findall(r"`((?:tacit|tests|docs|benchmarks|scripts)/[\w/.-]+)`", words)
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing + [path for path in paths if not (ROOT / path).exists()] == []


def test_there_are_lines_to_check():
    assert len(documented()) > 120
