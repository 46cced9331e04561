"""Log lines of an older version or an import are added to the sums of usage, each once, and no others."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError

from billing import usage_catch_up
from billing.batch import post
from billing.models import Log, UsageCatchUp, UsageDay, UsageHour
from billing.reconciliation import reconcile
from billing.usage_catch_up import GRACE, catch_up
from jobs.table import JOBS
from tests.billing.money import TRANSACTIONS, hold, key_of, person, settlement

pytestmark = TRANSACTIONS

HOUR, DAY = 1_699_999_200, 1_699_920_000  # 22:00 and 0:00 UTC, 2023-11-14


def waited() -> tuple[Callable[[float], bool], list[float]]:
    pauses: list[float] = []

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    return pause, pauses


def now(seconds: float) -> bool:
    return False


def old_line(moment: int = HOUR, quota: int = 7, **fields: Any) -> Log:
    usual = {"user_id": 1, "token_id": 2, "channel_id": 3, "model_name": "gpt", "prompt_tokens": 10, "elapsed_time": 9}
    return Log.objects.create(type=2, created_at=moment, quota=quota, **{**usual, **fields})


def new_call(charge: int = 7) -> None:
    one = hold(key_of(person(100)), charge)
    post([one, settlement(one, charge)])


def total(model: Any = UsageHour) -> tuple[int, int]:
    rows = list(model.objects.values_list("requests", "quota"))
    return sum(requests for requests, _ in rows), sum(quota for _, quota in rows)


def test_old_lines_are_in_the_sums_of_the_time_they_were_written():
    old_line(HOUR)
    old_line(HOUR + 3599, quota=5, usage_details='{"cached":4}')
    old_line(HOUR + 3600, quota=3)

    assert catch_up(now) == 3

    hours = UsageHour.objects.order_by("hour").values_list("hour", "requests", "cached_tokens", "quota", "elapsed")
    assert list(hours) == [(HOUR, 2, 4, 12, 18), (HOUR + 3600, 1, 0, 3, 9)]
    assert list(UsageDay.objects.values_list("day", "requests", "quota", "prompt_tokens")) == [(DAY, 3, 15, 30)]


def test_each_line_is_added_once_and_what_this_version_wrote_is_not():
    old_line()
    new_call(charge=11)
    old_line(quota=3)
    assert catch_up(now) == 2
    old_line(quota=1)

    assert [catch_up(now), catch_up(now)] == [1, 0]

    assert total() == total(UsageDay) == (4, 22)


def test_lines_that_are_no_calls_are_left_out():
    for kind in (1, 3, 4, 5, 6):
        Log.objects.create(type=kind, created_at=HOUR, quota=100)

    assert (catch_up(now), UsageHour.objects.count()) == (0, 0)


def test_numbers_with_gaps_and_many_steps(monkeypatch):
    monkeypatch.setattr(usage_catch_up, "STEP", 3)
    for number in (1, 2, 3, 5, 8, 1_000, 1_000_000_000):
        old_line(pk=number)
    steps: list[tuple[int, int]] = []

    assert catch_up(now, lambda *step: steps.append(step)) == 7

    assert [seen for seen, _ in steps] == [3, 1_000, 1_000_000_000]
    assert total() == (7, 49)


def test_a_run_that_is_stopped_goes_on_where_it_was(monkeypatch):
    monkeypatch.setattr(usage_catch_up, "STEP", 2)
    for _ in range(5):
        old_line()

    assert catch_up(lambda seconds: seconds == 0) == 2
    assert (UsageCatchUp.objects.get().lines, total()) == (2, (2, 14))

    assert catch_up(now) == 3
    assert total() == (5, 35)


def test_a_step_that_fails_adds_nothing_and_is_made_again(monkeypatch):
    old_line()

    def refuse(*_: Any) -> None:
        raise OperationalError("server closed the connection unexpectedly")

    with monkeypatch.context() as patched:
        patched.setattr(usage_catch_up, "upsert", refuse)
        with pytest.raises(OperationalError):
            catch_up(now)

    assert (UsageCatchUp.objects.get().last_id, total()) == (0, (0, 0))
    assert (catch_up(now), total()) == (1, (1, 7))


def test_of_two_that_run_at_once_one_adds():
    old_line()

    def pause(seconds: float) -> bool:
        if seconds == GRACE:
            UsageCatchUp.objects.update(last_id=10**6)  # the other one was faster
        return False

    assert (catch_up(pause), total()) == (0, (0, 0))


def test_lines_that_have_a_number_and_are_not_committed_yet_are_waited_for():
    old_line()
    pause, pauses = waited()

    catch_up(pause)

    assert pauses[0] == GRACE


def test_odd_details_of_an_import_stop_nothing():
    for details in ("nonsense", "[1]", '{"cached":"x"}', '{"cached":-5}', '{"cached":1e400}'):
        old_line(usage_details=details)

    assert (catch_up(now), UsageHour.objects.get().cached_tokens) == (5, 0)


def test_an_operator_s_command_says_how_many(monkeypatch):
    monkeypatch.setattr(usage_catch_up, "GRACE", 0)
    old_line()
    out = StringIO()

    call_command("rebuild_usage", stdout=out)

    assert out.getvalue() == "Added 1 log lines.\n"


def test_a_job_does_it_every_ten_minutes():
    (job,) = [job for job in JOBS if job.name == "add earlier calls to usage"]

    assert (job.every_seconds(), job.load()) == (600, usage_catch_up.scheduled)


class TestReconciliation:
    """The daily comparison holds the sums against the ledger's charges."""

    def caught_up(self) -> None:
        UsageCatchUp.objects.create(pk=1, started_at=0)

    def found(self) -> list[tuple[Any, ...]]:
        report = reconcile()
        differences = [(each["check"], each["stored"], each["expected"]) for each in report.differences]
        return [each for each in differences if "usage" in each[0] and "used" not in each[0]]

    def test_sums_that_agree(self):
        self.caught_up()
        new_call()
        new_call()

        report = reconcile()

        assert (report.difference_count, report.compared["usage_hours"]) == (0, 2)

    def test_a_call_without_a_log_line_is_compared_too(self):
        self.caught_up()
        one = hold(key_of(person(100)), 9)
        post([one, settlement(one, 9, logged=False)])

        assert (total(), self.found()) == ((1, 9), [])

    def test_sums_written_past_the_ledger_are_found(self):
        self.caught_up()
        new_call(7)
        UsageHour.objects.update(quota=8)

        assert self.found() == [
            ("I4 usage by hours against charges", 8, 7),
            ("I4 usage by days against hours", 7, 8),
        ]

    def test_a_row_that_is_gone_is_found(self):
        self.caught_up()
        new_call(7)
        UsageHour.objects.all().delete()
        UsageDay.objects.all().delete()

        assert self.found() == [("I4 usage by hours against charges", 0, 7)]

    def test_hours_with_lines_of_an_older_version_are_not_compared(self):
        new_call(7)
        UsageHour.objects.all().delete()
        assert self.found() == []  # nothing is known yet of when the sums begin

        UsageCatchUp.objects.create(pk=1, started_at=0, newest=Log.objects.get().created_at)

        assert self.found() == []
