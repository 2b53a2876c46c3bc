"""What a preparation has read: every document's place in one growing file, by a hash that no two documents share.

The ledger is a database of the standard library, so a corpus of any size needs the same memory, and what was written down counts
only when its block is complete. The file of documents may be longer than the ledger knows, after a process has died: that end is
cut off and read again.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

from tacit.errors import TacitError

TABLES = """
create table if not exists documents (key blob primary key, id text unique, start integer, size integer) without rowid;
create table if not exists skipped (number integer, place text, reason text);
create table if not exists facts (name text primary key, value text);
"""


class Kept(NamedTuple):
    """A document of the ledger."""

    key: bytes
    row: dict[str, Any]


def text_key(text: str, seed: int | None) -> bytes:
    """The hash of a text. With another seed, hashes come in another order."""
    return blake2b(text.encode(), digest_size=16, key=b"" if seed is None else str(seed).encode()).digest()


class Ledger:
    """Documents, what was skipped, and how far reading has come; one process at a time."""

    def __init__(self, folder: Path, about: Mapping[str, Any]):
        folder.mkdir(parents=True, exist_ok=True)
        self.file = folder / "documents.jsonl"
        self.data = sqlite3.connect(folder / "ledger.db", timeout=0, isolation_level=None)
        try:
            self._open(folder.parent, about)
        except BaseException:
            self.data.close()
            raise
        self.read, self.length = self.fact("read", 0), self.fact("length", 0)
        self.pending: list[bytes] = []
        self.end = self.length
        with self.file.open("ab") as out:
            out.truncate(self.length)

    def _open(self, folder: Path, about: Mapping[str, Any]) -> None:
        try:
            self.data.execute("pragma locking_mode = exclusive")
            self.data.execute("begin exclusive")
        except sqlite3.OperationalError as error:
            raise TacitError(
                f"{folder} is being prepared by another process; wait for it, or choose another folder"
            ) from error
        for table in filter(str.strip, TABLES.split(";")):
            self.data.execute(table)
        self._check(about, folder)

    def _check(self, about: Mapping[str, Any], folder: Path) -> None:
        wanted = json.loads(json.dumps(about))
        found = self.fact("about", wanted)
        if found != wanted:
            different = sorted(key for key in {*found, *wanted} if found.get(key) != wanted.get(key))
            raise TacitError(
                f"{folder} holds a preparation with other settings ({', '.join(different)} differ); give another folder, or "
                "remove this one"
            )
        self.note("about", wanted)

    def fact(self, name: str, without: Any) -> Any:
        """Something that was noted."""
        found = self.data.execute("select value from facts where name = ?", (name,)).fetchone()
        return without if found is None else json.loads(found[0])

    def note(self, name: str, value: Any) -> None:
        """Counts from the next block on."""
        self.data.execute("insert or replace into facts values (?, ?)", (name, json.dumps(value)))

    def add(self, key: bytes, row: dict[str, Any]) -> bool:
        """A document of the block that is under way; whether it is new. One whose id is taken is called by its hash."""
        if self.data.execute("select 1 from documents where key = ?", (key,)).fetchone():
            return False
        if not self._insert(key, row):
            self._insert(key, {**row, "id": key.hex()})
        return True

    def _insert(self, key: bytes, row: dict[str, Any]) -> bool:
        line = (json.dumps(row, ensure_ascii=False) + "\n").encode()
        told = (key, row["id"], self.end, len(line))
        if not self.data.execute("insert or ignore into documents values (?, ?, ?, ?)", told).rowcount:
            return False
        self.pending.append(line)
        self.end += len(line)
        return True

    def skip(self, number: int, place: str, reason: str) -> None:
        """A row that is left out, and why."""
        self.data.execute("insert into skipped values (?, ?, ?)", (number, place, reason))

    def commit(self, read: int) -> None:
        """The block is complete: its documents first, then what tells where they are."""
        with self.file.open("ab") as out:
            out.writelines(self.pending)
            out.flush()
            os.fsync(out.fileno())
        self.read, self.length, self.pending = read, self.end, []
        self.note("read", read)
        self.note("length", self.length)
        self.data.execute("commit")
        self.data.execute("begin exclusive")

    def documents(self, shuffled: bool) -> Iterator[Kept]:
        """All documents, in the order of their hashes or as they were read."""
        order = "key" if shuffled else "start"
        with self.file.open("rb") as file:
            for key, start, size in self.data.execute(f"select key, start, size from documents order by {order}"):
                file.seek(start)
                yield Kept(key, json.loads(file.read(size)))

    def skipped(self) -> Iterator[dict[str, str]]:
        """What was left out, in the order of reading."""
        for place, reason in self.data.execute("select place, reason from skipped order by number"):
            yield {"place": place, "reason": reason}

    def reasons(self) -> dict[str, int]:
        """How many rows were left out, by reason."""
        return dict(self.data.execute("select reason, count(*) from skipped group by reason order by reason"))

    def close(self) -> None:
        self.data.close()
