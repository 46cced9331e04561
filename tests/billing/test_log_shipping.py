"""Log rows on their way to a database of their own: once each, whatever breaks, and never in a settlement's way."""

from __future__ import annotations

import asyncio
import copy
import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models.query import QuerySet

from accounts.adjusting import How, adjust_quota
from accounts.models import Role, User
from accounts.top_ups import top_up
from audit.services import SYSTEM
from billing import log_shipping
from billing.batch import Failure, post
from billing.models import Hold as HoldRow
from billing.models import Log, LogOutbox, LogType, UsageHour
from billing.services import write_log
from redemptions.services import create_codes, redeem
from tests import databases
from tests.billing.money import (
    TRANSACTIONS,
    charges,
    expired,
    hold,
    in_threads,
    key_of,
    new_id,
    now_holds,
    person,
    progress,
    quota,
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


def _under_a_copy(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], object]) -> None:
    """Something happens once, when rows are claimed and about to be inserted."""
    real, done = QuerySet.bulk_create, threading.Event()

    def bulk_create(query: QuerySet[Any], *arguments: Any, **named: Any) -> Any:
        if query.model is Log and not done.is_set():
            done.set()
            happens()
        return real(query, *arguments, **named)

    monkeypatch.setattr(QuerySet, "bulk_create", bulk_create)


def test_a_copy_slower_than_its_claim_stays_the_only_one(logs, monkeypatch):
    ids = settled(3)
    slow, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        slow.set()
        assert go_on.wait(30)

    def another() -> int:
        assert slow.wait(30)
        LogOutbox.objects.update(claimed_at=int(time.time()) - log_shipping.CLAIM - 1)
        try:
            return log_shipping.ship_left_over()
        except OperationalError:  # SQLite's one writer is the other one
            return 0
        finally:
            go_on.set()

    _under_a_copy(monkeypatch, wait)

    assert in_threads([log_shipping.ship_left_over, another]) == [3, 0]
    assert sorted(shipped()) == sorted(ids)
    assert not LogOutbox.objects.exists()


def test_what_another_has_claimed_meanwhile_is_left_to_it(logs, monkeypatch):
    """Where the lock is not one for all, as beside an older version during an upgrade."""
    ids = settled(3)
    now = int(time.time())
    _under_a_copy(monkeypatch, lambda: LogOutbox.objects.update(claim="another", claimed_at=now))

    assert log_shipping.ship_left_over() == 0

    assert shipped() == []
    assert list(LogOutbox.objects.values_list("claim", "claimed_at")) == [("another", now)] * 3
    LogOutbox.objects.update(claimed_at=0)  # it died
    assert log_shipping.ship_left_over() == 3
    assert sorted(shipped()) == sorted(ids)


def test_who_fails_lets_go_of_its_own_rows_alone(logs, monkeypatch):
    ids = settled(3)
    first = LogOutbox.objects.earliest("pk").pk
    now = int(time.time())

    def fail() -> None:
        LogOutbox.objects.exclude(pk=first).update(claim="another", claimed_at=now)
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        _under_a_copy(patched, fail)
        with pytest.raises(OperationalError):
            log_shipping.ship_left_over()

    claims = list(LogOutbox.objects.order_by("pk").values_list("claim", "claimed_at"))
    assert claims == [("", 0), ("another", now), ("another", now)]
    LogOutbox.objects.update(claimed_at=0)
    log_shipping.ship_left_over()
    assert sorted(shipped()) == sorted(ids)


def test_lines_of_one_request_that_are_no_calls_are_known_again_one_by_one(logs, monkeypatch):
    """A registration has several, and none that tells them apart but what it says; tests have not even a request."""
    user = person(5)
    told = ("a gift", "an invitation")
    for content in told:
        write_log(user.pk, LogType.SYSTEM, content, username=user.username, request_id="one-request")
    write_log(0, LogType.TEST, "a test", channel_id=7)

    def cut(query: QuerySet[Any]) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(QuerySet, "delete", cut)
        with pytest.raises(OperationalError):
            log_shipping.ship_left_over()
    write_log(user.pk, LogType.SYSTEM, "one more", request_id="one-request")
    assert log_shipping.ship_left_over() == 4

    lines = Log.objects.using("logs").order_by("pk")
    assert [one.content for one in lines] == [*told, "a test", "one more"]
    assert (lines[0].username, lines[2].channel_id) == (user.username, 7)


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


def test_a_row_without_anything_does_not_stop_the_others(logs):
    LogOutbox.objects.create(created_at=1, row={})
    ids = settled(3)

    log_shipping.ship_left_over()

    assert sorted(shipped()) == sorted(ids)
    assert LogOutbox.objects.get().claimed_at > time.time()


def test_a_failure_that_is_tried_again_is_counted_once(logs):
    token = key_of(person(5))
    one = Failure(new_id(), token.user_id, token.pk, log={"content": "no", "username": "alice"})
    post([one])

    post([one], again=True)

    assert LogOutbox.objects.count() == 1
    assert UsageHour.objects.get().requests == 1


def by_redeeming(user: User, root: User) -> None:
    (code,) = create_codes(SYSTEM, name="gift", count=1, quota=5)
    redeem(user.pk, code)


def by_adjusting(user: User, root: User) -> None:
    adjust_quota(root, SYSTEM, user.pk, How.ADD, 5, "a present")


def by_topping_up(user: User, root: User) -> None:
    top_up(SYSTEM, user.pk, 5)


@pytest.mark.parametrize("credited", [by_redeeming, by_adjusting, by_topping_up])
def test_a_log_database_that_does_not_answer_stands_in_the_way_of_no_money(logs, credited):
    user, root = person(100), person(0)
    User.objects.filter(pk=root.pk).update(role=Role.ROOT)
    root.refresh_from_db()

    with Silence(logs):
        credited(user, root)

    assert quota(user) == 105
    assert log_shipping.ship_left_over() == 1
    assert Log.objects.using("logs").get().username == user.username


def test_a_line_is_undone_with_the_money_it_tells_of(logs):
    user = person(100)

    with transaction.atomic():
        top_up(SYSTEM, user.pk, 5)
        transaction.set_rollback(True)

    assert not LogOutbox.objects.exists()


async def test_the_shipping_outlives_whatever_it_ends_in(logs, monkeypatch):
    token = await aside(key_of, await aside(person, 10**6))
    real, ended = log_shipping.ship_left_over, threading.Event()

    def ship() -> int:
        if not ended.is_set():
            ended.set()
            raise OSError(errno.EMFILE, "Too many open files")
        return real()

    monkeypatch.setattr(log_shipping, "ship_left_over", ship)
    async with opened() as ledger:
        assert await asyncio.to_thread(ended.wait, 10)
        one = hold(token, 5, worker=ledger.worker)
        await ledger.post(one)
        await ledger.post(settlement(one, 5))
        await eventually(lambda: shipped() == [one.request_id], 5)


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

    post(expired())
    log_shipping.ship_left_over()

    assert charges() == {stream.request_id: 33}
    assert shipped() == [stream.request_id]


def test_without_a_log_database_nothing_is_shipped():
    settled()

    assert log_shipping.ship_left_over() == 0
    assert Log.objects.count() == 1
    assert connection.alias == "default"
