"""The command `tacit`: one small file per verb, each calling one function elsewhere.

Verbs import what they need inside their function, so that `tacit --help` loads no torch. A new verb is a file here and
a name in `VERBS`.
"""

import os
import sys

import typer

from tacit.cli.bench import bench
from tacit.cli.bolt import bolt
from tacit.cli.check import check
from tacit.cli.compare import compare
from tacit.cli.data import data
from tacit.cli.demo import demo
from tacit.cli.eval import eval
from tacit.cli.gains import gains
from tacit.cli.generate import generate
from tacit.cli.ls import ls
from tacit.cli.merge import merge
from tacit.cli.plot import plot
from tacit.cli.probe import probe
from tacit.cli.repro import repro
from tacit.cli.show import show
from tacit.cli.sweep import sweep
from tacit.cli.train import train
from tacit.cli.version import options
from tacit.errors import TacitError

VERBS = (ls, show, check, train, eval, generate, merge, sweep, repro, compare, plot, probe, gains, bench, demo)
GROUPS = (bolt, data)
TRACEBACK = "--traceback"

app = typer.Typer(
    name="tacit",
    epilog=f"{TRACEBACK} anywhere on the line shows where an error comes from. "
    "Exit codes: 0 done, 1 a mistake in what was asked, 2 usage, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.callback()(options)
for verb in VERBS:
    app.command()(verb)
for group in GROUPS:
    app.add_typer(group)


def main(words: list[str] | None = None) -> None:
    """Run one command line. A user's mistake ends on one screen with exit code 1, whichever verb it comes from."""
    words = sys.argv[1:] if words is None else words
    # The hub client tells every retry; what matters of them is in our own sentence at the end.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    try:
        app([word for word in words if word != TRACEBACK], prog_name="tacit")
    except TacitError as error:
        if TRACEBACK in words:
            raise
        print(error, file=sys.stderr)
        sys.exit(1)
