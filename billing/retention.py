"""Log lines older than LOG_RETENTION_DAYS go, a batch at a time. The ledger stays: balances are proved by it."""

from __future__ import annotations

import time
from collections.abc import Iterator

from django.conf import settings

from audit.services import SYSTEM, Actor, record
from billing.models import Log, LogType, UsageCatchUp
from jobs.resting import Pause, with_rests
from jobs.running import Context

DAY = 86_400  # seconds
BATCH = 1000  # lines of one DELETE


def purge(before: int, *, actor: Actor = SYSTEM, pause: Pause | None = None) -> int:
    """Delete the lines written before this second, oldest first; returns how many.

    `pause(seconds)` waits between two batches and says True to end early; what is left goes the next time. What was
    deleted is recorded in the audit, also when it ends early or a batch fails.
    """
    purged = 0
    try:
        for deleted in with_rests(_batches(before), pause):
            purged += deleted
    finally:
        if purged:
            record(actor, "log.purge", "logs", before=before, rows=purged)
    return purged


def keep_days(days: int, *, pause: Pause | None = None) -> int:
    """Purge what is older than `days` days; 0 keeps everything."""
    return purge(int(time.time()) - days * DAY, pause=pause) if days > 0 else 0


def scheduled(context: Context) -> None:
    """The hourly run (jobs.table)."""
    context.report({"purged": keep_days(settings.LOG_RETENTION_DAYS, pause=context.pause)})


def _batches(before: int) -> Iterator[int]:
    passed = UsageCatchUp.objects.filter(pk=1).values_list("last_id", flat=True).first() or 0
    waiting = {"type": LogType.CONSUME, "status": 0, "pk__gt": passed}  # for the sums of usage to take them up
    rows = Log.objects.filter(created_at__lt=before).exclude(**waiting)
    old = rows.order_by("created_at").values_list("pk", flat=True)
    while ids := list(old[:BATCH]):
        yield Log.objects.filter(pk__in=ids).delete()[0]
