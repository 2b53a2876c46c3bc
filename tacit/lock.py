"""One process at a time writes into a folder."""

import errno
import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tacit.errors import TacitError


def take_lock(folder: Path) -> int:
    """The folder's lock, as a descriptor to close. The system lets go of it when its process dies, however it dies, so no lock
    is ever stale."""
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 200).decode(errors="replace").strip()
        os.close(lock)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise TacitError(f"{folder} is on a file system without locks ({error}); choose another --out") from error
        raise TacitError(
            f"{folder} is being written by another run ({holder or 'unknown process'}); wait for it, stop it, or "
            "choose another folder with --out"
        ) from None
    os.ftruncate(lock, 0)
    os.write(lock, f"process {os.getpid()} on {socket.gethostname()}".encode())
    return lock


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """As the only writer of a folder, which is made where it is missing; refused while there is another."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder)
    try:
        yield
    finally:
        os.close(lock)
