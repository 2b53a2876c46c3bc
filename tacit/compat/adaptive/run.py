"""What the scripts call: a block of option variables is trained, or a run goes on.

python -m tacit.compat.adaptive.run sft|grpo [--dry-run] [--tiny] [K=V …]      variables in the environment
python -m tacit.compat.adaptive.run resume sft|grpo [--dry-run]                RESUME_PATH, RESUME_STEP, TIME_LIMIT
"""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.compat.adaptive.plan import FOLDERS, SFT, as_file, plan
from tacit.compat.adaptive.variables import from_environment
from tacit.compat.outcome import INTERRUPTED, exit_code
from tacit.errors import TacitError

if TYPE_CHECKING:
    from tacit.recipe import Loaded

DRY, TINY, RESUME = "--dry-run", "--tiny", "resume"


def main(words: Sequence[str], environment: Mapping[str, str] = os.environ) -> int:
    """Run a command line; the exit code."""
    rest = [word for word in words if word not in (DRY, TINY)]
    goes_on = rest[:1] == [RESUME]

    def run() -> int:
        if goes_on:
            folder = _resume([word for word in words if word not in (DRY, RESUME)], environment, DRY in words)
        else:
            folder = _begin(rest, environment, DRY in words, TINY in words)
        return 0 if folder is None or _finished(folder) else INTERRUPTED

    kinds = [word for word in rest if word in FOLDERS]
    return exit_code(run, f", or with scripts/resume_{(kinds or [SFT])[0]}.bash")


def _begin(words: Sequence[str], environment: Mapping[str, str], dry: bool, tiny: bool) -> Path | None:
    if not words or words[0] not in FOLDERS:
        raise TacitError(f"name one of {', '.join(FOLDERS)} first: which script this is")
    made, loaded = plan(from_environment(environment), words[1:], words[0])
    first = environment.get("RANK", "0") == "0"
    for note in made.notes if first else ():
        print(note, file=sys.stderr)
    if dry:
        print(_shown(loaded, words[1:], tiny).dump() if first else "", end="")
        return None
    from tacit.train import train
    from tacit.train.folder import RunFolder

    folder = Path(str(loaded.recipe.run.folder))
    if first and RunFolder(folder).started:
        raise TacitError(
            f"{folder} holds a run already; go on with RESUME_PATH={folder} bash scripts/resume_{words[0]}.bash, or choose "
            "another DIR_NAME"
        )
    with as_file(loaded) as file:
        return train(file, words[1:], tiny=tiny)


def _shown(loaded: "Loaded", words: Sequence[str], tiny: bool) -> "Loaded":
    if not tiny:
        return loaded
    from tacit.recipe import load

    with as_file(loaded) as file:
        return load(file, words, tiny=True, disk=False)


def _resume(words: Sequence[str], environment: Mapping[str, str], dry: bool) -> Path | None:
    """A run folder knows its recipe, so nothing but the place and the step is to be said."""
    kind, *more = words or [SFT]
    if more:
        raise TacitError(
            f"{' '.join(more)}: a run that goes on keeps its recipe, so nothing can be set besides RESUME_STEP and TIME_LIMIT; "
            f"leave it out, or begin another run with scripts/{kind}.bash"
        )
    if not (place := environment.get("RESUME_PATH", "").strip()):
        raise TacitError(f"RESUME_PATH: is missing; name the run folder, such as RESUME_PATH={FOLDERS[kind]}/latent-6")
    file = Path(place) / "recipe.yaml"
    if not file.is_file():
        raise TacitError(f"RESUME_PATH: {place} holds no run, since there is no {file}")
    step = environment.get("RESUME_STEP", "").strip()
    if step and not step.isdecimal():
        raise TacitError(f"RESUME_STEP: {step} is no step; leave it empty for the newest checkpoint")
    limit = environment.get("TIME_LIMIT", "").strip()
    unread = sorted({*from_environment(environment)} - {"TIME_LIMIT"})
    if unread and environment.get("RANK", "0") == "0":
        print(f"{', '.join(unread)}: not read, since a run that goes on keeps its recipe", file=sys.stderr)
    if dry:
        print(file.read_text(encoding="utf-8"), end="")
        return None
    from tacit.train import train

    return train(file, out=place, resume=int(step) if step else True, time_limit=60 * _hours(limit) if limit else None)


def _hours(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise TacitError(f"TIME_LIMIT: {text} is no number of hours") from None


def _finished(folder: Path) -> bool:
    from tacit.train.folder import RunFolder

    return RunFolder(folder).manifest().get("status") == "finished"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
