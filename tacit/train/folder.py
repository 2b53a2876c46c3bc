"""The run folder: one writer, and everything in it either whole or not there.

recipe.yaml    resolved, runs again              metrics.jsonl  one object per logged step
manifest.json  what ran, on what, with what      samples.jsonl  every row of the last evaluation
lesson.txt     the first lesson, token by token
checkpoints/step-N/   model folder + state/      final/         the one to use
"""

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tacit.errors import TacitError
from tacit.lock import take_lock
from tacit.whole import make_folder

PARTIAL, OLD = ".partial", ".old"


class RunFolder:
    """Opened by every process of a run; only one of them writes."""

    def __init__(self, path: str | Path, writes: bool = True):
        self.path, self.writes = Path(path), writes
        self._lock: int | None = None

    def __enter__(self) -> "RunFolder":
        if self.writes:
            make_folder(self.path)
            self._lock = take_lock(self.path)
            self._tidy()
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _tidy(self) -> None:
        """Finish or undo what a run that died left behind."""
        for parent in (self.path, self.checkpoint_folder):
            for left in parent.glob(f".*{OLD}"):
                name = parent / left.name[1 : -len(OLD)]
                if name.exists():
                    shutil.rmtree(left)
                else:
                    left.rename(name)
            for left in parent.glob(f".*{PARTIAL}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    @property
    def checkpoint_folder(self) -> Path:
        return self.path / "checkpoints"

    @property
    def final(self) -> Path:
        return self.path / "final"

    @property
    def started(self) -> bool:
        """Whether a run was started here before."""
        return (self.path / "manifest.json").exists()

    def checkpoints(self) -> dict[int, Path]:
        """The checkpoints by step, oldest first."""
        found = {p.name.removeprefix("step-"): p for p in self.checkpoint_folder.glob("step-*")}
        return {int(step): found[step] for step in sorted(filter(str.isdigit, found), key=int)}

    def checkpoint(self, step: int) -> Path:
        return self.checkpoint_folder / f"step-{step}"

    @contextmanager
    def whole(self, target: Path) -> Iterator[Path]:
        """A folder to fill; it takes the target's name when it is complete."""
        partial = target.with_name(f".{target.name}{PARTIAL}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            yield partial
        except BaseException as error:
            shutil.rmtree(partial, ignore_errors=True)
            # Tensors are written by a library that has an error of its own for this.
            if (isinstance(error, OSError) and error.errno == errno.ENOSPC) or "No space left" in str(error):
                raise full(target, error) from error
            raise
        old = target.with_name(f".{target.name}{OLD}")
        if target.exists():
            target.rename(old)
        partial.rename(target)
        shutil.rmtree(old, ignore_errors=True)

    def write(self, name: str, text: str) -> None:
        """A text file, whole or not at all."""
        partial = self.path / f".{name}{PARTIAL}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.path / name)

    def log(self, line: Mapping[str, Any]) -> None:
        """One more line of metrics.jsonl."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; the last one may have been cut when its run died."""
        lines = []
        with (self.path / "metrics.jsonl").open(encoding="utf-8") as file:
            for text in file:
                try:
                    lines.append(json.loads(text))
                except ValueError:
                    break
        return lines

    def rewind(self, step: int, lines: int) -> None:
        """Forget what came after a step: its lines and its checkpoints belong to a future that will not happen."""
        kept = self.metrics()[:lines] if lines else []
        self.write("metrics.jsonl", "".join(json.dumps(line) + "\n" for line in kept))
        for later, path in self.checkpoints().items():
            if later > step:
                shutil.rmtree(path)

    def prune(self, keep: int, best: int | None) -> None:
        """Drop all checkpoints but the newest and the best."""
        for step, path in list(self.checkpoints().items())[:-keep]:
            if step != best:
                shutil.rmtree(path)

    def manifest(self) -> dict[str, Any]:
        return json.loads((self.path / "manifest.json").read_text(encoding="utf-8")) if self.started else {}

    def note(self, facts: Mapping[str, Any]) -> None:
        """Add to manifest.json."""
        self.write("manifest.json", json.dumps(self.manifest() | dict(facts), indent=1, default=str) + "\n")


def full(target: Path, reason: object) -> TacitError:
    """The one sentence about full disks."""
    return TacitError(
        f"{target} cannot be saved: the disk is full ({reason}). What was saved before is whole. Free some space, or set "
        "train.keep: 1; then go on with --resume"
    )
