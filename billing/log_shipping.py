"""Bringing log rows to the log database (LOG_SQL_DSN).

A settlement writes its row into `log_outbox` in the main database, in its own transaction; from there it is copied
and then deleted. A copy interrupted half-way is noticed by the row's request id and not made twice.
"""

from __future__ import annotations

from django.conf import settings
from django.db import transaction

from billing.models import Log, LogOutbox

BATCH = 500


def ship_left_over() -> int:
    """Copy up to BATCH waiting rows; returns how many. One worker at a time holds the rows it copies."""
    alias = settings.LOG_DATABASE_ALIAS
    if alias == "default":
        return 0
    with transaction.atomic(durable=True):
        rows = list(LogOutbox.objects.select_for_update().order_by("pk")[:BATCH])
        if not rows:
            return 0
        request_ids = [row.row["request_id"] for row in rows]
        there = set(
            Log.objects.using(alias).filter(request_id__in=request_ids, type=2).values_list("request_id", flat=True)
        )
        Log.objects.using(alias).bulk_create([Log(**row.row) for row in rows if row.row["request_id"] not in there])
        LogOutbox.objects.filter(pk__in=[row.pk for row in rows]).delete()
    return len(rows)
