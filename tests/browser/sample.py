"""A gateway that has seen some life: people, keys, channels of several kinds, calls good and bad, codes, a test run.

Made through the management API and by calls, as a deployment would come by it; the ids are what pages are opened with.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.fake_upstream import FakeUpstream, in_text
from tests.server import ROOT_TOKEN, Account, Gateway

MODELS = "gpt-4o-mini,gpt-4o,text-embedding-3-small,dall-e-3"
OPENING = 40_000_000  # points
LONG = "a name as long as the database takes it"  # what must not push a page sideways


@dataclass(frozen=True, slots=True)
class Sample:
    """Ids of rows that pages show, and of who looks at them (by role)."""

    alice: Account
    channel: int
    code: int
    run: int
    log: int
    key: int
    roots_key: int
    entry: int
    people: dict[int, int]


def fill(gateway: Gateway, upstream: FakeUpstream) -> Sample:
    channel = _channels(gateway, upstream)
    alice = gateway.new_user(OPENING)
    keys = [
        gateway.operator("token", user_id=alice.id, name=name, **more)
        for name, more in (
            ("limited", {"remain_quota": 250_000, "model_names": "gpt-4o-mini,gpt-4o"}),
            (LONG[:30], {"status": 2, "subnet": "10.0.0.0/8,192.168.0.0/16"}),
            ("expired", {"expired_time": int(time.time()) - 3600, "status": 3}),
        )
    ]
    adam = gateway.operator("user", username="adam", quota=OPENING, role=10)
    for number in range(14):
        gateway.operator(
            "user", username=f"person{number}", quota=number * 1_234_567, group="default" if number % 3 else "vip"
        )
    gateway.wait_until_routed(ROOT_TOKEN, "gpt-4o")
    _calls(gateway, alice)
    gateway.api("POST", "/api/redemption/", json={"name": "summer", "quota": 500_000, "count": 12})
    gateway.api("POST", "/api/token/", json={"name": "roots own", "remain_quota": 500_000, "expired_time": -1})
    gateway.operator(
        "option", key="ChatLink", value=gateway.base_url + "/about"
    )  # an address elsewhere would be asked for
    gateway.operator("option", key="WeChatServerAddress", value=upstream.url)
    gateway.operator("option", key="WeChatServerToken", value="token")
    gateway.operator("option", key="WeChatAuthEnabled", value="true")
    gateway.operator("option", key="Notice", value="Maintenance on **Sunday**, 02:00 to 03:00.")
    run = _test_run(gateway)
    value = gateway.database.value
    return Sample(
        alice=alice,
        channel=channel,
        code=value("SELECT min(id) FROM redemptions"),
        run=run,
        log=value(f"SELECT max(id) FROM logs WHERE user_id = {alice.id} AND type = 2"),
        key=keys[0]["id"],
        roots_key=value("SELECT max(id) FROM tokens WHERE user_id = 1"),
        entry=value("SELECT max(id) FROM audit_entries"),
        people={1: alice.id, 10: adam, 100: 1},
    )


def _channels(gateway: Gateway, upstream: FakeUpstream) -> int:
    works = gateway.add_channel(upstream.url, MODELS, name="works", tags="europe", priority=5)
    gateway.add_channel(upstream.scripted(status=500), "gpt-4o-broken", name="fails", tags="europe,cheap")
    others = (
        {"type": 14, "name": LONG[:40], "models": "claude-3-5-sonnet-20241022,claude-3-haiku-20240307"},
        {"type": 24, "name": "gemini", "models": "gemini-2.0-flash", "status": 2},
        {"type": 33, "name": "bedrock", "models": "claude-3-haiku-20240307", "status": 3},
        {"type": 42, "name": "vertex", "models": "gemini-1.5-pro", "group": "vip"},
        {"type": 50, "name": "self hosted", "models": "qwen2.5-72b-instruct", "weight": 7},
    )
    for fields in others:
        gateway.add_channel(upstream.url, str(fields.pop("models")), **fields)
    return works


def _calls(gateway: Gateway, alice: Account) -> None:
    def call(path: str, **body: Any) -> None:
        gateway.call(alice.key, "POST", path, body)

    for model in ("gpt-4o-mini", "gpt-4o", "gpt-4o-mini"):
        call("/v1/chat/completions", model=model, messages=[{"role": "user", "content": "Hello"}])
    script = in_text(usage=(120_000, 4_000))
    call("/v1/chat/completions", model="gpt-4o", messages=[{"role": "user", "content": script}])
    call("/v1/embeddings", model="text-embedding-3-small", input="Hello")
    call("/v1/chat/completions", model="gpt-4o-broken", messages=[{"role": "user", "content": "Hello"}])
    call("/v1/chat/completions", model="not-there", messages=[{"role": "user", "content": "Hello"}])


def _test_run(gateway: Gateway) -> int:
    gateway.api("GET", "/api/channel/test")
    wait_for(lambda: gateway.database.value("SELECT count(*) FROM channel_test_runs WHERE finished > 0") == 1)
    return int(gateway.database.value("SELECT max(id) FROM channel_test_runs"))


def wait_for(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"not so after {seconds} s"
        time.sleep(0.1)
