"""A file as the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote

from config.dsn.parts import BadDsn, Pool


def of_url(rest: str, pool: Pool) -> dict[str, Any]:
    """`rest` is what follows sqlite://"""
    return entry(_path_of(rest), pool)


def entry(path: Path, pool: Pool) -> dict[str, Any]:
    """A file in WAL mode, every commit on disk before it is answered, one writer at a time."""
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(path),
        "OPTIONS": {
            # A transaction that begins by reading and then writes fails at once when another wrote in between;
            # taking the write lock first waits instead, up to the timeout.
            "transaction_mode": "IMMEDIATE",
            "timeout": pool.busy_timeout / 1000,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        },
    }


def _path_of(rest: str) -> Path:
    place, _, query = rest.partition("?")
    if query:
        raise BadDsn("an SQLite address takes no parameters; the lock wait is SQLITE_BUSY_TIMEOUT")
    if not place.startswith("/"):
        raise BadDsn("an SQLite address has three slashes before a relative path and four before an absolute one")
    path = unquote(place[1:])
    if not path or path.endswith("/"):
        raise BadDsn("the SQLite address names no file")
    if path == ":memory:":
        raise BadDsn("a database in memory is lost with its connection; name a file")
    return Path(path)
