"""Answers under status 200 that cannot be taken as they stand: usage that cannot be true, errors in a vendor's form."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import ask
from tests.server import ROOT_TOKEN, Gateway

PURSE = 10**12
ABSURD = 10**9  # the most that is read as a number of tokens at all
BASE_RESP = {"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": None}
SID = {"code": 11202, "message": "licc limit", "sid": "cha000b0"}


@pytest.fixture(scope="module")
def gateway(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as made:
        made.operator("option", key="ModelRatio", value='{"honest": 1}')
        made.add_channel(upstream_process.url, "honest")
        for model, body in (("minimax", BASE_RESP), ("spark", SID)):
            made.add_channel(upstream_process.scripted(error="json", body=body, error_in_200=True), model)
        made.wait_until_routed(ROOT_TOKEN, "spark")
        yield made


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
def test_usage_that_cannot_be_true_takes_a_bounded_amount_and_never_gives_any(gateway: Gateway, stream: bool) -> None:
    account = gateway.new_user(PURSE)
    content = in_text(usage=[ABSURD * 10, -5])
    body = {"model": "honest", "messages": [{"role": "user", "content": content}], "stream": stream}

    got = ask(gateway, account, "/v1/chat/completions", body)

    assert got.status == 200
    books = gateway.books()
    books.wait_settled(5)
    books.check()
    row = books.logs(account.id)[-1]
    assert row.completion_tokens == 0
    assert 8_000_000 <= row.prompt_tokens < 9_000_000  # what relay.credible lets pass for a prompt of this size
    assert row.quota == row.prompt_tokens


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
@pytest.mark.parametrize(
    ("model", "status", "told"), [("minimax", 401, "login fail"), ("spark", 429, None)], ids=["MiniMax", "iFlytek"]
)
def test_a_vendors_error_inside_a_200_is_an_error_and_costs_nothing(
    gateway: Gateway, model: str, status: int, told: str | None, stream: bool
) -> None:
    account = gateway.new_user(PURSE)
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], "stream": stream}

    got = ask(gateway, account, "/v1/chat/completions", body)

    assert got.status == status, got.body
    assert told is None or told in got.error["message"]
    assert "choices" not in json.loads(got.body)
    assert gateway.books().logs(account.id) == []
