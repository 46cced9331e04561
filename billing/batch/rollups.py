"""Sums of usage by hour and by day, raised with what a transaction has settled: one statement for each table.

Rows are written in the order of their keys, so that transactions of several workers wait for each other but do not
deadlock. Calls of one user meet here only after they have met at the user's own row, failures alone excepted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from django.db import connection

from billing.batch.entries import Failure, Settlement
from billing.batch.sql import insert

HOUR, DAY = 3600, 86_400  # seconds
MAX_NAME, MAX_GROUP = 191, 64  # characters
MOST_TOKENS = 10**10  # of one call: a sum of what an upstream makes up must not leave its column

PERIODS = (("usage_hours", "hour", HOUR), ("usage_days", "day", DAY))
OF = ("user_id", "token_id", "channel_id", "model_name", "group")
SUMS = ("requests", "errors", "prompt_tokens", "completion_tokens", "cached_tokens", "quota", "elapsed")


class Of(NamedTuple):
    """What a sum is kept for, within one period."""

    user_id: int
    token_id: int
    channel_id: int
    model_name: str
    group: str


class Usages:
    """What one transaction adds. Empty is nothing to write."""

    def __init__(self) -> None:
        self._added: dict[Of, list[Sequence[int]]] = {}

    def __bool__(self) -> bool:
        return bool(self._added)

    def settled(self, entry: Settlement, charge: int) -> None:
        told = entry.log.get
        self.add(
            Of(entry.user_id, entry.token_id, entry.channel_id, told("model_name", "")[:MAX_NAME], told("group", "")),
            (
                1, 1 if told("error_code") else 0, min(told("prompt_tokens", 0), MOST_TOKENS),
                min(told("completion_tokens", 0), MOST_TOKENS), min(told("cached_tokens", 0), MOST_TOKENS), charge,
                told("elapsed_time", 0),
            ),
        )  # fmt: skip

    def failed(self, entry: Failure) -> None:
        told = entry.log.get
        key = Of(entry.user_id, entry.token_id, entry.channel_id, entry.model_name[:MAX_NAME], told("group", ""))
        self.add(key, (1, 1, 0, 0, 0, 0, told("elapsed_time", 0)))

    def add(self, key: Of, numbers: Sequence[int]) -> None:
        """`numbers` as in SUMS."""
        added = self._added.get(key)
        if added is None:
            self._added[key] = [numbers]
        else:
            added.append(numbers)

    def write(self, cursor: Any, moment: int) -> None:
        """Into the hour and the day of this moment (Unix seconds)."""
        sums = {key: tuple(map(sum, zip(*added, strict=True))) for key, added in self._added.items()}
        for table, period, length in PERIODS:
            upsert(cursor, table, period, {(moment - moment % length, *key): sums[key] for key in sums})


def upsert(cursor: Any, table: str, period: str, rows: Mapping[tuple[Any, ...], Sequence[int]]) -> None:
    """Add the sums to their rows, and make those that are not there yet. Keys: (period, *Of)."""
    insert(
        cursor,
        table,
        (period, *OF, *SUMS),
        [(*key, *rows[key]) for key in sorted(rows)],
        ending=_adding(cursor.vendor, table, period),
    )


@lru_cache(maxsize=16)
def _adding(vendor: str, table: str, period: str) -> str:
    """What makes of an insertion an addition."""
    if vendor == "mysql":
        return " ON DUPLICATE KEY UPDATE " + ", ".join(f"{name} = {name} + VALUES({name})" for name in SUMS)
    key = ", ".join(connection.ops.quote_name(name) for name in (period, *OF))
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return f" ON CONFLICT ({key}) DO UPDATE SET {sums}"
