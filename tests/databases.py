"""The database servers tests run on: SQLite always, PostgreSQL and MariaDB where they answer.

TEST_POSTGRES_DSN and TEST_MYSQL_DSN name servers (and a database to connect to first); REQUIRE_SERVICES=1, as in CI,
makes an absent server a failure instead of a skip. Read here without Django, so that what is checked is what stands
in the tables.
"""

from __future__ import annotations

import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

NAMES = ("sqlite", "postgres", "mysql")
DEFAULT_DSN = {
    "postgres": "postgres://oneapi:oneapi@127.0.0.1:5432/postgres",
    "mysql": "mysql://oneapi:oneapi@127.0.0.1:3306/mysql",
}
CONNECT_TIMEOUT = 15  # seconds
MARK = "tests"  # begins the name of every database made here


@dataclass(frozen=True, slots=True)
class Server:
    """A database server; `dsn` is the address of a database on it that exists, without its name at the end."""

    kind: str
    dsn: str

    @classmethod
    def of(cls, kind: str) -> Server:
        return cls(kind, os.environ.get(f"TEST_{kind.upper()}_DSN", DEFAULT_DSN.get(kind, "")))

    def address(self, name: str) -> str:
        return urlsplit(self.dsn)._replace(path=f"/{name}").geturl()

    def connect(self, name: str | None = None) -> Any:
        """A DB-API connection that commits every statement."""
        url = urlsplit(self.dsn)
        name = name or url.path.strip("/")
        if self.kind == "postgres":
            return psycopg.connect(self.address(name), autocommit=True, connect_timeout=CONNECT_TIMEOUT)
        return pymysql.connect(
            host=url.hostname or "127.0.0.1",
            port=url.port or 3306,
            user=url.username,
            password=url.password or "",
            database=name,
            autocommit=True,
            connect_timeout=CONNECT_TIMEOUT,
        )

    def execute(self, statement: str) -> None:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)

    def drop(self, name: str) -> None:
        """Ends our own sessions of the database, and drops it.

        PostgreSQL's WITH (FORCE) would end an autovacuum worker as well, which an ordinary role
        may not: it fails. The plain command sends that worker away by itself.
        """
        if self.kind == "postgres":
            self.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                f" WHERE datname = '{name}' AND usename = current_user"
            )
        self.execute(f"DROP DATABASE {name}")


@lru_cache
def version(kind: str) -> str | None:
    """The server's own words for its version; None where it does not answer."""
    if kind == "sqlite":
        return sqlite3.sqlite_version
    try:
        with closing(Server.of(kind).connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT version()")
            return str(cursor.fetchone()[0]).split(" on ")[0]
    except (psycopg.OperationalError, pymysql.err.OperationalError):
        return None


def required() -> bool:
    return os.environ.get("REQUIRE_SERVICES") == "1"


def missing(reason: str) -> NoReturn:
    """What `make services` installs and starts is not here: a skip, and where services are required a failure."""
    if required():
        pytest.fail(reason)
    pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Database:
    """One database of one test's own. `environment` is what a gateway process needs to use it."""

    kind: str
    name: str  # a file's path on SQLite
    server: Server

    @property
    def environment(self) -> dict[str, str]:
        if self.kind == "sqlite":
            return {"SQLITE_PATH": self.name, "SQL_DSN": ""}
        return {"SQL_DSN": self.server.address(self.name)}

    def connect(self) -> Any:
        if self.kind == "sqlite":
            return sqlite3.connect(f"file:{self.name}?mode=ro", uri=True, timeout=10)
        return self.server.connect(self.name)

    def rows(self, query: str) -> list[Sequence[Any]]:
        with closing(self.connect()) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(query)
            return list(cursor.fetchall())

    def execute(self, statement: str) -> None:
        writing = sqlite3.connect(self.name) if self.kind == "sqlite" else self.connect()
        with closing(writing) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(statement)
            connection.commit()

    def value(self, query: str) -> Any:
        """The one value of a query that gives one row of one column."""
        ((value,),) = self.rows(query)
        return value


@contextmanager
def fresh(
    kind: str, folder: Path, server: Server | None = None, template: Database | None = None
) -> Iterator[Database]:
    """An empty database, or a copy of one on the same server that nobody is connected to; dropped at the exit."""
    server = server or Server.of(kind)
    if kind == "sqlite":
        made = Database(kind, str(folder / "one-api.db"), server)
        if template is not None:
            with closing(template.connect()) as source, closing(sqlite3.connect(made.name)) as target:
                source.backup(target)
        yield made
        return
    name = f"{MARK}_{uuid.uuid4().hex[:12]}"
    make(name, server, template)
    try:
        yield Database(kind, name, server)
    finally:
        server.drop(name)


def make(name: str, server: Server, template: Database | None = None) -> None:
    """A database of PostgreSQL or MariaDB, empty or a copy."""
    if server.kind == "postgres":
        server.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template.name}" if template else ""))
        return
    server.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    if template is not None:
        _copy_tables(template, name)


def _copy_tables(template: Database, name: str) -> None:
    """MariaDB copies no database. It tells each table as the statement that makes it, keys and checks included."""
    with closing(template.connect()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute("SHOW TABLES")
        tables = [table for (table,) in cursor.fetchall()]
        statements = []
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            statements.append(cursor.fetchone()[1])
        cursor.execute(f"USE {name}")
        cursor.execute("SET foreign_key_checks = 0")  # a table may name one that comes later
        for table, statement in zip(tables, statements, strict=True):
            cursor.execute(statement)
            cursor.execute(f"INSERT INTO `{table}` SELECT * FROM {template.name}.`{table}`")
