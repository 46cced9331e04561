"""Schedules of single channels: who is due by the clock, one run in the deployment, and nobody put off by another."""

from __future__ import annotations

import time
from typing import Any

import pytest

from audit.models import AuditEntry
from channels_app import due, runs, services, testing
from channels_app.copying import copy_channel
from channels_app.models import Channel, ChannelStatus, TestRun
from channels_app.runs import State
from channels_app.services import ChannelInvalid, update_channel
from channels_app.testing import Scope
from jobs import leases, running
from jobs.models import Lease
from jobs.running import Run
from notices.models import OutboxMessage
from tests.channels_app.test_services import ROOT, made
from tests.channels_app.test_testing import wait
from tests.fake_upstream import FakeUpstream

JOB = "test channels on schedules of their own"
NOW = 1_000_000
everywhere = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _ended():
    yield
    running.stop_all(30)


def scheduled(every: int | None, *, tested: int = 0, created: int = 0, **columns: Any) -> Channel:
    channel = made(name="one")
    Channel.objects.filter(pk=channel.pk).update(
        test_every=every, test_time=tested, created_time=created or NOW - 10_000_000, **columns
    )
    return channel


def look() -> Run:
    """The job as the runner begins it, until its end."""
    run = running.start(JOB, testing.scheduled_each, 60)
    assert run is not None
    assert run.wait(30)
    return run


@pytest.mark.django_db
class TestDue:
    @pytest.mark.parametrize(
        ("every", "tested", "created", "is_due"),
        [
            (5, NOW - 300, 0, True),
            (5, NOW - 299, 0, False),
            (6, NOW - 300, 0, False),
            (1, NOW + 5, 0, False),  # another node's clock is ahead
            (5, 0, NOW - 300, True),  # never tested
            (5, 0, NOW - 299, False),
            (0, 1, 0, False),
            (None, 1, 0, False),
            (525_600, NOW - 525_600 * 60, 0, True),
        ],
    )
    def test_is_who_was_last_tested_that_long_ago(
        self, every: int | None, tested: int, created: int, is_due: bool
    ) -> None:
        channel = scheduled(every, tested=tested, created=created)
        assert due.by_own_schedule(NOW) == ([channel.pk] if is_due else [])

    @pytest.mark.parametrize(
        ("status", "tested"),
        [(ChannelStatus.ENABLED, True), (ChannelStatus.DISABLED, False), (ChannelStatus.AUTO_DISABLED, True)],
    )
    def test_is_nobody_whom_a_person_disabled(self, status: int, tested: bool) -> None:
        own, common = scheduled(5, status=status), scheduled(None, status=status)
        assert due.by_own_schedule(NOW) == ([own.pk] if tested else [])
        assert due.by_common_schedule() == ([common.pk] if tested else [])

    def test_by_the_common_schedule_is_who_has_none_of_its_own_newest_first(self) -> None:
        old, _own, _never, new = scheduled(None), scheduled(5), scheduled(0), scheduled(None)
        assert due.by_common_schedule() == [new.pk, old.pk]


@pytest.mark.django_db
class TestStored:
    @pytest.mark.parametrize("value", [-1, 525_601, "soon", True, 1.5])
    def test_is_a_number_of_minutes_or_nothing(self, value: object) -> None:
        channel = made()
        with pytest.raises(ChannelInvalid, match="test_every must be a whole number between 0 and 525600"):
            update_channel(ROOT, channel.pk, {"test_every": value})

    def test_zero_is_kept_apart_from_empty(self) -> None:
        channel = made(test_every=0)
        assert channel.test_every == 0
        update_channel(ROOT, channel.pk, {"test_every": ""})
        assert Channel.objects.get(pk=channel.pk).test_every is None
        assert AuditEntry.objects.get(action="channel.update").detail == {"fields": ["test_every"]}

    def test_a_copy_has_it_too(self) -> None:
        copy = copy_channel(ROOT, made(test_every=7).pk, with_key=True)
        assert Channel.objects.get(pk=copy).test_every == 7


@everywhere
class TestTheJob:
    def test_tests_who_is_due_and_nobody_else(self, upstream: FakeUpstream, settings: Any) -> None:
        settings.CHANNEL_TEST_FREQUENCY = None
        wanted, later, common = (
            made(name=name, base_url=upstream.url, test_every=every) for name, every in (("a", 5), ("b", 5), ("c", ""))
        )
        before = int(time.time())
        Channel.objects.filter(pk=wanted.pk).update(test_time=before - 300)
        Channel.objects.filter(pk=later.pk).update(test_time=before - 60)

        assert look().outcome == "ok"

        run = TestRun.objects.get()
        assert list(runs.results(run.pk).values_list("channel_id", flat=True)) == [wanted.pk]
        told = runs.standing(run.pk)
        assert told is not None
        assert (run.scope, told.state, run.total, run.at_once) == ("due", State.FINISHED, 1, 10)
        assert Channel.objects.get(pk=wanted.pk).test_time >= before
        assert Channel.objects.get(pk=common.pk).test_time == 0
        assert not OutboxMessage.objects.exists()
        look()  # not due any more
        assert TestRun.objects.count() == 1

    def test_does_not_put_off_the_test_of_all(self, upstream: FakeUpstream) -> None:
        """Else a channel tested every minute would keep the others from ever being tested."""
        Lease.objects.create(name=testing.NAME, first_seen=5, last_run_started=7)
        channel = made(base_url=upstream.url, test_every=1)
        Channel.objects.filter(pk=channel.pk).update(test_time=1)
        before = int(time.time())

        look()

        state = leases.state(testing.NAME)
        assert (state.started, state.outcome) == (7, "ok")
        progress = testing.progress()
        assert (progress["scope"], progress["done"]) == ("due", 1)
        assert progress["started"] >= before

    def test_leaves_a_run_under_way_alone_and_tests_at_the_next_look(self, upstream: FakeUpstream) -> None:
        channel = made(base_url=upstream.url, test_every=1)
        Channel.objects.filter(pk=channel.pk).update(test_time=1)
        held = leases.acquire(testing.NAME, 30)
        assert held is not None

        look()
        assert not TestRun.objects.exists()

        leases.release(held)
        look()
        assert TestRun.objects.get().total == 1

    def test_is_one_in_the_whole_deployment(self) -> None:
        held = leases.acquire(JOB, 30)
        assert held is not None
        assert running.start(JOB, testing.scheduled_each, 60) is None

    def test_of_all_leaves_out_who_has_a_schedule_and_whom_a_person_disabled(self, upstream: FakeUpstream) -> None:
        usual = made(name="usual", base_url=upstream.url)
        made(name="own", base_url=upstream.url, test_every=60)
        made(name="never", base_url=upstream.url, test_every=0)
        services.set_status(ROOT, made(name="off", base_url=upstream.url).pk, ChannelStatus.DISABLED)

        run = running.start(testing.NAME, testing.scheduled, 60)

        assert run is not None
        assert run.wait(30)
        assert list(Channel.objects.filter(test_time__gt=0)) == [usual]
        assert TestRun.objects.get().scope == "common"


@everywhere
class TestAtOnce:
    def test_is_stored_and_kept_to(self, upstream: FakeUpstream, settings: Any) -> None:
        settings.POLLING_INTERVAL = 0
        for number in range(6):
            made(name=str(number), base_url=upstream.scripted(first_byte=300))

        run_id = testing.start(Scope.ALL, ROOT, at_once=2)
        wait(30)

        assert TestRun.objects.get(pk=run_id).at_once == 2
        assert upstream.stats()["most_open"] == 2
        assert AuditEntry.objects.get(action="channel.test_all").detail["at_once"] == 2

    def test_is_one_where_there_is_a_pause(self, settings: Any) -> None:
        settings.POLLING_INTERVAL = 1
        run_id = testing.start(Scope.ALL, ROOT, at_once=20)
        wait(30)
        assert TestRun.objects.get(pk=run_id).at_once == 1

    @pytest.mark.parametrize("number", [0, 21])
    def test_has_limits(self, number: int) -> None:
        with pytest.raises(ValueError, match=str(number)):
            testing.start(Scope.ALL, ROOT, at_once=number)
        assert not TestRun.objects.exists()
