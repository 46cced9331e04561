"""DEBUG=true makes the log talkative and nothing else: no limit falls, no body is written down, no page tells more."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import ask, chat
from tests.server import ROOT_PASSWORD, ROOT_TOKEN, Gateway

LIMIT = 40


@pytest.fixture(scope="module")
def talkative(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"DEBUG": "true", "DEBUG_SQL": "true", "GLOBAL_API_RATE_LIMIT": str(LIMIT)}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.add_channel(upstream_process.url, "gpt-3.5-turbo")
        gateway.wait_until_routed(ROOT_TOKEN, "gpt-3.5-turbo")
        yield gateway


def log_of(gateway: Gateway) -> str:
    files = [gateway.output, *(gateway.folder / "logs").iterdir()]
    return "".join(file.read_text(errors="replace") for file in files)


def test_neither_bodies_nor_credentials_are_in_the_log(talkative: Gateway) -> None:
    account = talkative.new_user(10**9)
    assert ask(talkative, account, "/v1/chat/completions", chat("gpt-3.5-turbo", "a private question")).status == 200
    talkative.api("PUT", "/api/option/", json={"key": "SMTPToken", "value": "the mail server's token"})
    root = {"username": "root", "password": ROOT_PASSWORD}
    signed_in = httpx.post(f"{talkative.base_url}/api/user/login", json=root, timeout=30).json()
    assert signed_in["success"]

    log = log_of(talkative)

    assert "SELECT" in log  # it is talkative indeed
    told = ("a private question", "Hello from the upstream", "the mail server's token", ROOT_PASSWORD)
    keys = (account.key, ROOT_TOKEN, server.ROOT_ACCESS_TOKEN, "sk-upstream")
    assert [secret for secret in (*told, *keys) if secret in log] == []


def test_a_page_that_is_not_there_tells_no_settings(talkative: Gateway) -> None:
    text = httpx.get(f"{talkative.base_url}/no/such/page", timeout=30).text

    assert "urlpatterns" not in text.lower().replace(" ", "")
    assert "DEBUG = True" not in text


def test_limits_hold_as_ever(talkative: Gateway) -> None:
    wrong = {"username": "nobody", "password": "a wrong password"}
    with httpx.Client(base_url=talkative.base_url, timeout=30) as client:
        tries = [client.post("/api/user/login", json=wrong).status_code for _ in range(21)]
        calls = [client.get("/api/status").status_code for _ in range(LIMIT)]

    assert tries[0] == 200
    assert tries[-1] == 429  # 20 in 20 minutes
    assert calls[-1] == 429
