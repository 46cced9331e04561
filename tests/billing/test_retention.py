"""Old log lines go in batches, expired sessions and windows daily; the ledger and what is young stay."""

from __future__ import annotations

import time
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.sessions.models import Session
from django.core.management import CommandError, call_command
from django.utils import timezone

from api.models import RateWindow
from audit.models import AuditEntry
from billing import retention
from billing.models import EntryKind, LedgerEntry, Log, UsageDay
from billing.usage_catch_up import catch_up
from jobs import leases, running
from jobs.table import JOBS

pytestmark = pytest.mark.django_db(transaction=True)
DAY = retention.DAY


def lines(count: int, days: float, status: int = 200) -> None:
    """Log lines written that many days ago; those with a status are in the sums of usage."""
    written = int(time.time() - days * DAY)
    Log.objects.bulk_create(
        Log(type=2, status=status, created_at=written, quota=7, request_id=f"{days}-{n}") for n in range(count)
    )


def run(name: str) -> dict[str, int]:
    """The job's own account of what it did."""
    (job,) = [job for job in JOBS if job.name == name]
    begun = running.start(job.name, job.load(), job.timeout)
    assert begun is not None
    assert begun.wait(30)
    assert begun.outcome == leases.OK
    return dict(leases.state(name).detail)


def test_lines_are_kept_for_ever_by_default(settings):
    assert settings.LOG_RETENTION_DAYS == 0
    lines(3, days=4_000)

    assert run("delete old log lines") == {"purged": 0}
    assert Log.objects.count() == 3


def test_lines_past_their_days_go_batch_by_batch_and_the_ledger_stays(settings, monkeypatch):
    settings.LOG_RETENTION_DAYS = 30
    monkeypatch.setattr(retention, "BATCH", 10)
    lines(25, days=30.1)
    lines(4, days=29.9)
    LedgerEntry.objects.create(user_id=1, kind=EntryKind.CHARGE, amount=-1, created_at=1, reference="old")

    assert run("delete old log lines") == {"purged": 25}

    assert Log.objects.count() == 4
    assert LedgerEntry.objects.count() == 1
    entry = AuditEntry.objects.get(action="log.purge")
    assert (entry.actor_name, entry.detail["rows"]) == ("system", 25)


def test_lines_stay_until_they_are_in_the_sums_of_usage():
    lines(2, days=31, status=0)  # of an older version, or an import
    lines(3, days=31)
    assert retention.keep_days(30) == 3

    assert catch_up(lambda _seconds: False) == 2
    lines(1, days=31, status=0)

    assert retention.keep_days(30) == 2
    assert list(UsageDay.objects.values_list("requests", "quota")) == [(2, 14)]
    assert Log.objects.count() == 1


def test_nothing_to_delete_leaves_no_trace_in_the_audit():
    lines(1, days=1)
    assert retention.keep_days(30) == 0
    assert not AuditEntry.objects.exists()


def test_a_run_that_is_asked_to_stop_ends_after_its_batch_and_records_it(monkeypatch):
    monkeypatch.setattr(retention, "BATCH", 10)
    lines(25, days=31)

    assert retention.keep_days(30, pause=lambda _seconds: True) == 10
    assert Log.objects.count() == 15
    assert AuditEntry.objects.get().detail["rows"] == 10


def test_the_command_deletes_now_and_refuses_without_a_number():
    lines(2, days=8)
    out = StringIO()
    with pytest.raises(CommandError, match="LOG_RETENTION_DAYS is 0"):
        call_command("purge_logs")
    call_command("purge_logs", "--days", "7", stdout=out)

    assert "Deleted 2 log lines." in out.getvalue()
    assert not Log.objects.exists()


def test_expired_sessions_and_passed_windows_go_and_live_ones_stay():
    now = timezone.now()
    Session.objects.create(session_key="old", session_data="", expire_date=now - timedelta(seconds=5))
    Session.objects.create(session_key="live", session_data="", expire_date=now + timedelta(days=1))
    RateWindow.objects.create(key="passed", started=int(time.time()) - 2 * DAY, count=1)
    RateWindow.objects.create(key="open", started=int(time.time()) - 60, count=1)

    assert run("clear sessions and rate windows") == {"rate_windows": 1, "forgotten_lines": 0}

    assert list(Session.objects.values_list("session_key", flat=True)) == ["live"]
    assert list(RateWindow.objects.values_list("key", flat=True)) == ["open"]
