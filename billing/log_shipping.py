"""Bringing log rows to the log database (LOG_SQL_DSN).

Whoever moves money, or has something else to tell, writes the row into `log_outbox` in the main database, in the same
transaction; from there it is copied and then deleted. No lock of the main database is held meanwhile: a log database
that is slow or away delays nothing.

No row is copied twice. Into one log database one shipper copies at a time, whatever node it is on and however long that
takes it: a lock there, which ends with the copy's own transaction or connection, keeps the others out. And a copy whose
rows are still in the outbox, because it was interrupted before they were deleted, is found in the log by what the rows
say. Rows are claimed besides, because that lock is not everywhere one for all (older versions, beside this one during
an upgrade, know claims alone; some clusters lock each server for itself): what another has claimed is left to it.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction
from django.db.models import QuerySet

from billing.models import Log, LogOutbox, LogType

log = logging.getLogger(__name__)

BATCH = 500
PAUSE = 0.5  # seconds between two looks into the outbox
CLAIM = 60  # seconds after which a claim counts as given up
SET_ASIDE = 3600  # seconds until a row that the log database refused is tried again
LOCK = "one-api-ship-logs"
COLUMNS = frozenset(field.attname for field in Log._meta.concrete_fields)
OF_CALLS = frozenset({LogType.CONSUME, LogType.ERROR})  # a request id has one line of each
SAID = ("type", "request_id", "user_id", "created_at", "content")  # by which lines of other types are known again
REFUSED = (DatabaseError, TypeError, ValueError, OverflowError)  # what a single row may end in


def ship_left_over() -> int:
    """Copy up to BATCH waiting rows; returns how many were claimed: 0 also while another shipper is copying.

    Raises DatabaseError when either database is away; then nothing is lost, and the rows are tried again.
    """
    if settings.LOG_DATABASE_ALIAS == "default":
        return 0
    waiting = list(_free().order_by("pk").values_list("pk", flat=True)[:BATCH])
    if not waiting:
        return 0
    claim = uuid.uuid4().hex
    mine = LogOutbox.objects.filter(claim=claim)
    try:
        with _alone() as alone:
            if not alone:
                return 0
            _free().filter(pk__in=waiting).update(claim=claim, claimed_at=int(time.time()))
            rows = list(mine.order_by("pk"))
            copied = _copied(rows)
            if mine.count() < copied:
                log.warning("log rows: another shipper has claimed them meanwhile; its copy stands, and not this one")
                transaction.set_rollback(True, using=settings.LOG_DATABASE_ALIAS)
                return 0
        mine.delete()
    finally:
        mine.update(claim="", claimed_at=0)  # there are none, unless something came between
    return len(rows)


def _free() -> QuerySet[LogOutbox]:
    return LogOutbox.objects.filter(claimed_at__lt=int(time.time()) - CLAIM)


@contextmanager
def _alone() -> Iterator[bool]:
    """A transaction of the log database in which nobody else copies into it. False: somebody does so now."""
    alias = settings.LOG_DATABASE_ALIAS
    connection = connections[alias]
    match connection.vendor:
        case "postgresql":  # the transaction's own, since a pooler may give the next one another session
            with transaction.atomic(using=alias, durable=True), connection.cursor() as cursor:
                cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [zlib.crc32(LOCK.encode())])
                yield cursor.fetchone()[0]
        case "mysql":  # the session's; names are the server's, so this one carries the database's
            name = f"{LOCK}-{zlib.crc32(connection.settings_dict['NAME'].encode()):08x}"
            with connection.cursor() as cursor:
                cursor.execute("SELECT GET_LOCK(%s, 0)", [name])
                if cursor.fetchone()[0] != 1:
                    yield False
                    return
                try:
                    with transaction.atomic(using=alias, durable=True):
                        yield True
                finally:
                    with suppress(DatabaseError, InterfaceError):  # a connection that is lost has lost the lock, too
                        cursor.execute("SELECT RELEASE_LOCK(%s)", [name])
        case _:  # SQLite has one writer, for whom the others wait
            with transaction.atomic(using=alias, durable=True):
                yield True


def _copied(rows: Sequence[LogOutbox]) -> int:
    """How many of the rows are in the log database now: all but those that it refuses, which are set aside.

    What was refused is named in our own log, and claimed by nobody any more.
    """
    there = _there([row.row for row in rows])
    waiting = [row for row in rows if _identity(row.row) not in there]
    refused = [] if _inserted(waiting) else [row for row in waiting if not _inserted([row], told=True)]
    if refused:
        aside = LogOutbox.objects.filter(pk__in=[row.pk for row in refused])
        aside.update(claim="", claimed_at=int(time.time()) + SET_ASIDE)
    return len(rows) - len(refused)


def _inserted(rows: Sequence[LogOutbox], *, told: bool = False) -> bool:
    """False where the log database refuses one of them; then none is in it. Raises OperationalError: it is away."""
    alias = settings.LOG_DATABASE_ALIAS
    try:
        with transaction.atomic(using=alias):
            Log.objects.using(alias).bulk_create([Log(**_known(row.row)) for row in rows])
    except OperationalError:
        raise
    except REFUSED as error:
        if told:
            log.warning("log row #%d is not taken by the log database: %s", rows[0].pk, type(error).__name__)
        return False
    return True


def _there(rows: Sequence[Mapping[str, Any]]) -> set[tuple[Any, ...]]:
    """The identities of such lines as the log database has already, of which copies were interrupted."""
    logs = Log.objects.using(settings.LOG_DATABASE_ALIAS)
    identities = [_identity(row) for row in rows]
    calls = [one[1] for one in identities if one[0] in OF_CALLS]
    others = [one for one in identities if one[0] not in OF_CALLS]
    found: set[tuple[Any, ...]] = set()
    if calls:
        found |= set(logs.filter(request_id__in=calls, type__in=OF_CALLS).values_list("type", "request_id"))
    if others:
        kinds, moments = {one[0] for one in others}, {one[3] for one in others}
        found |= set(logs.filter(type__in=kinds, created_at__in=moments).values_list(*SAID))
    return found


def _identity(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """(type, request id) of a line of a call, and of another one what SAID names."""
    kind, request_id = row.get("type", LogType.CONSUME), row.get("request_id", "")
    if kind in OF_CALLS:
        return kind, request_id
    return kind, request_id, row.get("user_id", 0), row.get("created_at", 0), row.get("content", "")


def _known(row: Mapping[str, Any]) -> dict[str, Any]:
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
            except Exception:
                # The edge of this thread: whatever is wrong with one row, or for a moment, must not end the shipping.
                log.exception("log rows wait")
                connections.close_all()
            self._stopping.wait(pause)
        connections.close_all()
