"""What an operator changes takes effect within a second, on every one of four workers."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import MakeGateway
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.server import ROOT_TOKEN, Gateway

pytestmark = [pytest.mark.load, pytest.mark.timed, pytest.mark.timeout(120)]

WORKERS = 4
WITHIN = 1.0  # second
TRIES = 60  # calls at once on connections of their own, so that each worker answers some
MODEL = "gpt-3.5-turbo"


@pytest.fixture
def served(database: Database, gateway: MakeGateway, upstream: FakeUpstream) -> Gateway:
    server = gateway(database, WORKERS)
    server.add_channel(upstream.scripted(text="before"), MODEL)
    server.wait_until_routed(ROOT_TOKEN, MODEL)
    return server


def answers(served: Gateway, key: str) -> Counter[object]:
    """How many of TRIES calls get which answer: the text said, or the status."""
    found: Counter[object] = Counter()
    body = {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    with ThreadPoolExecutor(TRIES) as threads:
        calls = threads.map(lambda _: served.call(key, "POST", "/v1/chat/completions", body), range(TRIES))
    for status, answer in calls:
        found[answer["choices"][0]["message"]["content"] if status == 200 else status] += 1
    return found


def test_a_disabled_token_is_refused(served: Gateway) -> None:
    token = served.api("POST", "/api/token/", json={"name": "second", "unlimited_quota": True})
    key = token["key"].removeprefix("sk-")
    assert answers(served, key) == {"before": TRIES}

    served.api("PUT", "/api/token/?status_only=true", json={"id": token["id"], "status": 2})
    time.sleep(WITHIN)

    assert answers(served, key) == {401: TRIES}


def test_a_disabled_user_is_refused(served: Gateway) -> None:
    account = served.new_user(10**9)
    assert answers(served, account.key) == {"before": TRIES}

    served.api("POST", "/api/user/manage", json={"username": account.username, "action": "disable"})
    time.sleep(WITHIN)

    assert answers(served, account.key) == {403: TRIES}


def test_an_edited_channel_takes_effect(served: Gateway, upstream: FakeUpstream) -> None:
    assert answers(served, ROOT_TOKEN) == {"before": TRIES}
    (channel,) = served.api("GET", "/api/channel/")

    served.api("PUT", "/api/channel/", json={"id": channel["id"], "base_url": upstream.scripted(text="after")})
    time.sleep(WITHIN)

    assert answers(served, ROOT_TOKEN) == {"after": TRIES}

    served.api("PUT", "/api/channel/", json={"id": channel["id"], "status": 2})
    time.sleep(WITHIN)

    assert answers(served, ROOT_TOKEN) == {503: TRIES}
