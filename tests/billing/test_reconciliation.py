"""The daily comparison finds each way in which books can disagree, and nothing while calls are under way."""

from __future__ import annotations

import threading
import time
import uuid
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext

from accounts.models import Token, User
from accounts.tokens import create_token
from audit.services import SYSTEM
from billing import batch, reconciliation
from billing.models import CounterOpening, EntryKind, Hold, LedgerEntry, Log, LogOutbox, ReconciliationReport
from billing.reconciliation import reconcile
from billing.reports import purge
from billing.services import credit
from channels_app.models import Channel
from importer import first_root
from jobs import leases, running
from jobs.table import JOBS
from options.services import set_option

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def anna() -> User:
    """A user with 1,000 points. Made without a password, which would cost more than the rest."""
    user = User.objects.create(username="anna", password="!", aff_code=None)
    credit(user.pk, 1_000, kind=EntryKind.OPENING)
    return user


@pytest.fixture
def key(anna: User) -> Token:
    return create_token(user_id=anna.pk, name="key", remain_quota=500)


@pytest.fixture
def channel() -> Channel:
    return Channel.objects.create(name="gpt", created_time=int(time.time()))


def begin(key: Token, amount: int = 20) -> str:
    request_id = uuid.uuid4().hex
    batch.post([batch.Hold(request_id, key.user_id, key.pk, True, amount, amount, "worker")])
    return request_id


def end(key: Token, channel: Channel, request_id: str, charge: int, *, logged: bool = True) -> None:
    batch.post(
        [
            batch.Settlement(
                request_id, key.user_id, key.pk, True, charge, channel.pk, log={"content": "call"}, logged=logged
            )
        ]
    )


def call(key: Token, channel: Channel, charge: int = 12, *, logged: bool = True) -> str:
    request_id = begin(key)
    end(key, channel, request_id, charge, logged=logged)
    return request_id


def found(report: ReconciliationReport) -> list[tuple[str, str, int, int]]:
    return [(each["check"], each["row"], each["stored"], each["expected"]) for each in report.differences]


def test_books_that_agree_make_a_report_without_differences(key, channel):
    call(key, channel)
    begin(key)

    report = reconcile()

    assert (report.difference_count, report.differences) == (0, [])
    assert report.compared == {
        "users": 1, "tokens": 1, "channels": 1, "holds": 1, "ledger_entries": 2, "log_lines": 1,
    }  # fmt: skip
    assert report.logs_until - report.logs_from > reconciliation.LOG_WINDOW


def test_every_written_past_the_ledger_is_found_and_none_repaired(anna, key, channel):
    call(key, channel)
    call(key, channel)
    begin(key)
    User.objects.update(quota=999, held=3, used_quota=1, request_count=9)
    Token.objects.update(held=4, used_quota=2)
    Channel.objects.update(used_quota=5)
    Log.objects.update(quota=11)

    report = reconcile()

    user, token, gpt = f"user {anna.pk}", f"token {key.pk}", f"channel {channel.pk}"
    assert found(report) == [
        ("I1 balance against the ledger", user, 999, 976),
        ("I2 held against open holds", user, 3, 20),
        ("I4 used quota against charges", user, 1, 24),
        ("I4 requests against charges", user, 9, 2),
        ("I2 held against open holds", token, 4, 20),
        ("I4 used quota against charges", token, 2, 24),
        ("I4 used quota against charges", gpt, 5, 24),
        ("I4 log lines against charges", f"{user}, {token}, {gpt}", 22, 24),
    ]
    assert User.objects.values_list("quota", "held", "used_quota").get() == (999, 3, 1)


def test_a_charge_without_reference_two_lines_of_one_call_and_a_forgotten_hold_are_found(anna, key, channel):
    request_id = call(key, channel)
    begin(key)
    LedgerEntry.objects.create(user_id=anna.pk, kind=EntryKind.CHARGE, amount=0, created_at=int(time.time()))
    Log.objects.create(request_id=request_id, type=2, created_at=int(time.time()), user_id=anna.pk)
    Hold.objects.update(expires_at=int(time.time()) - reconciliation.SETTLING - 1)

    checks = [each[0] for each in found(reconcile())]

    assert "I3 charges without a reference" in checks
    assert "I3 log lines of one request" in checks
    assert "I5 holds that outlived their time" in checks


def test_a_hundred_differences_are_kept_and_all_counted():
    User.objects.bulk_create(User(username=f"u{n}", username_key=f"u{n}", quota=1) for n in range(103))

    report = reconcile()

    assert (report.difference_count, len(report.differences)) == (103, 100)


def test_the_number_of_queries_does_not_grow_with_the_rows(key, channel):
    call(key, channel)
    with CaptureQueriesContext(
        connection,
    ) as few:
        reconcile()
    users = User.objects.bulk_create(User(username=f"u{n}", username_key=f"u{n}") for n in range(40))
    Token.objects.bulk_create(Token(user=user, key_digest=str(user.pk), key="k") for user in users)
    for _ in range(5):
        call(key, Channel.objects.create(name="another"))
    with CaptureQueriesContext(connection) as many:
        reconcile()

    assert len(many) == len(few)


def test_calls_that_end_while_it_reads_are_no_differences(key, channel, monkeypatch):
    """A whole call, and another's end, are committed between its reads; and the writer does not wait for it."""
    open_call = begin(key)
    read = reconciliation._read_ledger

    def read_then_calls(findings: Any) -> Any:
        ledger = read(findings)
        worker = threading.Thread(target=calls)
        worker.start()
        worker.join(10)
        assert not worker.is_alive()
        return ledger

    def calls() -> None:
        try:
            call(key, channel)
            end(key, channel, open_call, 7)
        finally:
            connections.close_all()

    monkeypatch.setattr(reconciliation, "_read_ledger", read_then_calls)
    assert found(reconcile()) == []
    assert User.objects.get().quota == 1_000 - 12 - 7
    monkeypatch.undo()
    assert found(reconcile()) == []


def test_log_lines_are_not_compared_while_they_are_switched_off_or_soon_after(key, channel):
    set_option(SYSTEM, "LogConsumeEnabled", "false")
    call(key, channel, logged=False)
    assert (reconcile().logs_until, reconcile().difference_count) == (0, 0)

    set_option(SYSTEM, "LogConsumeEnabled", "true")
    assert (reconcile().logs_until, reconcile().difference_count) == (0, 0)

    later = reconcile(time.time() + reconciliation.SETTLING + 60)
    assert later.logs_until > later.logs_from > time.time()
    assert later.difference_count == 0


def test_purged_log_lines_are_not_missed(key, channel):
    call(key, channel)
    purge(SYSTEM, int(time.time()) + 1)

    report = reconcile(time.time() + 5)

    assert report.difference_count == 0


def test_log_lines_past_their_retention_are_not_missed(key, channel, settings):
    settings.LOG_RETENTION_DAYS = 1
    now = int(time.time())
    call(key, channel)
    LedgerEntry.objects.filter(kind=EntryKind.CHARGE).update(created_at=now - 30 * 3600)
    Log.objects.all().delete()

    assert reconcile().difference_count == 0


def test_with_a_log_database_lines_are_compared_up_to_the_first_that_waits(settings):
    settings.LOG_DATABASE_ALIAS = "logs"
    now = int(time.time())
    assert reconciliation._log_window(now, 0) == (now - reconciliation.LOG_WINDOW, now - reconciliation.LATE)

    LogOutbox.objects.create(created_at=now - 500, row={})
    assert reconciliation._log_window(now, 0) == (now - reconciliation.LOG_WINDOW, now - 500)


# An installation that moved in


def imported(quota: int, used: int, requests: int) -> tuple[User, Token, Channel]:
    long_ago = int(time.time()) - 1_000_000
    user = User.objects.create(
        username="ida", password="!", quota=quota, used_quota=used, request_count=requests, created_time=long_ago
    )
    LedgerEntry.objects.create(
        user_id=user.pk,
        kind=EntryKind.OPENING,
        amount=quota,
        created_at=int(time.time()),
        reference=f"{first_root.MARK}{user.pk}",
    )
    token = create_token(user_id=user.pk, name="old", remain_quota=500)
    Token.objects.update(used_quota=used, created_time=long_ago)
    return user, token, Channel.objects.create(name="old", used_quota=used + 3, created_time=long_ago)


def test_what_imported_counters_brought_along_is_their_opening():
    assert reconciliation.IMPORTED == first_root.MARK
    user, token, channel = imported(1_000, used=700, requests=9)

    assert found(reconcile()) == []
    openings = CounterOpening.objects.order_by("id").values_list("kind", "row_id", "used_quota", "request_count")
    assert list(openings) == [
        ("user", user.pk, 700, 9),
        ("token", token.pk, 700, 0),
        ("channel", channel.pk, 703, 0),
    ]

    call(token, channel)
    assert found(reconcile()) == []

    User.objects.update(used_quota=713)
    assert found(reconcile()) == [("I4 used quota against charges", f"user {user.pk}", 713, 712)]


def test_calls_before_the_first_comparison_after_an_import_are_not_part_of_the_opening():
    user, token, channel = imported(1_000, used=700, requests=9)
    call(token, channel)

    assert found(reconcile()) == []
    assert CounterOpening.objects.get(kind="user", row_id=user.pk).used_quota == 700


def test_rows_made_after_the_import_have_no_opening():
    _, _, _ = imported(1_000, used=0, requests=0)
    reconcile()
    new = Channel.objects.create(name="new", used_quota=5, created_time=int(time.time()) + 60)

    assert found(reconcile()) == [("I4 used quota against charges", f"channel {new.pk}", 5, 0)]


def test_a_counter_below_the_ledger_is_a_difference_even_after_an_import():
    user, token, channel = imported(1_000, used=0, requests=0)
    call(token, channel)
    User.objects.update(used_quota=2)

    assert found(reconcile()) == [("I4 used quota against charges", f"user {user.pk}", 2, 12)]


# By hand and by the clock


def test_the_command_says_what_differs_and_exits_with_1(anna, key, channel):
    out = StringIO()
    call_command("reconcile", stdout=out)
    assert "The books agree." in out.getvalue()
    User.objects.update(quota=1_005)

    with pytest.raises(CommandError) as stopped:
        call_command("reconcile", stdout=out)

    assert stopped.value.returncode == 1
    assert f"I1 balance against the ledger, user {anna.pk}: 1,005 instead of 1,000" in out.getvalue()


def test_the_job_stores_a_report_and_tells_its_number(key):
    (job,) = [job for job in JOBS if job.name == "reconcile the books"]
    run = running.start(job.name, job.load(), job.timeout)
    assert run is not None
    assert run.wait(30)

    report = ReconciliationReport.objects.get()
    assert run.outcome == leases.OK
    assert leases.state(job.name).detail == {"report": report.pk, "differences": 0}
