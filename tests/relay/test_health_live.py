"""What live traffic does to channels, through a real server: breakers, refused accounts, the rate of success."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_TOKEN, Account, Gateway

PATH = "/v1/chat/completions"
names = (f"watched-{i}" for i in itertools.count())


@pytest.fixture(scope="module")
def watching(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"ENABLE_METRIC": "true", "METRIC_QUEUE_SIZE": "20"}
    with server.running(module_database, 2, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.operator("option", key="RetryTimes", value="1")
        gateway.operator("option", key="AutomaticDisableChannelEnabled", value="true")
        yield gateway


@pytest.fixture
def caller(watching: Gateway, upstream: FakeUpstream) -> Account:
    return watching.new_user(10**9)


def pool(gateway: Gateway, upstream: FakeUpstream, *orders: dict[str, Any]) -> tuple[str, list[int]]:
    """(model, channel ids) on channels that behave so, the first with the highest priority."""
    model = next(names)
    made = [
        gateway.add_channel(upstream.scripted(text=f"{place}", **each), model, priority=-place)
        for place, each in enumerate(orders)
    ]
    gateway.wait_until_routed(ROOT_TOKEN, model)
    return model, made


def ask(gateway: Gateway, caller: Account, model: str) -> int:
    return gateway.call(caller.key, "POST", PATH, {"model": model, "messages": [{"role": "user", "content": "hi"}]})[0]


def channel(gateway: Gateway, channel_id: int) -> dict[str, Any]:
    found: dict[str, Any] = gateway.api("GET", f"/api/channel/{channel_id}")
    return found


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.1)


def test_the_only_channel_is_tried_however_often_it_fails(
    watching: Gateway, caller: Account, upstream: FakeUpstream
) -> None:
    model, (only,) = pool(watching, upstream, {"status": 500})

    assert {ask(watching, caller, model) for _ in range(12)} == {500}

    until(lambda: channel(watching, only)["breaker"]["state"] == "open")
    breaker = channel(watching, only)["breaker"]
    assert breaker["opened_until"] > time.time()
    assert breaker["last_failure"] == "The upstream refuses."


def test_an_open_breaker_keeps_calls_away_from_a_failing_channel(
    watching: Gateway, caller: Account, upstream: FakeUpstream
) -> None:
    model, _ = pool(watching, upstream, {"status": 500}, {})
    upstream.reset()

    assert {ask(watching, caller, model) for _ in range(40)} == {200}

    failed = len(upstream.seen()) - 40
    assert 5 <= failed <= 10  # five for each worker, instead of forty


def test_a_refused_account_is_disabled_at_once_and_for_good(
    watching: Gateway, caller: Account, upstream: FakeUpstream
) -> None:
    model, (refused, good) = pool(watching, upstream, {"status": 401, "code": "invalid_api_key"}, {})

    assert {ask(watching, caller, model) for _ in range(4)} == {200}

    until(lambda: channel(watching, refused)["status"] == 3)
    assert channel(watching, refused)["status_reason"] == "The upstream refuses."
    assert channel(watching, good)["status"] == 1


def test_callers_cannot_disable_a_channel(watching: Gateway, caller: Account, upstream: FakeUpstream) -> None:
    orders = {"status": 400, "message": "credit balance permission denied", "type": "insufficient_quota"}
    model, (channel_id,) = pool(watching, upstream, orders)

    for _ in range(25):
        assert ask(watching, caller, model) == 400

    time.sleep(1.5)
    assert channel(watching, channel_id)["status"] == 1
    assert channel(watching, channel_id)["breaker"]["state"] == "closed"


def test_the_rate_of_success_is_that_of_all_workers(watching: Gateway, caller: Account, upstream: FakeUpstream) -> None:
    model, (channel_id,) = pool(watching, upstream, {"status": 500})
    for _ in range(19):
        ask(watching, caller, model)
    time.sleep(2.5)
    assert channel(watching, channel_id)["status"] == 1

    ask(watching, caller, model)

    until(lambda: channel(watching, channel_id)["status"] == 3)
    assert channel(watching, channel_id)["status_reason"] == "最近 20 次调用的成功率为 0.00%，低于 80.00%"


def test_a_breaker_closes_when_its_probe_succeeds(watching: Gateway, caller: Account, upstream: FakeUpstream) -> None:
    model, (bad, _) = pool(watching, upstream, {"status": 503}, {})
    until(lambda: ask(watching, caller, model) == 200 and channel(watching, bad)["breaker"]["state"] == "open")

    watching.operator("edit_channel", channel_id=bad, base_url=upstream.scripted(text="0"))

    until(lambda: ask(watching, caller, model) == 200 and channel(watching, bad)["breaker"]["state"] == "closed")
    assert {ask(watching, caller, model) for _ in range(4)} == {200}
