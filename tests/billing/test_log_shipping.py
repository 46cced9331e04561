"""Log rows on their way to a database of their own: once each, whatever breaks, and never in a settlement's way."""

from __future__ import annotations

import asyncio
import copy
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query import QuerySet

from billing import batch, log_shipping
from billing.batch import post
from billing.models import Hold as HoldRow
from billing.models import Log, LogOutbox
from tests import databases
from tests.billing.money import (
    TRANSACTIONS,
    charges,
    hold,
    in_threads,
    key_of,
    now_holds,
    person,
    progress,
    settlement,
)
from tests.billing.test_books import aside, eventually, opened
from tests.databases import Database
from tests.ports import free_port
from tests.settings import KIND

pytestmark = [TRANSACTIONS, pytest.mark.timeout(60)]


def _alias(**changes: Any) -> None:
    """Make `logs` the main database's like, with these changes. New connections read it."""
    entry = copy.deepcopy(connections.databases["default"])
    options = entry["OPTIONS"]
    options.pop("pool", None)
    options.update(changes.pop("OPTIONS", {}))
    connections.databases["logs"] = {**entry, **changes}
    with suppress(AttributeError):
        del connections["logs"]


def _ensure_connection(self: BaseDatabaseWrapper) -> None:
    """Django's own. Its tests replace it by one that knows only the databases settings named before they began."""
    if self.connection is None:
        with self.wrap_database_errors:
            self.connect()


@pytest.fixture
def logs(settings, tmp_path, transactional_db, monkeypatch) -> Iterator[Database]:
    """A log database, as LOG_SQL_DSN makes one."""
    monkeypatch.setattr(BaseDatabaseWrapper, "ensure_connection", _ensure_connection)
    with databases.fresh(KIND, tmp_path) as made:
        _alias(NAME=made.name)
        settings.LOG_DATABASE_ALIAS = "logs"
        with connections["logs"].schema_editor() as editor:
            editor.create_model(Log)
        try:
            yield made
        finally:
            settings.LOG_DATABASE_ALIAS = "default"
            connections["logs"].close()
            del connections.databases["logs"]
            with suppress(AttributeError):
                del connections["logs"]


def settled(count: int = 1, charge: int = 5) -> list[str]:
    """Request ids of so many calls that have just been settled."""
    token = key_of(person(10**6))
    calls = [hold(token, charge) for _ in range(count)]
    post(calls)
    post([settlement(one, charge) for one in calls])
    return [one.request_id for one in calls]


def shipped() -> list[str]:
    return list(Log.objects.using("logs").filter(type=2).order_by("pk").values_list("request_id", flat=True))


def test_a_settlement_leaves_its_row_in_the_outbox(logs):
    (request_id,) = settled()

    assert LogOutbox.objects.get().row["request_id"] == request_id
    assert shipped() == []


def test_rows_are_shipped_once(logs):
    ids = settled(20)

    assert log_shipping.ship_left_over() == 20
    assert log_shipping.ship_left_over() == 0
    assert sorted(shipped()) == sorted(ids)
    row = Log.objects.using("logs").earliest("pk")
    assert (row.quota, row.model_name, row.uncollected) == (5, "gpt", 0)


def test_many_rows_are_shipped_in_turns(logs):
    settled(log_shipping.BATCH // 2 + 1)
    settled(log_shipping.BATCH // 2 + 1)

    assert [log_shipping.ship_left_over() for _ in range(3)] == [log_shipping.BATCH, 2, 0]
    assert len(shipped()) == len(set(shipped())) == log_shipping.BATCH + 2


def test_a_copy_interrupted_before_the_rows_are_deleted_is_not_made_twice(logs, monkeypatch):
    ids = settled(5)

    def cut(query: QuerySet[Any]) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(QuerySet, "delete", cut)
        with pytest.raises(OperationalError):
            log_shipping.ship_left_over()
    assert LogOutbox.objects.count() == 5

    log_shipping.ship_left_over()

    assert sorted(shipped()) == sorted(ids)
    assert not LogOutbox.objects.exists()


def test_rows_wait_for_a_log_database_that_is_away(logs):
    ids = settled(3)
    away = {"NAME": "/nowhere/logs.db"} if KIND == "sqlite" else {"HOST": "127.0.0.1", "PORT": str(free_port())}
    _alias(**away)

    with pytest.raises(DatabaseError):
        log_shipping.ship_left_over()
    assert LogOutbox.objects.count() == 3

    _alias(NAME=logs.name)
    assert log_shipping.ship_left_over() == 3
    assert sorted(shipped()) == sorted(ids)


def test_two_who_ship_at_once_ship_each_row_once(logs):
    ids = settled(60)

    def ship() -> None:
        for _ in range(50):
            try:
                if not log_shipping.ship_left_over():
                    return
            except OperationalError:
                time.sleep(0.02)

    assert in_threads([ship] * 4) == [None] * 4
    assert sorted(shipped()) == sorted(ids)
    assert not LogOutbox.objects.exists()


def test_one_row_the_log_database_refuses_does_not_stop_the_others(logs):
    ids = settled(3)
    bad = LogOutbox.objects.earliest("pk")
    bad.row["model_name"] = None  # whatever it is that the other database does not take
    bad.save()

    for _ in range(3):
        with suppress(DatabaseError):
            log_shipping.ship_left_over()

    assert len(shipped()) == 2
    assert set(shipped()) < set(ids)


async def test_the_books_ship_what_they_settle(logs):
    token = await aside(key_of, await aside(person, 10**6))
    async with opened() as ledger:
        one = hold(token, 5, worker=ledger.worker)
        await ledger.post(one)
        await ledger.post(settlement(one, 5))
        await eventually(lambda: shipped() == [one.request_id], 5)


async def test_what_stays_in_the_outbox_does_not_stop_the_sweeping(logs, settings):
    """A log database that is away for hours must not keep the holds of dead processes open (I5)."""
    settings.HOLD_TTL = 2
    user = await aside(person, 10**6)
    token = await aside(key_of, user)
    await aside(settled, 3)
    await aside(post, [hold(token, 100, worker="a worker that died")])
    _alias(**({"NAME": "/nowhere/logs.db"} if KIND == "sqlite" else {"HOST": "127.0.0.1", "PORT": str(free_port())}))

    async with opened():
        await eventually(lambda: now_holds(user) == 0, 10)


async def test_a_log_database_that_does_not_answer_delays_no_settlement(logs):
    """It takes the connection and then says nothing; on SQLite, somebody keeps the file locked."""
    token = await aside(key_of, await aside(person, 10**6))
    await aside(settled, 3)
    async with opened() as ledger:
        with Silence(logs):
            for _ in range(10):
                one = hold(token, 5, worker=ledger.worker)
                await asyncio.wait_for(ledger.post(one), 1.5)
                await asyncio.wait_for(ledger.post(settlement(one, 5)), 1.5)
                await asyncio.sleep(0.2)


async def test_a_row_of_a_newer_version_does_not_end_the_books(logs):
    """While nodes are upgraded one by one, a row may name a column that this version does not know."""
    token = await aside(key_of, await aside(person, 10**6))
    await aside(LogOutbox.objects.create, created_at=1, row={"request_id": "1", "type": 2, "created_at": 1, "new": 1})
    async with opened() as ledger:
        await asyncio.sleep(1.5)
        one = hold(token, 5, worker=ledger.worker)
        await asyncio.wait_for(ledger.post(one), 3)
        await asyncio.wait_for(ledger.post(settlement(one, 5)), 3)
        await eventually(lambda: set(shipped()) == {"1", one.request_id}, 5)


class Silence:
    """A log database that keeps its callers waiting."""

    def __init__(self, logs: Database) -> None:
        self._logs = logs

    def __enter__(self) -> None:
        if KIND == "sqlite":
            import sqlite3

            self._writer = sqlite3.connect(self._logs.name, isolation_level=None, check_same_thread=False)
            self._writer.execute("BEGIN EXCLUSIVE")
            return
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        _alias(HOST="127.0.0.1", PORT=str(port), OPTIONS={"connect_timeout": 2})

    def __exit__(self, *error: object) -> None:
        if KIND == "sqlite":
            self._writer.execute("COMMIT")
            self._writer.close()
        else:
            self._listener.close()
            _alias(NAME=self._logs.name)


def test_a_swept_stream_is_logged_there_too(logs):
    user = person(100)
    stream = hold(key_of(user), 60, username="alice")
    post([stream])
    post([progress(stream, 60, charge=33)])
    HoldRow.objects.update(expires_at=1)

    post(batch.expired())
    log_shipping.ship_left_over()

    assert charges() == {stream.request_id: 33}
    assert shipped() == [stream.request_id]


def test_without_a_log_database_nothing_is_shipped():
    settled()

    assert log_shipping.ship_left_over() == 0
    assert Log.objects.count() == 1
    assert connection.alias == "default"
