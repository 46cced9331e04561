"""Bringing the databases to the schema of this version, by one process at a time."""

from __future__ import annotations

import fcntl
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management import call_command
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.executor import MigrationExecutor

LOCK = "one-api-migrate"
LOCK_WAIT = 600  # seconds; another master may be migrating a large table


class StillMigrating(RuntimeError):
    """Another process has held the migration lock for longer than LOCK_WAIT."""


def pending(alias: str) -> list[str]:
    """The migrations of this version that the database lacks, as `app.name`."""
    executor = MigrationExecutor(connections[alias])
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _ in plan]


def migrate(alias: str) -> list[str]:
    """Apply what is pending, under the lock; returns what was applied, nothing where nothing was pending."""
    if not pending(alias):
        return []
    with locked(alias):
        missing = pending(alias)  # another process may have done it while this one waited
        if missing:
            _prepare(connections[alias])
            call_command("migrate", database=alias, interactive=False, verbosity=0)
        return missing


@contextmanager
def locked(alias: str) -> Iterator[None]:
    """One process in the whole deployment at a time. Raises StillMigrating."""
    connection = connections[alias]
    match connection.vendor:
        case "postgresql":
            with _advisory_lock(connection):
                yield
        case "mysql":
            with _named_lock(connection):
                yield
        case _:
            with _file_lock(Path(f"{connection.settings_dict['NAME']}.migrate.lock")):
                yield


@contextmanager
def _advisory_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Of a transaction on a connection of its own: a pooler of transactions gives each statement another session."""
    key = zlib.crc32(LOCK.encode())
    own = connection.copy()
    try:
        own.set_autocommit(False)
        with own.cursor() as cursor:
            deadline = time.monotonic() + LOCK_WAIT
            while True:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [key])
                if cursor.fetchone()[0]:
                    break
                _wait_or_give_up(deadline)
        yield
    finally:
        own.close()  # which ends the transaction, and the lock with it


@contextmanager
def _named_lock(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """The name is the server's, not the database's, so it carries the database's; 64 characters at most."""
    name = f"{LOCK}-{zlib.crc32(connection.settings_dict['NAME'].encode()):08x}"
    with connection.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, %s)", [name, LOCK_WAIT])
        if cursor.fetchone()[0] != 1:
            raise StillMigrating(LOCK_WAIT)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT RELEASE_LOCK(%s)", [name])


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    """The kernel frees the lock when the process ends, however it ends; the empty file stays."""
    with path.open("a") as file:
        deadline = time.monotonic() + LOCK_WAIT
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                _wait_or_give_up(deadline)
        yield


def _wait_or_give_up(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise StillMigrating(LOCK_WAIT)
    time.sleep(0.2)


def _prepare(connection: BaseDatabaseWrapper) -> None:
    """An empty MySQL database gets the character set and the exact comparison that the other two have anyway."""
    if connection.vendor != "mysql" or connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        name = connection.ops.quote_name(connection.settings_dict["NAME"])
        cursor.execute(f"ALTER DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
