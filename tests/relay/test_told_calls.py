"""What the log tells of calls that went well, that broke, and that failed before anything was generated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from relay.failures import MOST
from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import ask, chat, connected, post, until
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL = "gpt-3.5-turbo"
PATH = "/v1/chat/completions"
PURSE = 10**9
CONSUME, ERROR = 2, 6
COLUMNS = ("type", "model_name", "quota", "status", "error_code", "channel_id", "content", "ip", "user_agent")


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    channel: int
    broken: int

    def account(self, quota: int = PURSE, **token: Any) -> Account:
        return self.gateway.new_user(quota, **token)

    def told(self, account: Account, count: int = 1) -> list[dict[str, Any]]:
        """The account's log rows, oldest first, when so many are there."""
        names = ", ".join(COLUMNS)
        query = f"SELECT {names} FROM logs WHERE user_id = {account.id} ORDER BY id"
        database = self.gateway.database
        until(lambda: database.value(f"SELECT COUNT(*) FROM logs WHERE user_id = {account.id}") >= count)
        return [dict(zip(COLUMNS, row, strict=True)) for row in database.rows(query)]

    def more(self, account: Account, *columns: str) -> tuple[Any, ...]:
        """Further columns of the account's newest row."""
        quoted = [f"`{name}`" if self.gateway.database.kind == "mysql" else f'"{name}"' for name in columns]
        query = f"SELECT {', '.join(quoted)} FROM logs WHERE user_id = {account.id} ORDER BY id DESC LIMIT 1"
        return tuple(self.gateway.database.rows(query)[0])


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = {"RELAY_IDLE_TIMEOUT": "3"}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        channel = gateway.add_channel(
            upstream_process.url, f"{MODEL},mapped", model_mapping=json.dumps({"mapped": MODEL})
        )
        failing = upstream_process.scripted(status=500, message="no sk-abcdefghijklmnop", code="broke")
        broken = gateway.add_channel(failing, "broken")
        gateway.wait_until_routed(ROOT_TOKEN, "broken")
        yield House(gateway, channel, broken)


def test_a_call_tells_where_it_came_from_and_how_it_ended(house: House) -> None:
    account = house.account()

    ask(house.gateway, account, PATH, chat("mapped"), headers={"User-Agent": "client/1 " + "x" * 200})

    (row,) = house.told(account)
    assert (row["type"], row["status"], row["error_code"], row["ip"]) == (CONSUME, 200, "", "127.0.0.1")
    assert row["user_agent"] == ("client/1 " + "x" * 200)[:120]
    assert house.more(account, "group", "upstream_model", "first_token_time") == ("default", MODEL, 0)


def test_a_name_that_is_not_mapped_is_told_once(house: House) -> None:
    account = house.account()

    ask(house.gateway, account, PATH, chat(MODEL))

    house.told(account)
    assert house.more(account, "model_name", "upstream_model") == (MODEL, "")


def test_odd_characters_of_a_user_agent_stop_nothing(house: House) -> None:
    account = house.account()

    got = ask(house.gateway, account, PATH, chat(MODEL), headers={"User-Agent": "caf\xe9\t\x80 1"})

    assert got.status == 200
    assert house.told(account)[0]["user_agent"] == "caf\xe9   1"


def test_a_stream_tells_when_its_first_byte_went_out(house: House) -> None:
    account = house.account()

    ask(house.gateway, account, PATH, chat(MODEL, in_text(events=5, pace=100), stream=True))

    house.told(account)
    first, whole = house.more(account, "first_token_time", "elapsed_time")
    assert 0 < first < whole


def test_cached_tokens_have_a_column_of_their_own(house: House) -> None:
    account = house.account()
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 80}}
    said = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hi"}}
    answer = {"id": "1", "object": "chat.completion", "choices": [said], "usage": usage}

    got = ask(house.gateway, account, PATH, chat(MODEL, in_text(error="json", body=answer, error_in_200=True)))

    assert got.status == 200
    house.told(account)
    assert house.more(account, "prompt_tokens", "cached_tokens") == (100, 80)


def test_a_stream_that_breaks_is_charged_and_says_what_broke_it(house: House) -> None:
    account = house.account()

    ask(house.gateway, account, PATH, chat(MODEL, in_text(events=50, drop_after=20), stream=True))

    (row,) = house.told(account)
    assert (row["type"], row["status"], row["error_code"]) == (CONSUME, 200, "do_request_failed")
    assert row["quota"] > 0


def test_who_leaves_has_a_status_of_its_own_and_no_error(house: House) -> None:
    account = house.account()
    body = json.dumps(chat(MODEL, in_text(events=100, pace=50), stream=True)).encode()

    with connected(house.gateway) as caller:
        caller.sendall(post(house.gateway, account, body))
        caller.recv(100)

    (row,) = house.told(account)
    assert (row["type"], row["status"], row["error_code"]) == (CONSUME, 499, "")


class TestFailures:
    def test_an_upstream_s_failure_is_told_as_the_caller_was_told(self, house: House) -> None:
        account = house.account()

        got = ask(house.gateway, account, PATH, chat("broken"))

        (row,) = house.told(account)
        assert (row["type"], row["quota"], row["status"]) == (ERROR, 0, got.status)
        assert (row["model_name"], row["channel_id"], row["error_code"]) == ("broken", house.broken, "broke")
        assert got.error["message"] == f"{row['content']} (request id: {got.request_id})"
        assert "abcdefghijklmnop" not in row["content"]

    @pytest.mark.parametrize(
        ("body", "status", "code", "model"),
        [
            (b"{", 400, "invalid_text_request", ""),
            (json.dumps(chat("nobody-s\0")).encode(), 404, "model_not_found", "nobody-s "),
        ],
    )
    def test_a_caller_s_mistakes(self, house: House, body: bytes, status: int, code: str, model: str) -> None:
        account = house.account()

        got = ask(house.gateway, account, PATH, body)

        (row,) = house.told(account)
        assert (got.status, row["type"], row["status"], row["model_name"]) == (status, ERROR, status, model)
        assert row["error_code"] == (got.error["code"] or code) == code

    def test_a_model_the_key_may_not_use(self, house: House) -> None:
        account = house.account(model_names="gpt-4o-mini")

        ask(house.gateway, account, PATH, chat(MODEL))

        (row,) = house.told(account)
        assert (row["status"], row["error_code"], row["content"]) == (403, "forbidden", f"该令牌无权使用模型：{MODEL}")

    def test_a_balance_too_small(self, house: House) -> None:
        account = house.account(0)

        ask(house.gateway, account, PATH, chat(MODEL))

        (row,) = house.told(account)
        assert (row["status"], row["error_code"], row["quota"]) == (403, "insufficient_user_quota", 0)

    def test_a_stranger_leaves_no_line(self, house: House) -> None:
        count = "SELECT COUNT(*) FROM logs"
        before = house.gateway.database.value(count)
        account = house.account()
        nobody = Account(0, "", 0, "0" * 48)

        assert ask(house.gateway, nobody, PATH, chat(MODEL)).status == 401
        ask(house.gateway, account, PATH, b"{")

        house.told(account)
        assert house.gateway.database.value(count) == before + 1

    def test_who_fails_in_a_loop_does_not_fill_the_log(self, house: House) -> None:
        account = house.account()

        for _ in range(MOST + 15):
            assert ask(house.gateway, account, PATH, b"{").status == 400
        ask(house.gateway, account, PATH, chat(MODEL))

        rows = house.told(account, MOST + 1)
        assert [row["type"] for row in rows].count(ERROR) == MOST

    def test_the_books_are_as_if_nothing_had_been(self, house: House) -> None:
        account = house.account()

        ask(house.gateway, account, PATH, chat("broken"))

        house.told(account)
        books = house.gateway.books()
        books.wait_settled(5)
        books.check()
        assert (books.quota(account.id), books.used_quota(account.id)) == (PURSE, 0)


def test_failures_are_seen_where_their_type_is_asked_for(house: House) -> None:
    account = house.account()
    ask(house.gateway, account, PATH, b"{")
    house.told(account)

    with house.gateway.root_api() as api:
        usual = api.get("/api/log/", params={"username": account.username}).json()["data"]
        asked = api.get("/api/log/", params={"username": account.username, "type": ERROR}).json()["data"]
        found = api.get("/api/log/search", params={"keyword": asked[0]["content"]}).json()["data"]

    assert (usual, found) == ([], [])
    assert [row["quota"] for row in asked] == [0]
    assert not {"ip", "user_agent", "status", "error_code", "upstream_model"} & set(asked[0])
