"""Who serves a database in a file, and who may replace it: a lock beside the file.

A server holds it shared for as long as one of its processes lives, for the lock goes with the descriptor through `exec`
and `fork`; a restore wants it alone. The kernel frees it however the processes end, and the empty file stays.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from backups.refusals import InUse


def of(database: Path) -> Path:
    return database.with_name(f"{database.name}.serve.lock")


def _open(database: Path) -> int:
    """Owned as the folder: where root restores, a server that is not root must find a lock that it can open."""
    descriptor = os.open(of(database), os.O_RDONLY | os.O_CREAT, 0o640)
    if os.geteuid() == 0:
        folder = database.parent.stat()
        os.fchown(descriptor, folder.st_uid, folder.st_gid)
    return descriptor


def serve(database: Path) -> int:
    """Hold the lock from now on, in this process and all that come from it; returns the descriptor. Raises InUse."""
    descriptor = _open(database)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise InUse(f"{database} is being restored; start again when that is done") from None
    os.set_inheritable(descriptor, True)
    return descriptor


@contextmanager
def alone(database: Path) -> Iterator[None]:
    """No server runs on the database, and none starts meanwhile. Raises InUse."""
    descriptor = _open(database)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"a server runs on {database}; stop it first") from None
        yield
    finally:
        os.close(descriptor)


def close_log(database: Path) -> None:
    """Bring the write-ahead log home, so that the one file is all. Raises InUse: somebody has the database open.

    What cannot be read as a database is left as it is: that may be why it is to be replaced.
    """
    if not database.exists():
        return
    try:
        with closing(sqlite3.connect(database, timeout=0, isolation_level=None)) as connection:
            connection.execute("PRAGMA journal_mode = DELETE").fetchone()  # needs the file alone
    except sqlite3.OperationalError as error:
        raise InUse(f"{database} is open in another process ({error}); end that first") from None
    except sqlite3.DatabaseError:
        return
