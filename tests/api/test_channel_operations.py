"""Test all, progress, balances and model lists as the management API has them (contract 2.8, 2.9, A3 to A5)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from channels_app import balances, testing
from channels_app.models import BreakerState, Channel, ChannelHealth
from jobs import leases, running
from tests.api.conftest import Caller
from tests.channels_app.test_balances import CREDITS, answering
from tests.channels_app.test_probe import answering as talking
from tests.channels_app.test_services import made

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    yield
    running.stop_all(30)


def test_test_all_runs_in_the_background_once_at_a_time(admin: Caller, gpt: Channel) -> None:
    held = leases.acquire(testing.NAME, 30)
    assert held is not None
    assert admin.get("channel/test?scope=all") == {"success": False, "message": "测试已在运行中"}
    leases.release(held)

    assert admin.get("channel/test") == {"success": True, "message": ""}

    end = time.monotonic() + 30
    while (body := admin.get("channel/test/progress"))["data"]["running"] and time.monotonic() < end:
        time.sleep(0.05)
    assert body["success"]
    assert set(body["data"]) == {
        "scope", "total", "done", "passed", "failed", "slow", "disabled", "enabled",
        "running", "started", "finished", "outcome",
    }  # fmt: skip
    assert (body["data"]["total"], body["data"]["passed"], body["data"]["outcome"]) == (1, 1, "ok")
    assert Channel.objects.get(pk=gpt.pk).test_time > 0


@pytest.mark.parametrize("scope", ["enabled", "ALL", "0", "all,disabled"])
def test_an_unknown_scope_is_refused_and_tests_nothing(admin: Caller, gpt: Channel, scope: str) -> None:
    assert admin.get(f"channel/test?scope={scope}") == {"success": False, "message": "invalid parameter"}
    assert not leases.state(testing.NAME).running


def test_progress_before_any_run(admin: Caller) -> None:
    data = admin.get("channel/test/progress")["data"]
    assert (data["running"], data["total"], data["started"]) == (False, 0, 0)


def test_one_balance(admin: Caller) -> None:
    with answering({CREDITS: {"total_available": 12}}) as (base_url, _):
        channel = made(type=4, base_url=base_url)
        body = admin.get(f"channel/update_balance/{channel.pk}/")

    assert body == {"success": True, "message": "", "balance": 12.0}
    assert admin.get(f"channel/{channel.pk}")["data"]["balance"] == 12
    azure = made(type=3, base_url="http://127.0.0.1:1")
    assert admin.get(f"channel/update_balance/{azure.pk}") == {"success": False, "message": "尚未实现"}
    assert admin.get("channel/update_balance/999")["message"] == "record not found"


def test_all_balances_are_really_updated(admin: Caller) -> None:
    with answering({CREDITS: {"total_available": 12}}) as (base_url, _):
        channel = made(type=4, base_url=base_url)
        assert admin.get("channel/update_balance") == {"success": True, "message": ""}
        end = time.monotonic() + 30
        while leases.state(balances.NAME).running and time.monotonic() < end:
            time.sleep(0.05)

    assert Channel.objects.get(pk=channel.pk).balance == 12


def test_the_upstreams_models(admin: Caller) -> None:
    with answering({"/v1/models": {"data": [{"id": "a"}, {"id": "b"}]}}) as (base_url, _):
        channel = made(base_url=base_url)
        assert admin.get(f"channel/fetch_models/{channel.pk}")["data"] == ["a", "b"]
        draft = {"type": 1, "base_url": base_url, "key": "sk-new"}
        assert admin.post("channel/fetch_models", draft)["data"] == ["a", "b"]
    assert admin.post("channel/fetch_models", {**draft, "base_url": "ftp://x"})["success"] is False
    assert admin.post("channel/fetch_models", {**draft, "key": 7})["success"] is False
    assert admin.get(f"channel/fetch_models/{channel.pk}")["success"] is False


def test_what_a_breaker_did_is_on_the_channel(admin: Caller) -> None:
    channel = made()
    assert admin.get(f"channel/{channel.pk}")["data"]["breaker"]["state"] == "closed"
    ChannelHealth.objects.create(pk=channel.pk, breaker_state=BreakerState.OPEN, opened_until=99, last_failure="no")

    for row in (admin.get(f"channel/{channel.pk}")["data"], admin.get("channel/")["data"][0]):
        assert row["breaker"] == {
            "state": "open",
            "opened_until": 99,
            "failures": 0,
            "last_failure": "no",
            "changed_at": 0,
        }


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "channel/test"),
        ("GET", "channel/test/progress"),
        ("GET", "channel/update_balance"),
        ("GET", "channel/update_balance/1"),
        ("GET", "channel/fetch_models/1"),
        ("POST", "channel/fetch_models"),
    ],
)
def test_only_administrators(anonymous: Caller, user: Caller, disabled: Caller, method: str, path: str) -> None:
    assert anonymous.send(method, path, {}).status_code == 401
    for caller in (user, disabled):
        assert caller.ask(method, path, {})["success"] is False
    assert not leases.state(testing.NAME).started


HALF = b'{"choices": [{"message": {"content": "hi \\ud83d"}}]}'  # of a character


def test_half_a_character_does_not_end_a_run_of_tests(admin: Caller) -> None:
    with talking(HALF) as base_url:
        for name in ("one", "two"):
            made(name=name, base_url=base_url)
        assert admin.get("channel/test") == {"success": True, "message": ""}
        end = time.monotonic() + 30
        while (data := admin.get("channel/test/progress")["data"])["running"] and time.monotonic() < end:
            time.sleep(0.05)

    assert (data["outcome"], data["done"], data["passed"]) == ("ok", 2, 2)


def test_half_a_character_is_told_by_the_test_of_one_channel(admin: Caller) -> None:
    with talking(HALF) as base_url:
        answer = admin.get(f"channel/test/{made(base_url=base_url).pk}")

    assert (answer["success"], answer["message"]) == (True, "hi ?")


def test_half_a_character_in_a_refusal_of_a_balance_is_told(admin: Caller) -> None:
    refusal = b'{"code": "\\ud83d", "message": "x"}'
    with answering({"/v1/user/info": refusal}) as (base_url, _):
        answer = admin.get(f"channel/update_balance/{made(type=44, base_url=base_url).pk}")

    assert answer["success"] is False
    assert "?" in answer["message"]
