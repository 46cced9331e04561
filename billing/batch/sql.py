"""The few statements that every part of the transaction needs, against the driver's cursor.

A model instance per row would cost more than the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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


def raise_held(cursor: CursorWrapper, table: str, balance: str, row_id: int, amount: int) -> bool:
    cursor.execute(
        f"UPDATE {table} SET held = held + %s WHERE id = %s AND status = 1 AND {balance} - held >= %s",  # noqa: S608
        (amount, row_id, amount),
    )
    return bool(cursor.rowcount)


@dataclass(slots=True)
class Purse:
    """A user's balance or a limited token's, locked for this transaction."""

    balance: int
    held: int
    enabled: bool

    @property
    def free(self) -> int:
        return self.balance - self.held


def lock_purses(cursor: CursorWrapper, table: str, balance: str, ids: Iterable[int]) -> dict[int, Purse]:
    query = f"SELECT id, {balance}, held, status FROM {table} WHERE id IN"  # noqa: S608
    rows = select_in(cursor, query, sorted(set(ids)), lock=True)
    return {row[0]: Purse(row[1], row[2], row[3] == 1) for row in rows}
