"""What a key's holder reads of its use, and what errors and pages of other sites are told (real server)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import ask, chat, until
from tests.server import ROOT_TOKEN, Account, Gateway

ORIGIN = {"Origin": "https://app.example"}
PATH = "/v1/chat/completions"


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway:
        evil = {"Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Origin": "https://app.example"}
        gateway.add_channel(upstream_process.scripted(usage=[1_000, 0], headers=evil), "gpt-3.5-turbo")
        gateway.wait_until_routed(ROOT_TOKEN, "gpt-3.5-turbo")
        yield gateway


def root_s_token(house: Gateway) -> Any:
    (token,) = house.api("GET", "/api/token/")
    return token


def test_an_unlimited_token_counts_what_it_used_and_when(house: Gateway) -> None:
    before = root_s_token(house)
    assert before["unlimited_quota"]
    root = Account(1, "root", before["id"], ROOT_TOKEN)
    began = int(time.time())

    got = ask(house, root, PATH, chat("gpt-3.5-turbo"))

    assert got.status == 200
    after = until(lambda: (now := root_s_token(house))["used_quota"] > before["used_quota"] and now)
    assert after["used_quota"] - before["used_quota"] == 250
    assert after["accessed_time"] >= began
    assert ask(house, root, "/dashboard/billing/usage").json()["total_usage"] > 0


@pytest.mark.parametrize("path", ["/dashboard/billing/subscription", "/v1/dashboard/billing/usage", "/v1/models"])
def test_what_fails_is_no_200(house: Gateway, path: str) -> None:
    stranger = Account(0, "nobody", 0, "k" * 48)
    banned = house.new_user(1_000)
    house.api("POST", "/api/user/manage", json={"username": banned.username, "action": "disable"})

    assert ask(house, None, path).status == ask(house, stranger, path).status == 401
    until(lambda: ask(house, banned, path).status == 403)


@pytest.mark.parametrize("path", [PATH, "/v1/models", "/v1/nothing", "/dashboard/billing/usage"])
def test_no_page_of_another_site_may_send_credentials(house: Gateway, path: str) -> None:
    account = house.new_user(10**9)
    answers = [
        ask(house, who, path, body, method=method, headers=ORIGIN)
        for who in (account, None)
        for method, body in (("GET", None), ("POST", chat("gpt-3.5-turbo")), ("OPTIONS", None))
    ]

    assert {got.headers["access-control-allow-origin"] for got in answers} == {"*"}
    assert not [got for got in answers if "access-control-allow-credentials" in got.headers]


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
@pytest.mark.parametrize("path", ["/api/status", "/api/user/self", "/api/nothing", "/login"])
def test_the_management_api_and_the_console_invite_no_other_site(house: Gateway, method: str, path: str) -> None:
    got = httpx.request(method, house.base_url + path, headers={**ORIGIN, "Access-Control-Request-Method": "GET"})

    assert [name for name in got.headers if name.startswith("access-control")] == []
