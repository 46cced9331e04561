"""A fresh database for every billed gateway, and its books read back with nothing but the driver.

BENCH_POSTGRES_DSN and BENCH_MYSQL_DSN name servers (and a database on them to connect to first); one that does not
answer is left out, and the table says so.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pymysql

KINDS = ("sqlite", "postgres", "mysql")
NAMES = {"sqlite": "SQLite", "postgres": "PostgreSQL", "mysql": "MySQL"}
DEFAULT_DSN = {
    "postgres": "postgres://oneapi:oneapi@127.0.0.1:5432/oneapi",
    "mysql": "mysql://oneapi:oneapi@127.0.0.1:3306/oneapi",
}
CONNECT_TIMEOUT = 3  # seconds


class Absent(Exception):
    """The server does not answer, or refuses us."""


@dataclass(frozen=True, slots=True)
class Database:
    kind: str
    name: str  # a file's path on SQLite
    dsn: str = ""
    version: str = ""

    @property
    def environment(self) -> dict[str, str]:
        """What a gateway needs to use it."""
        if self.kind == "sqlite":
            return {"SQLITE_PATH": self.name, "SQL_DSN": ""}
        return {"SQL_DSN": _address(self.dsn, self.name)}

    def rows(self, query: str) -> list[Sequence[Any]]:
        connection = (
            sqlite3.connect(f"file:{self.name}?mode=ro", uri=True) if self.kind == "sqlite" else self._connect()
        )
        with closing(connection), closing(connection.cursor()) as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def value(self, query: str) -> Any:
        return self.rows(query)[0][0]

    def _connect(self) -> Any:
        return connect(self.kind, self.dsn, self.name)

    def pin(self, core: int) -> bool:
        """Put the server's ends of the gateway's connections on one core; False where we may not."""
        query = {
            "sqlite": "",
            "postgres": "SELECT pid FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            "mysql": "SELECT tid FROM information_schema.processlist WHERE db = database() AND id <> connection_id()",
        }[self.kind]
        if not query or urlsplit(self.dsn).hostname not in ("127.0.0.1", "localhost"):
            return self.kind == "sqlite"
        try:
            threads = [int(row[0]) for row in self.rows(query)]
        except (psycopg.Error, pymysql.err.Error):
            return False  # MySQL itself has no column of thread ids
        for thread in threads:
            try:
                os.sched_setaffinity(thread, {core})
            except ProcessLookupError:
                continue
            except PermissionError:
                return False
        return True


@contextmanager
def fresh(kind: str, folder: Path) -> Iterator[Database]:
    """An empty database, dropped at the exit. Raises Absent."""
    if kind == "sqlite":
        file = folder / f"bench-{uuid.uuid4().hex[:8]}.db"
        try:
            yield Database(kind, str(file), version=f"SQLite {sqlite3.sqlite_version}")
        finally:
            for suffix in ("", "-wal", "-shm"):
                Path(f"{file}{suffix}").unlink(missing_ok=True)
        return
    dsn = os.environ.get(f"BENCH_{kind.upper()}_DSN", DEFAULT_DSN[kind])
    name = f"bench_{uuid.uuid4().hex[:12]}"
    try:
        version = _execute(kind, dsn, "SELECT version()")
        collation = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if kind == "mysql" else ""
        _execute(kind, dsn, f"CREATE DATABASE {name}{collation}")
    except (psycopg.Error, pymysql.err.Error) as error:
        raise Absent(str(error).splitlines()[0]) from error
    try:
        yield Database(kind, name, dsn, str(version).split(" on ")[0])
    finally:
        with contextlib.suppress(psycopg.Error, pymysql.err.Error):
            if kind == "postgres":  # WITH (FORCE) fails where an autovacuum worker is in it
                _execute(
                    kind,
                    dsn,
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    f" WHERE datname = '{name}' AND usename = current_user",
                )
            _execute(kind, dsn, f"DROP DATABASE {name}")


def connect(kind: str, dsn: str, name: str | None = None) -> Any:
    url = urlsplit(dsn)
    name = name or url.path.strip("/")
    if kind == "postgres":
        return psycopg.connect(_address(dsn, name), autocommit=True, connect_timeout=CONNECT_TIMEOUT)
    return pymysql.connect(
        host=url.hostname or "127.0.0.1",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=name,
        autocommit=True,
        connect_timeout=CONNECT_TIMEOUT,
    )


def _execute(kind: str, dsn: str, statement: str) -> Any:
    with closing(connect(kind, dsn)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if statement.startswith("SELECT") else None
        return row[0] if row else None


def _address(dsn: str, name: str) -> str:
    return urlsplit(dsn)._replace(path=f"/{name}").geturl()
