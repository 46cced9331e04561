"""The few statements that every part of the transaction needs, against the driver's cursor.

A model instance per row would cost more than the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connection
from django.db.backends.utils import CursorWrapper


def insert(cursor: CursorWrapper, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    if not rows:
        return
    quote = connection.ops.quote_name
    names = ", ".join(quote(column) for column in columns)
    marks = "(" + ", ".join(["%s"] * len(columns)) + ")"
    values = ", ".join([marks] * len(rows))
    cursor.execute(
        f"INSERT INTO {table} ({names}) VALUES {values}",  # noqa: S608
        [value for row in rows for value in row],
    )


def delete_holds(cursor: CursorWrapper, request_ids: list[str]) -> None:
    if request_ids:
        marks = ", ".join(["%s"] * len(request_ids))
        cursor.execute(f"DELETE FROM holds WHERE request_id IN ({marks})", request_ids)  # noqa: S608


def select_in(cursor: CursorWrapper, query: str, values: Sequence[Any], *, lock: bool = False) -> list[Any]:
    """Rows whose key is one of `values`; with `lock`, in key order and kept from others until commit."""
    if not values:
        return []
    marks = ", ".join(["%s"] * len(values))
    key = query.split("WHERE ")[1].split(" ", maxsplit=1)[0]
    suffix = f" ORDER BY {key} FOR UPDATE" if lock and connection.features.has_select_for_update else ""
    cursor.execute(f"{query} ({marks}){suffix}", list(values))
    return list(cursor.fetchall())
