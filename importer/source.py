"""Reading an existing One API database: SQLite, MySQL or PostgreSQL, through a connection of its own that cannot write.

The reference made its tables by itself over the years, so a column or a whole table may be missing; callers ask for
the columns they know and get the ones there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import DatabaseError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import ConnectionHandler

from config import dsn

ALIAS = "source"
PAGE = 5_000  # rows read at a time
OURS = "ledger_entries"  # a table of this program that the reference does not have


class CannotRead(Exception):
    """The source cannot be used; the message is one line and holds no password."""


class Source:
    """A database of the reference. `name` says which one, without its password."""

    def __init__(self, connection: BaseDatabaseWrapper, name: str) -> None:
        self.name = name
        self._connection = connection
        self._columns: dict[str, frozenset[str]] = {}
        with connection.cursor() as cursor:
            self._tables = frozenset(connection.introspection.table_names(cursor))

    def has(self, table: str) -> bool:
        return table in self._tables

    def columns(self, table: str) -> frozenset[str]:
        """Names of the columns; nothing where there is no such table."""
        if table not in self._columns:
            found: frozenset[str] = frozenset()
            if self.has(table):
                with self._connection.cursor() as cursor:
                    cursor.execute(f"SELECT * FROM {self._quote(table)} WHERE 1 = 0")  # noqa: S608
                    found = frozenset(column[0] for column in cursor.description)
            self._columns[table] = found
        return self._columns[table]

    def rows(self, table: str, wanted: Sequence[str], first_id: int | None = None) -> Iterator[dict[str, Any]]:
        """The rows by id, beginning with `first_id`, with those of the `wanted` columns that the table has."""
        columns = [name for name in wanted if name in self.columns(table)]
        if not columns:
            return
        names = ", ".join(map(self._quote, columns))
        if "id" not in columns:
            for row in self._all(f"SELECT {names} FROM {self._quote(table)}"):  # noqa: S608
                yield dict(zip(columns, row, strict=True))
            return
        place = columns.index("id")
        select = f"SELECT {names} FROM {self._quote(table)} WHERE id >= %s ORDER BY id LIMIT {PAGE}"  # noqa: S608
        lowest = first_id if first_id is not None else self._lowest_id(table)
        while lowest is not None and (page := self._all(select, [lowest])):
            for row in page:
                yield dict(zip(columns, row, strict=True))
            lowest = page[-1][place] + 1 if len(page) == PAGE else None

    def count(self, table: str) -> int:
        return self.sums(table, ())[0]

    def sums(self, table: str, columns: Sequence[str], first_id: int | None = None) -> list[int]:
        """How many rows, then the sum of each column, by the source's own arithmetic; a missing column sums to 0."""
        if not self.has(table):
            return [0] * (len(columns) + 1)
        there = self.columns(table)
        wanted = ", ".join(
            ["COUNT(*)", *(f"COALESCE(SUM({self._quote(name)}), 0)" if name in there else "0" for name in columns)]
        )
        where, values = ("WHERE id >= %s", [first_id]) if first_id is not None else ("", [])
        (found,) = self._all(f"SELECT {wanted} FROM {self._quote(table)} {where}", values)  # noqa: S608
        return [int(value) for value in found]

    def newest_ids_begin(self, table: str, count: int) -> int | None:
        """The id at which the newest `count` rows begin; None where the table has no more than that."""
        query = f"SELECT id FROM {self._quote(table)} ORDER BY id DESC LIMIT 2 OFFSET {max(count - 1, 0)}"  # noqa: S608
        found = [row[0] for row in self._all(query)]
        if count == 0:
            return int(found[0]) + 1 if found else None
        return int(found[0]) if len(found) == 2 else None

    def consumption(self) -> dict[int, tuple[int, int]]:
        """For each user id of the consume logs: how many there are and the sum of their quota."""
        if not {"user_id", "type", "quota"} <= self.columns("logs"):
            return {}
        query = "SELECT user_id, COUNT(*), COALESCE(SUM(quota), 0) FROM logs WHERE type = 2 GROUP BY user_id"
        return {int(user or 0): (int(count), int(quota)) for user, count, quota in self._all(query)}

    def _lowest_id(self, table: str) -> int | None:
        ((lowest,),) = self._all(f"SELECT MIN(id) FROM {self._quote(table)}")  # noqa: S608
        return None if lowest is None else int(lowest)

    def _quote(self, name: str) -> str:
        return self._connection.ops.quote_name(name)

    def _all(self, query: str, values: Sequence[Any] = ()) -> list[Sequence[Any]]:
        try:
            with self._connection.cursor() as cursor:
                cursor.execute(query, list(values))
                return list(cursor.fetchall())
        except DatabaseError as error:
            raise CannotRead(f"the source could not be read: {_one_line(error)}") from None


@contextmanager
def opened(address: str) -> Iterator[Source]:
    """The database at a file's path, a URL or an address in Go's notation. Raises CannotRead."""
    entry, name = _entry(address)
    connection = ConnectionHandler({"default": {}, ALIAS: entry})[ALIAS]
    connection.features.minimum_database_version = None  # only the plainest SQL is asked of it, so old servers will do
    try:
        try:
            _begin(connection)
            source = Source(connection, name)
        except DatabaseError as error:
            raise CannotRead(f"{name} cannot be opened: {_one_line(error)}") from None
        _check(source)
        yield source
    finally:
        connection.close()


def _check(source: Source) -> None:
    if source.has(OURS):
        raise CannotRead(f"{source.name} is a database of this program, not of One API")
    if not any(source.has(table) for table in ("users", "logs")):
        raise CannotRead(f"{source.name} is no database of One API: it has neither a table users nor a table logs")


def _entry(address: str) -> tuple[dict[str, Any], str]:
    """Django's settings of the connection, and its name for people."""
    path = Path(address.partition("?")[0])  # the reference's SQLITE_PATH may carry parameters of its driver
    if path.is_file():
        return _sqlite(path)
    try:
        entry = dsn.database(address, dsn.Pool(idle=0))
    except dsn.BadDsn as error:
        raise CannotRead(f"this is no file, and as an address: {error}") from None
    if entry["ENGINE"].endswith("sqlite3"):
        return _sqlite(Path(entry["NAME"]))
    if entry["ENGINE"].endswith("mysql"):
        import pymysql

        pymysql.install_as_MySQLdb()
        entry["OPTIONS"]["isolation_level"] = "repeatable read"
    port = f":{entry['PORT']}" if entry["PORT"] else ""
    return entry, f"{entry['ENGINE'].rpartition('.')[2]} {entry['HOST']}{port}/{entry['NAME']}"


def _sqlite(path: Path) -> tuple[dict[str, Any], str]:
    if not path.is_file():
        raise CannotRead(f"there is no file {path}")
    uri = f"file:{quote(str(path.absolute()))}?mode=ro"
    options = {"uri": True, "timeout": 30}
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": uri, "OPTIONS": options}, f"sqlite {path}"


def _begin(connection: BaseDatabaseWrapper) -> None:
    """One read-only snapshot for all that follows, where the server can; an SQLite file is opened for reading only."""
    connection.ensure_connection()
    match connection.vendor:
        case "postgresql":
            setting = "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
        case "mysql":
            setting = "SET SESSION TRANSACTION READ ONLY"
        case _:
            connection.connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            return
    with connection.cursor() as cursor:
        cursor.execute(setting)
    connection.set_autocommit(False)


def _one_line(error: DatabaseError) -> str:
    return " ".join(str(error).split())
