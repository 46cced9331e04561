"""Calls that failed and cost nothing: counted, and a log line each where it is wanted. No balance is touched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings

from billing.batch.entries import Failure
from billing.batch.logs import ERROR, log_row, write
from billing.batch.rollups import Usages
from billing.batch.sql import select_in


def record(cursor: Any, failures: Sequence[Failure], usages: Usages, now: int) -> None:
    for failure in failures:
        usages.failed(failure)
    write(cursor, [log_row(ERROR, failure, 0, 0, now) for failure in failures if failure.logged], now)


def not_yet_recorded(cursor: Any, failures: Sequence[Failure]) -> list[Failure]:
    """Those that an attempt before, which ended with an error, did not write after all.

    Of what leaves no line in this database, or leaves it for a log database of its own, none is left: an error too
    few is better than one too many.
    """
    if settings.LOG_DATABASE_ALIAS != "default":
        return []
    ids = [failure.request_id for failure in failures if failure.logged]
    query = f"SELECT request_id FROM logs WHERE type = {ERROR} AND request_id IN"  # noqa: S608
    written = {row[0] for row in select_in(cursor, query, ids)}
    return [failure for failure in failures if failure.logged and failure.request_id not in written]
