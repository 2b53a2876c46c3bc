"""Work that any process may take, in shards of which each is done exactly once in what is merged.

A shard is claimed by a file that only one process can create, and which it keeps young while it works; a claim that has grown old
belongs to a process that has died, and is taken over. A finished shard is one file that appears whole, with a last line that says
what must be in it, so half a file or a damaged one is not taken for a finished one. Two processes that both believe in their
claim write the same file, since what a shard contains depends on its number alone.
"""

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

from tacit.errors import DataError, TacitError
from tacit.lock import alone
from tacit.whole import whole, write_whole

PLAN = "plan.json"
Row = dict[str, Any]


@dataclass(frozen=True)
class Shard:
    """Documents `start` to `stop` of a plan."""

    number: int
    start: int
    stop: int


class Shards:
    """A folder of shards."""

    def __init__(self, folder: str | Path, patience: float = 60.0):
        self.folder, self.patience = Path(folder), patience

    def plan(self, documents: int, size: int, about: dict[str, Any]) -> list[Shard]:
        """Cut `documents` into shards of `size`, or find the plan that is there. `about` is all that results depend on; a folder
        with another plan is refused."""
        wanted = {"documents": documents, "size": size, **about}
        file = self.folder / PLAN
        if not file.exists():
            with alone(self.folder):
                if not file.exists():
                    write_whole(file, json.dumps(wanted, indent=1) + "\n")
        different = _different(json.loads(file.read_text(encoding="utf-8")), json.loads(json.dumps(wanted)))
        if different:
            raise TacitError(
                f"{self.folder} holds work that was planned otherwise ({', '.join(different)} differ); give another "
                "folder, or remove this one"
            )
        return self.shards()

    def shards(self) -> list[Shard]:
        """The shards of the plan."""
        plan = self.about()
        starts = range(0, plan["documents"], plan["size"])
        return [Shard(n, at, min(at + plan["size"], plan["documents"])) for n, at in enumerate(starts)]

    def about(self) -> dict[str, Any]:
        """The plan."""
        file = self.folder / PLAN
        if not file.exists():
            raise TacitError(f"{self.folder} holds no plan; begin with the command that makes one")
        return json.loads(file.read_text(encoding="utf-8"))

    # -- working --------------------------------------------------------------------------------------------------------

    def work(self, make: Callable[[Shard], Sequence[Row]], on_done: Callable[[int, int], None] | None = None) -> int:
        """Claim shards and make their rows until all are done; says how many this process made. It waits for shards that
        others are at work on, lest they die. A shard that was found whole is not looked at again."""
        shards, made = self.shards(), 0
        left = shards
        while left:
            busy: list[Shard] = []
            for place, shard in enumerate(left, 1):
                if self.done(shard):
                    continue
                if not self._claim(shard):
                    busy.append(shard)
                    continue
                with self._kept(shard):
                    if not self.done(shard):
                        self._put_aside(shard)
                        self._finish(shard, make(shard))
                        made += 1
                if on_done:
                    on_done(len(shards) - len(busy) - len(left) + place, len(shards))
            if len(busy) == len(left):
                time.sleep(min(1.0, self.patience / 4))
            left = busy
        return made

    def _claim(self, shard: Shard) -> bool:
        claim = self._claim_file(shard)
        try:
            os.close(os.open(claim, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
            return True
        except FileExistsError:
            pass
        try:
            if time.time() - claim.stat().st_mtime < self.patience:
                return False
            # Of several who find it old, one can move it away.
            os.rename(claim, claim.with_suffix(f".old-{uuid.uuid4().hex}"))
        except FileNotFoundError:
            return False
        for old in self.folder.glob(f"{claim.stem}.old-*"):
            old.unlink(missing_ok=True)
        return self._claim(shard)

    def _kept(self, shard: Shard) -> "_Kept":
        return _Kept(self._claim_file(shard), self.patience / 4)

    def _claim_file(self, shard: Shard) -> Path:
        return self.folder / f"shard-{shard.number:05d}.claim"

    def _finish(self, shard: Shard, rows: Sequence[Row]) -> None:
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        last = {"shard": shard.number, "rows": len(rows), "sha256": hashlib.sha256(lines.encode()).hexdigest()}
        write_whole(self._file(shard), lines + json.dumps(last) + "\n")

    # -- what is done ---------------------------------------------------------------------------------------------------

    def _file(self, shard: Shard) -> Path:
        return self.folder / f"shard-{shard.number:05d}.jsonl"

    def done(self, shard: Shard) -> bool:
        """Whether a shard's file is there and whole."""
        return _lines(self._file(shard)) is not None

    def _put_aside(self, shard: Shard) -> None:
        """Keep what is left of a damaged shard under another name. Who calls this holds the shard's claim; another who held it
        for too long may still be first."""
        file = self._file(shard)
        with suppress(FileNotFoundError):
            file.rename(file.with_suffix(f".damaged-{uuid.uuid4().hex[:8]}"))

    def rows(self) -> Iterator[Row]:
        """The rows of all shards in order, each once."""
        for shard in self.shards():
            lines = _lines(self._file(shard))
            if lines is None:
                raise DataError(
                    f"{self._file(shard)}: this shard is missing or damaged, so nothing can be merged yet; run the command that "
                    "makes shards again, it does what is missing"
                )
            yield from map(json.loads, lines)

    def merge(self, target: str | Path, on_row: Callable[[Row], None] | None = None) -> int:
        """All rows in one file, which appears whole; says how many. `on_row` is shown each of them."""
        count = 0
        with whole(Path(target)) as out:
            for row in self.rows():
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                count += 1
                if on_row:
                    on_row(row)
        return count


def _different(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """The dotted names of all that is not the same."""
    names = []
    for key in sorted({*found, *wanted}):
        old, new = found.get(key), wanted.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            names += [f"{key}.{name}" for name in _different(old, new)]
        elif old != new:
            names.append(key)
    return names


class _Kept:
    """Keeps a claim young while its holder works; the claim goes with the work."""

    def __init__(self, claim: Path, every: float):
        self.claim, self.every, self.over = claim, every, Event()
        self.thread = Thread(target=self._keep, daemon=True)

    def _keep(self) -> None:
        while not self.over.wait(self.every):
            try:
                os.utime(self.claim)
            except FileNotFoundError:  # somebody thought that we had died; what both write is the same
                return

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.thread.join()
        self.claim.unlink(missing_ok=True)


def _lines(file: Path) -> list[bytes] | None:
    """The lines of a whole shard, or None."""
    try:
        # Texts may contain what str.splitlines takes for the end of a line.
        *lines, last, end = file.read_bytes().split(b"\n")
        told = json.loads(last)
        body = b"".join(line + b"\n" for line in lines)
        if end or told["sha256"] != hashlib.sha256(body).hexdigest() or told["rows"] != len(lines):
            return None
        return lines
    except (OSError, ValueError, KeyError, TypeError):
        return None
