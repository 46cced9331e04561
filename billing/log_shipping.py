"""Bringing log rows to the log database (LOG_SQL_DSN).

A settlement writes its row into `log_outbox` in the main database, in its own transaction; from there it is copied
and then deleted. A shipper claims rows before it copies them, so that two never copy the same, and holds no lock of the
main database meanwhile: a log database that is slow or away delays nothing. A copy interrupted half-way is noticed by
the rows' request ids and not made twice.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections

from billing.models import Log, LogOutbox, LogType

log = logging.getLogger(__name__)

BATCH = 500
PAUSE = 0.5  # seconds between two looks into the outbox
CLAIM = 60  # seconds after which a claim counts as given up
SET_ASIDE = 3600  # seconds until a row that the log database refused is tried again
COLUMNS = frozenset(field.attname for field in Log._meta.concrete_fields)


def ship_left_over() -> int:
    """Copy up to BATCH waiting rows; returns how many were claimed.

    Raises DatabaseError when either database is away; then nothing is lost, and the rows are tried again.
    """
    if settings.LOG_DATABASE_ALIAS == "default":
        return 0
    rows = _claimed()
    if not rows:
        return 0
    try:
        LogOutbox.objects.filter(pk__in=_copied(rows)).delete()
    except (DatabaseError, InterfaceError):
        LogOutbox.objects.filter(pk__in=[row.pk for row in rows]).update(claimed_at=0)
        raise
    return len(rows)


def _claimed() -> list[LogOutbox]:
    now = int(time.time())
    free = LogOutbox.objects.filter(claimed_at__lt=now - CLAIM)
    ids = list(free.order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not ids:
        return []
    mine = uuid.uuid4().hex
    free.filter(pk__in=ids).update(claim=mine, claimed_at=now)
    return list(LogOutbox.objects.filter(claim=mine).order_by("pk"))


def _copied(rows: list[LogOutbox]) -> list[int]:
    """Ids of the rows that are in the log database now. What it refuses is set aside, and named in our own log."""
    logs = Log.objects.using(settings.LOG_DATABASE_ALIAS)
    request_ids = [row.row["request_id"] for row in rows]
    found = logs.filter(request_id__in=request_ids, type__in=(LogType.CONSUME, LogType.ERROR))
    there = set(found.values_list("request_id", "type"))
    waiting = [row for row in rows if (row.row["request_id"], row.row.get("type", LogType.CONSUME)) not in there]
    try:
        logs.bulk_create([Log(**_known(row.row)) for row in waiting])
        return [row.pk for row in rows]
    except OperationalError:
        raise
    except (DatabaseError, TypeError, ValueError, OverflowError):
        pass  # one of them is the cause: find it
    refused = []
    for row in waiting:
        try:
            logs.bulk_create([Log(**_known(row.row))])
        except OperationalError:
            raise
        except (DatabaseError, TypeError, ValueError, OverflowError) as error:
            log.warning("log row #%d is not taken by the log database: %s", row.pk, type(error).__name__)
            refused.append(row.pk)
    LogOutbox.objects.filter(pk__in=refused).update(claimed_at=int(time.time()) + SET_ASIDE)
    return [row.pk for row in rows if row.pk not in refused]


def _known(row: dict[str, Any]) -> dict[str, Any]:
    """The columns this version has: a newer one beside it, during an upgrade, may write more."""
    return {name: value for name, value in row.items() if name in COLUMNS}


class Shipper:
    """One thread a worker, with connections of its own."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log-shipping", daemon=True)

    def start(self) -> None:
        if settings.LOG_DATABASE_ALIAS != "default":
            self._thread.start()

    def stop(self) -> None:
        """What is still waiting stays in the outbox for the next worker."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            pause = PAUSE
            try:
                if ship_left_over() >= BATCH:
                    pause = 0.0
            except (DatabaseError, InterfaceError) as error:
                log.warning("log rows wait: %s", type(error).__name__)
                connections.close_all()
            self._stopping.wait(pause)
        connections.close_all()
