"""Runs of tests on record: counts, cancelling, dying, and the result of a single test."""

from __future__ import annotations

import time
from typing import Any

import pytest

from audit.models import AuditEntry
from audit.services import SYSTEM
from channels_app import runs, testing
from channels_app.models import Channel, ChannelStatus, Outcome, TestRun, TestRunResult
from channels_app.runs import State
from channels_app.testing import Scope
from jobs import leases, running
from jobs.models import Lease
from notices.models import OutboxMessage
from options.services import set_option
from tests.channels_app.test_services import ROOT, made
from tests.channels_app.test_testing import make, wait
from tests.fake_upstream import FakeUpstream

pytestmark = pytest.mark.django_db(transaction=True)
ON = ChannelStatus.ENABLED


@pytest.fixture(autouse=True)
def _ended():
    yield
    running.stop_all(30)


def counts(run_id: int) -> tuple[Any, ...]:
    told = runs.standing(run_id)
    assert told is not None
    return (told.state, told.run.total, told.done, told.passed, told.failed, told.slow, told.disabled, told.enabled)


def test_a_run_tells_what_it_found_of_each_channel(upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("AutomaticDisableChannelEnabled", "AutomaticEnableChannelEnabled"):
        set_option(SYSTEM, key, "true")
    set_option(SYSTEM, "ChannelDisableThreshold", "1")
    well = make(upstream, "well", {}, ON)
    refused = make(upstream, "refused", {"status": 401, "type": "authentication_error"}, ON)
    slow = make(upstream, "slow", {"first_byte": 1300}, ChannelStatus.DISABLED)
    back = make(upstream, "back", {}, ChannelStatus.AUTO_DISABLED)

    run_id = testing.start(Scope.ALL, ROOT)
    wait()

    assert counts(run_id) == (State.FINISHED, 4, 4, 3, 1, 1, 1, 1)
    found = {result.channel_id: result for result in runs.results(run_id)}
    assert found[well.pk].outcome == Outcome.PASSED
    assert (found[refused.pk].outcome, found[refused.pk].change) == (Outcome.FAILED, ChannelStatus.AUTO_DISABLED)
    assert found[refused.pk].message.startswith("http status code: 401")
    assert found[slow.pk].outcome == Outcome.SLOW
    assert found[slow.pk].milliseconds >= 1300
    assert found[back.pk].change == ON
    assert (found[back.pk].model, found[back.pk].channel_name) == ("gpt-4o", "back")
    assert dict(Channel.objects.values_list("name", "test_outcome")) == {"well": 1, "refused": 2, "slow": 3, "back": 1}
    assert TestRun.objects.get().started_by == "root"
    assert AuditEntry.objects.get(action="channel.test_all").detail == {"scope": "all", "model": "", "at_once": 10}


def test_only_the_channels_named_are_tested(upstream: FakeUpstream) -> None:
    first, second, _ = (make(upstream, name, {}, ON) for name in "abc")

    run_id = testing.start(Scope.SELECTED, ROOT, [first.pk, second.pk, 999])
    wait()

    assert counts(run_id)[:4] == (State.FINISHED, 2, 2, 2)
    assert sorted(runs.results(run_id).values_list("channel_name", flat=True)) == ["a", "b"]


def test_a_named_model_is_asked_of_the_channels_that_list_it(upstream: FakeUpstream) -> None:
    made(name="has it", models="gpt-4o,other", base_url=upstream.url)
    made(name="has not", models="other-1", base_url=upstream.url)

    run_id = testing.start(Scope.ALL, ROOT, model="other")
    wait()

    ((name, model),) = runs.results(run_id).values_list("channel_name", "model")
    assert (name, model) == ("has it", "other")


def test_a_cancelled_run_ends_leaves_the_rest_alone_and_tells_nobody(upstream: FakeUpstream, settings) -> None:
    settings.POLLING_INTERVAL = 30
    for name in ("old", "new"):
        make(upstream, name, {}, ON)
    run_id = testing.start(Scope.ALL, ROOT)
    end = time.monotonic() + 20
    while not runs.results(run_id).exists() and time.monotonic() < end:
        time.sleep(0.05)
    under_way = runs.current()
    assert under_way is not None
    assert (under_way.run.pk, under_way.state, under_way.percent) == (run_id, State.RUNNING, 50)

    assert runs.cancel(ROOT, run_id) is True
    assert runs.cancel(ROOT, run_id) is False
    wait(20)

    assert counts(run_id)[:3] == (State.CANCELLED, 2, 1)
    assert runs.current() is None
    assert Channel.objects.get(name="old").test_time == 0
    assert not OutboxMessage.objects.exists()
    assert runs.cancel(ROOT, run_id) is False
    assert AuditEntry.objects.filter(action="channel.test_cancel").count() == 1


def test_a_cancelled_run_without_pauses_ends_too(
    upstream: FakeUpstream, settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.POLLING_INTERVAL = 0
    monkeypatch.setattr(testing, "LOOK", 0.0)
    for number in range(6):
        make(upstream, str(number), {"first_byte": 800}, ON)
    run_id = testing.start(Scope.ALL, ROOT, at_once=1)
    end = time.monotonic() + 20
    while not runs.results(run_id).exists() and time.monotonic() < end:
        time.sleep(0.05)

    runs.cancel(ROOT, run_id)
    wait(30)

    state, total, done = counts(run_id)[:3]
    assert (state, total) == (State.CANCELLED, 6)
    assert 1 <= done < 6
    assert upstream.stats()["most_open"] == 1


def test_a_run_whose_process_was_killed_is_not_running_once_its_lease_is_over() -> None:
    held = leases.acquire(testing.NAME, 30)
    assert held is not None
    run = runs.begin("all", "", ROOT)
    runs.hold(run.pk, held.holder)
    assert counts(run.pk)[0] is State.RUNNING

    Lease.objects.filter(pk=testing.NAME).update(expires_at=int(time.time()))

    assert counts(run.pk)[0] is State.DIED
    assert runs.current() is None
    assert leases.acquire(testing.NAME, 30) is not None  # somebody else's run begins
    assert counts(run.pk)[0] is State.DIED


def test_a_run_that_never_began_is_not_running_for_long() -> None:
    run = runs.begin("all", "", ROOT)
    assert counts(run.pk)[0] is State.RUNNING
    TestRun.objects.filter(pk=run.pk).update(started=int(time.time()) - running.LEASE)
    assert counts(run.pk)[0] is State.DIED


def test_a_run_that_cannot_read_the_channels_died_and_blocks_nobody(
    upstream: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D22: the flag stayed set for ever."""
    make(upstream, "a", {}, ON)
    with monkeypatch.context() as broken:
        broken.setattr(testing, "_chosen", lambda _: 1 / 0)
        run_id = testing.start(Scope.ALL, ROOT)
        wait()

    assert counts(run_id)[0] is State.DIED
    again = testing.start(Scope.ALL, ROOT)
    wait()
    assert counts(again)[:4] == (State.FINISHED, 1, 1, 1)


def test_a_second_start_leaves_no_run_behind() -> None:
    assert leases.acquire(testing.NAME, 30) is not None
    with pytest.raises(testing.AlreadyRunning):
        testing.start(Scope.ALL, ROOT)
    assert not TestRun.objects.exists()
    assert not AuditEntry.objects.filter(action="channel.test_all").exists()


def test_a_scheduled_run_is_on_record_too(upstream: FakeUpstream) -> None:
    make(upstream, "a", {}, ON)
    run = running.start(testing.NAME, testing.scheduled, 60)
    assert run is not None
    assert run.wait(60)

    (told,) = runs.standings()
    assert (told.state, told.passed, told.run.started_by) == (State.FINISHED, 1, "system")


def test_a_failed_single_test_is_not_untested_and_its_time_is_kept(upstream: FakeUpstream) -> None:
    """D21: it stored 0 ms, which read as "not tested"."""
    channel = make(upstream, "a", {"status": 500, "first_byte": 300}, ON)

    probe = testing.test_one(channel.pk, "gpt-4")

    assert probe.model == "gpt-4"
    channel.refresh_from_db()
    assert (channel.test_outcome, channel.response_time) == (Outcome.FAILED, 0)  # the latter is the contract's
    assert channel.test_milliseconds >= 300
    result = TestRunResult.objects.get()
    assert (result.run_id, result.model, result.outcome) == (None, "gpt-4", Outcome.FAILED)
    assert result.milliseconds >= 300


def test_what_is_older_than_a_month_is_forgotten() -> None:
    old, new = runs.begin("all", "", ROOT), runs.begin("all", "", ROOT)
    for run in (old, new):
        runs.add_result(1, "a", "m", Outcome.PASSED, 1.0, "", run_id=run.pk)
    TestRun.objects.filter(pk=old.pk).update(started=int(time.time()) - runs.KEPT - 1)
    TestRunResult.objects.filter(run=old).update(tested_at=int(time.time()) - runs.KEPT - 1)

    runs.forget_old()

    assert list(TestRun.objects.values_list("pk", flat=True)) == [new.pk]
    assert TestRunResult.objects.count() == 1


def test_counts_are_two_queries_however_many_runs(django_assert_num_queries) -> None:
    for _ in range(5):
        run = runs.begin("all", "", ROOT)
        runs.add_result(1, "a", "m", Outcome.PASSED, 1.0, "", run_id=run.pk)
    with django_assert_num_queries(2):
        assert len(runs.standings()) == 5
