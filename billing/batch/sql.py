"""The few statements that every part of the transaction needs, against the driver's cursor.

A model instance per row would cost more than the row.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import IntegrityError, OperationalError, connection

MOST_AT_ONCE = 64  # rows of one statement
INTEGERS = frozenset({"smallint", "integer", "bigint"})  # of PostgreSQL
# What MySQL's drivers take for an error of operation, though the row is to blame and no second attempt will help: a
# value missing (1048) or out of its range (1690), a check constraint broken on MySQL (3819) or on MariaDB (4025).
# As Django's own wrapper has them (django.db.backends.mysql.base.CursorWrapper).
ROW_IS_WRONG = frozenset({1048, 1690, 3819, 4025})


class Cursor:
    """The driver's own cursor, without the wrappers around it: `%s` marks on every database, statements known by heart.

    Django's wrappers rewrite a statement's marks each time, which costs more than small statements themselves.
    """

    def __init__(self, raw: Any, vendor: str) -> None:
        self._raw = raw
        self.vendor = vendor
        self._own_marks = vendor == "sqlite"
        self.fetchall = raw.fetchall

    def execute(self, statement: str, values: Sequence[Any]) -> None:
        self._raw.execute(_question_marks(statement) if self._own_marks else statement, values)

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        self._raw.executemany(_question_marks(statement) if self._own_marks else statement, rows)

    @property
    def rowcount(self) -> int:
        return int(self._raw.rowcount)


class Logged:
    """Django's wrapper, which logs statements, in the form of `Cursor`."""

    def __init__(self, wrapped: Any) -> None:
        self.vendor = connection.vendor
        self.execute, self.executemany, self.fetchall = wrapped.execute, wrapped.executemany, wrapped.fetchall
        self._wrapped = wrapped

    @property
    def rowcount(self) -> int:
        return int(self._wrapped.rowcount)


@lru_cache(maxsize=1024)
def _question_marks(statement: str) -> str:
    return statement.replace("%s", "?")


@contextmanager
def open_cursor() -> Iterator[Any]:
    """A cursor inside the running transaction; errors come as django.db's. DEBUG_SQL keeps the wrapper that logs."""
    if settings.DEBUG_SQL:
        with connection.cursor() as wrapped:
            yield Logged(wrapped)
        return
    try:
        with connection.wrap_database_errors, closing(connection.connection.cursor()) as raw:
            yield Cursor(raw, connection.vendor)
    except OperationalError as error:
        if connection.vendor == "mysql" and error.args and error.args[0] in ROW_IS_WRONG:
            raise IntegrityError(*error.args) from error
        raise


def insert(cursor: Any, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], *, ending: str = "") -> None:
    """Rows in statements of 64, 32, … 1 rows: few different texts, so that driver and database know them by heart.

    `ending` says what to do about rows that are there already. PostgreSQL takes all rows as one value, in JSON: its
    driver writes values into the text one by one, and the server would read each of them out of it again.
    """
    if cursor.vendor == "postgresql":
        if rows:
            cursor.execute(_insertion_of_json(table, columns, ending), (json.dumps(rows, ensure_ascii=False),))
        return
    start = 0
    while start < len(rows):
        count = min(MOST_AT_ONCE, 1 << ((len(rows) - start).bit_length() - 1))
        part = rows[start : start + count]
        cursor.execute(_insertion(cursor.vendor, table, columns, count, ending), list(chain.from_iterable(part)))
        start += count


@lru_cache(maxsize=256)
def _insertion(vendor: str, table: str, columns: Sequence[str], count: int, ending: str) -> str:
    """`vendor` is part of what is remembered: each quotes names in its own way."""
    return f"{_into(table, columns)} VALUES " + ", ".join([_marks(len(columns))] * count) + ending


@lru_cache(maxsize=64)
def _insertion_of_json(table: str, columns: Sequence[str], ending: str) -> str:
    """One value: a list of rows, each a list in the order of `columns`.

    Read as an insertion would take them: texts without their column's length, for a cast would cut them off where an
    insertion refuses them; numbers by way of `numeric`, for `bigint` does not read the 12.0 of a careless provider.
    """
    model = next(one for one in apps.get_models() if one._meta.db_table == table)
    kinds = {one.column: str(one.rel_db_type(connection)).partition("(")[0] for one in model._meta.concrete_fields}
    kinds |= {column: f"numeric::{kind}" for column, kind in kinds.items() if kind in INTEGERS}
    values = ", ".join(f"(r ->> {i})::{kinds[column]}" for i, column in enumerate(columns))
    return f"{_into(table, columns)} SELECT {values} FROM jsonb_array_elements(%s::jsonb) AS r{ending}"  # noqa: S608


def _into(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(connection.ops.quote_name(column) for column in columns)
    return f"INSERT INTO {table} ({names})"


def delete_holds(cursor: Any, request_ids: list[str]) -> None:
    if request_ids:
        values = _padded(request_ids)
        cursor.execute(f"DELETE FROM holds WHERE request_id IN {_marks(len(values))}", values)  # noqa: S608


@lru_cache(maxsize=64)
def _marks(count: int) -> str:
    return "(" + ", ".join(["%s"] * count) + ")"


def _padded(values: Sequence[Any]) -> list[Any]:
    """The values, the last one repeated up to a power of two: the same set, in one of few statements."""
    return [*values, *[values[-1]] * ((1 << (len(values) - 1).bit_length()) - len(values))]


def select_in(cursor: Any, query: str, values: Sequence[Any], *, lock: bool = False) -> list[Any]:
    """Rows whose key is one of `values`; with `lock`, in key order and kept from others until commit."""
    if not values:
        return []
    values = _padded(values)
    suffix = ""
    if lock and connection.features.has_select_for_update:
        suffix = f" ORDER BY {query.split('WHERE ')[1].split(' ', maxsplit=1)[0]} FOR UPDATE"
    cursor.execute(f"{query} {_marks(len(values))}{suffix}", values)
    return list(cursor.fetchall())
