"""How a published command line ends: a sentence and an exit code, whatever happens."""

import os
import sys
from collections.abc import Callable

from tacit.errors import TacitError
from tacit.stopping import INTERRUPTED, Interrupted


def exit_code(run: Callable[[], int], again: str = " (or with the same command)") -> int:
    """What `run` returns; 1 behind a user's mistake, and 130 behind a run that was stopped, which goes on as `again` says."""
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")  # our own sentence says what of its retries matters
    try:
        return run()
    except Interrupted as stop:
        print(f"{stop}{again}", file=sys.stderr)
        return INTERRUPTED
    except TacitError as error:
        print(error, file=sys.stderr)
        return 1
