"""Testing all channels: statuses right and none false, whatever the upstreams do, and one run at a time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from audit.services import SYSTEM
from channels_app import services, testing
from channels_app.models import Channel, ChannelStatus
from channels_app.probe import Probe
from channels_app.testing import Scope
from jobs import leases, running
from notices.models import Kind, OutboxMessage
from options import services as option_services
from options.services import set_option
from tests.channels_app.test_services import made
from tests.fake_upstream import FakeUpstream

pytestmark = pytest.mark.django_db(transaction=True)

ON, BY_HAND, AUTO = ChannelStatus.ENABLED, ChannelStatus.DISABLED, ChannelStatus.AUTO_DISABLED
# (orders to the upstream, status before, status after)
MIX: dict[str, tuple[dict[str, Any], int, int]] = {
    "healthy": ({}, ON, ON),
    "slow": ({"first_byte": 4500}, ON, AUTO),
    "401": ({"status": 401, "type": "authentication_error"}, ON, AUTO),
    "quota": ({"status": 429, "type": "insufficient_quota", "code": "insufficient_quota"}, ON, AUTO),
    "429": ({"status": 429}, ON, ON),
    "500": ({"status": 500}, ON, ON),
    "hangs": ({"hang": True}, ON, AUTO),
    "html": ({"status": 500, "error": "html"}, ON, ON),
    "401 in html": ({"status": 401, "error": "html"}, ON, ON),
    "400 on credit": ({"status": 400, "message": "no credit, no balance, permission denied"}, ON, ON),
    "auto, healthy": ({}, AUTO, ON),
    "auto, slow": ({"first_byte": 4500}, AUTO, AUTO),
    "auto, 500": ({"status": 500}, AUTO, AUTO),
    "by hand, healthy": ({}, BY_HAND, BY_HAND),
    "by hand, 401": ({"status": 401, "type": "authentication_error"}, BY_HAND, BY_HAND),
}


@pytest.fixture(autouse=True)
def _ended():
    yield
    running.stop_all(30)


@pytest.fixture
def automatic(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "LIMIT", 6.0)
    for key, value in (
        ("AutomaticDisableChannelEnabled", "true"),
        ("AutomaticEnableChannelEnabled", "true"),
        ("ChannelDisableThreshold", "3"),
    ):
        set_option(SYSTEM, key, value)


def make(upstream: FakeUpstream, name: str, orders: dict[str, Any], status: int) -> Channel:
    channel = made(name=name, base_url=upstream.scripted(**orders) if orders else upstream.url)
    if status != ON:
        services.set_status(SYSTEM, channel.pk, status)
    return channel


def wait(seconds: float = 60) -> dict[str, Any]:
    end = time.monotonic() + seconds
    while (progress := testing.progress())["running"]:
        assert time.monotonic() < end, progress
        time.sleep(0.05)
    return progress


def statuses() -> dict[str, int]:
    return dict(Channel.objects.values_list("name", "status"))


def test_a_mixed_pool_ends_with_the_right_statuses(upstream: FakeUpstream, automatic: None) -> None:
    for name, (orders, before, _) in MIX.items():
        make(upstream, name, orders, before)
    for more in range(5):
        make(upstream, f"healthy {more}", {}, ON)

    testing.start(Scope.ALL)
    with pytest.raises(testing.AlreadyRunning):
        testing.start(Scope.DISABLED)
    progress = wait()

    assert statuses() == {name: after for name, (_, _, after) in MIX.items()} | {f"healthy {n}": ON for n in range(5)}
    assert (progress["total"], progress["done"], progress["passed"], progress["outcome"]) == (20, 20, 10, "ok")
    names = dict(Channel.objects.values_list("pk", "name"))
    assert {names[pk] for pk in progress["disabled"]} == {"slow", "401", "quota", "hangs"}
    assert {names[pk] for pk in progress["enabled"]} == {"auto, healthy"}
    kinds = list(OutboxMessage.objects.values_list("kind", flat=True))
    assert sorted(kinds) == sorted([Kind.CHANNEL_DISABLED] * 4 + [Kind.CHANNEL_ENABLED, Kind.TEST_FINISHED])
    rows = {channel.name: channel for channel in Channel.objects.all()}
    assert rows["slow"].status_reason.endswith("s 超过阈值 3.00s")
    assert rows["401"].status_reason.startswith("http status code: 401")
    assert 5900 < rows["hangs"].response_time < 12_000
    assert all(channel.test_time > 0 for channel in rows.values())


def test_without_the_options_nothing_changes_and_slow_ones_are_told(upstream: FakeUpstream, automatic: None) -> None:
    for key in ("AutomaticDisableChannelEnabled", "AutomaticEnableChannelEnabled"):
        set_option(SYSTEM, key, "false")
    before = {name: made_with for name, (_, made_with, _) in MIX.items()}
    for name, (orders, status, _) in MIX.items():
        make(upstream, name, orders, status)

    run = running.start(testing.NAME, testing.scheduled, 60)
    assert run is not None
    assert run.wait(60)

    assert statuses() == before
    names = dict(Channel.objects.values_list("pk", "name"))
    assert {names[pk] for pk in testing.progress()["slow"]} == {"slow", "hangs"}
    (message,) = OutboxMessage.objects.all()
    assert message.kind == Kind.TEST_FINISHED
    assert "left in service" in message.facts["summary"]


def test_a_scheduled_run_without_findings_tells_nobody(upstream: FakeUpstream) -> None:
    make(upstream, "healthy", {}, ON)

    run = running.start(testing.NAME, testing.scheduled, 60)

    assert run is not None
    assert run.wait(60)
    assert run.outcome == "ok"
    assert not OutboxMessage.objects.exists()


def test_only_the_disabled_ones(upstream: FakeUpstream) -> None:
    make(upstream, "on", {}, ON)
    make(upstream, "auto", {}, AUTO)
    make(upstream, "by hand", {}, BY_HAND)

    testing.start(Scope.DISABLED)
    progress = wait()

    assert (progress["scope"], progress["total"]) == ("disabled", 2)
    assert Channel.objects.get(name="on").test_time == 0


def test_with_a_pause_they_go_one_by_one_newest_first(upstream: FakeUpstream, settings) -> None:
    settings.POLLING_INTERVAL = 1
    for name in ("old", "new"):
        make(upstream, name, {"text": name}, ON)

    began = time.monotonic()
    testing.start(Scope.ALL)
    wait()

    assert time.monotonic() - began >= 1
    assert upstream.stats()["most_open"] == 1
    first, second = Channel.objects.order_by("-id")
    assert first.name == "new"
    assert first.test_time <= second.test_time


def test_a_stopped_run_leaves_the_rest_alone_and_can_be_started_again(upstream: FakeUpstream, settings) -> None:
    settings.POLLING_INTERVAL = 30
    for name in ("old", "new"):
        make(upstream, name, {}, ON)
    testing.start(Scope.ALL)
    end = time.monotonic() + 10
    while testing.progress()["done"] < 1 and time.monotonic() < end:
        time.sleep(0.05)

    running.stop_all(10)

    progress = testing.progress()
    assert (progress["running"], progress["done"], progress["outcome"]) == (False, 1, "stopped")
    assert not OutboxMessage.objects.exists()
    settings.POLLING_INTERVAL = 0
    testing.start(Scope.ALL)
    assert wait()["done"] == 2


def test_a_run_that_fails_does_not_stay_running(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(testing, "run", lambda *_: 1 / 0)

    testing.start(Scope.ALL)

    assert wait()["outcome"] == "failed: ZeroDivisionError"
    assert leases.acquire(testing.NAME, 1) is not None


@pytest.mark.parametrize(
    ("threshold", "elapsed", "disabled"), [("5", 5.1, True), ("5", 4.9, False), ("0", 60.0, False)]
)
def test_the_threshold(db: None, threshold: str, elapsed: float, disabled: bool) -> None:
    set_option(SYSTEM, "AutomaticDisableChannelEnabled", "true")
    set_option(SYSTEM, "ChannelDisableThreshold", threshold)
    channel = made()

    change = testing.judge(channel.pk, ON, Probe(True, "hi", elapsed, "m", elapsed=elapsed), option_services.load())

    assert (change is AUTO) == disabled


def test_who_disables_by_hand_during_the_test_is_right(db: None) -> None:
    set_option(SYSTEM, "AutomaticEnableChannelEnabled", "true")
    channel = made()
    services.set_status(SYSTEM, channel.pk, BY_HAND)

    change = testing.judge(channel.pk, AUTO, Probe(True, "hi", 0.1, "m", elapsed=0.1), option_services.load())

    assert change is None
    assert statuses() == {"gpt": BY_HAND}


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_two_hundred_channels(upstream: FakeUpstream, automatic: None) -> None:
    kinds = ["healthy", "slow", "401", "429", "hangs", "html", "auto, healthy", "by hand, healthy"]
    expected = {}
    for number in range(200):
        kind = kinds[number % 8] if number < 100 else "healthy"
        script, before, after = MIX[kind]
        make(upstream, f"{number}", script, before)
        expected[f"{number}"] = after

    testing.start(Scope.ALL)
    seen = set()
    while (progress := testing.progress())["running"]:
        seen.add(progress["done"])
        time.sleep(0.2)

    assert statuses() == expected
    assert progress["done"] == progress["total"] == 200
    assert len(seen) > 5
