"""After a failure: who is tried next, how often, and what the caller is told (relay contract, section 4)."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream
from tests.relay.raw import Got, ask, chat
from tests.server import ROOT_TOKEN, Account, Gateway
from tests.upstream.script import of_path

PATH = "/v1/chat/completions"
PURSE = 10**12
SATURATED = "当前分组上游负载已饱和，请稍后再试"
RETRIED = (401, 402, 403, 404, 408, 424, 429, 500, 502, 503, 504, 529)
FINAL = (400, 405, 409, 413, 415, 422)
FAILURES: dict[str, dict[str, Any]] = {
    "error-in-200": {"error_in_200": True},
    "half-an-answer": {"truncate": True},
    "redirect": {"redirect": "http://127.0.0.1:1/"},
    "nobody-there": {"base_url": "http://127.0.0.1:1"},
    "no-host": {"base_url": "http://a..b"},
    "no-address": {"base_url": "http://[::1"},
    "no-scheme-of-ours": {"base_url": "gopher://x"},
    "key-of-two-lines": {"key": "sk-line\r\nX-Injected: 1"},
    "html": {"status": 500, "error": "html"},
    "no-object": {"error": "json", "body": [1], "error_in_200": True},
}
STREAM_FAILURES: dict[str, dict[str, Any]] = {
    "error-first": {"error_after": 0, "usage": None},
    "no-stream": {"plain": True},
    "status": {"status": 500},
    "dropped-first": {"drop_after": 0},
}
names = (f"retried-{i}" for i in itertools.count())


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    upstream: FakeUpstream
    user: Account

    def model(self, *channels: dict[str, Any], **common: Any) -> str:
        """A new model on channels that behave so, the first one with the highest priority; known when this returns."""
        model = next(names)
        self.add(model, *channels, **common)
        self.gateway.wait_until_routed(ROOT_TOKEN, model)
        self.upstream.reset()
        return model

    def add(self, model: str, *channels: dict[str, Any], **common: Any) -> None:
        for place, each in enumerate(channels):
            orders = dict(each)
            named = [name for name in ("priority", "key", "base_url") if name in orders]
            fields: dict[str, Any] = {name: orders.pop(name) for name in named}
            values: dict[str, Any] = {"priority": -place, **common, **fields}
            base_url = values.pop("base_url", self.upstream.scripted(text=f"channel {place}", **orders))
            self.gateway.add_channel(base_url, model, **values)

    def ask(self, model: str, **members: Any) -> Got:
        return ask(self.gateway, self.user, PATH, chat(model, **members))

    def tried(self) -> list[str]:
        """The scripted texts of the channels called since the last reset, in order."""
        return [of_path(seen.target.split("/")[1]).text.removeprefix("channel ") for seen in self.upstream.seen()]


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    settings = {"RELAY_FIRST_BYTE_TIMEOUT": "1", "RELAY_CONNECT_TIMEOUT": "1"}
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as gateway:
        gateway.operator("option", key="RetryTimes", value="2")
        made = House(gateway, upstream_process, gateway.new_user(PURSE))
        # One wait for all that only differ in how the first channel fails.
        for status in (*RETRIED, *FINAL):
            made.add(f"status-{status}", {"status": status}, {})
        for name, orders in (*FAILURES.items(), *STREAM_FAILURES.items()):
            made.add(name, orders, {})
        gateway.wait_until_routed(ROOT_TOKEN, name)
        yield made


def said(got: Got) -> str:
    return str(got.json()["choices"][0]["message"]["content"])


def test_who_waits_for_a_model_waits_for_all_its_channels(house: House) -> None:
    model = house.model({})
    for better in range(1, 4):
        house.gateway.add_channel(house.upstream.scripted(text=f"channel {better}"), model, priority=better)
        house.gateway.wait_until_routed(ROOT_TOKEN, model)
        assert said(house.ask(model)) == f"channel {better}"


class TestWhatIsRetried:
    @pytest.mark.parametrize("status", RETRIED)
    def test_what_another_channel_may_do_better(self, house: House, upstream: FakeUpstream, status: int) -> None:
        assert said(house.ask(f"status-{status}")) == "channel 1"
        assert house.tried() == ["0", "1"]

    @pytest.mark.parametrize("status", FINAL)
    def test_not_what_the_caller_has_to_mend(self, house: House, upstream: FakeUpstream, status: int) -> None:
        got = house.ask(f"status-{status}")

        assert (got.status, got.error["code"]) == (status, "scripted")
        assert house.tried() == ["0"]

    @pytest.mark.parametrize("failure", FAILURES)
    def test_failures_of_every_kind(self, house: House, failure: str) -> None:
        assert said(house.ask(failure)) == "channel 1"

    @pytest.mark.parametrize("failure", STREAM_FAILURES)
    def test_a_stream_of_which_nothing_was_passed_on(self, house: House, upstream: FakeUpstream, failure: str) -> None:
        # Completions, because a chat's stream begins with a chunk that names the role.
        body = {"model": failure, "prompt": "Hello", "stream": True}
        got = ask(house.gateway, house.user, "/v1/completions", body)

        assert (got.status, got.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert b"upstream refuses" not in got.body
        assert got.body.endswith(b"data: [DONE]\n\n")
        assert len(house.tried()) == 2

    def test_a_retry_on_an_unserved_mode(self, house: House) -> None:
        model = next(names)
        house.gateway.add_channel(house.upstream.url, model, type=27, priority=1)  # MiniMax: chat only
        house.gateway.add_channel(house.upstream.url, model)
        house.gateway.wait_until_routed(ROOT_TOKEN, model)

        got = ask(house.gateway, house.user, "/v1/completions", {"model": model, "prompt": "x"})

        assert got.status == 200

    def test_what_one_protocol_has_no_place_for_goes_to_another(self, house: House) -> None:
        model, alone = next(names), next(names)
        for each in (model, alone):
            house.gateway.add_channel(house.upstream.url, each, type=14, priority=1)  # Anthropic: one answer a request
        house.gateway.add_channel(house.upstream.url, model)
        house.gateway.wait_until_routed(ROOT_TOKEN, model)

        assert house.ask(model, n=2).status == 200

        got = house.ask(alone, n=2)
        assert got.status == 400
        assert got.error["message"].startswith("n must be 1: Anthropic's protocol makes one answer a request")
        assert (got.error["type"], got.error["code"]) == ("one_api_error", "invalid_request")


class TestHowOften:
    def test_as_often_as_the_option_says(self, house: House) -> None:
        model = house.model(*[{"status": 500}] * 3, {})

        got = house.ask(model)

        assert got.status == 500
        assert house.tried() == ["0", "1", "2"]

    def test_never_the_same_channel_twice(self, house: House) -> None:
        model = house.model({"status": 500, "priority": 0}, {"status": 502, "priority": 0})

        got = house.ask(model)

        assert sorted(house.tried()) == ["0", "1"]
        assert got.status in (500, 502)

    def test_alike_ones_are_all_tried_before_a_lower_priority(self, house: House) -> None:
        model = house.model({"status": 500, "priority": 5}, {"status": 500, "priority": 5}, {"priority": 1})

        assert said(house.ask(model)) == "channel 2"
        assert sorted(house.tried()[:2]) == ["0", "1"]

    def test_decided_anew_after_each_failure(self, house: House) -> None:
        model = house.model({"status": 500}, {"status": 400}, {})

        assert house.ask(model).status == 400
        assert house.tried() == ["0", "1"]

    def test_a_named_channel_is_never_retried(self, house: House) -> None:
        model = house.model({"status": 500}, {})
        channel = house.gateway.database.value(f"SELECT MIN(channel_id) FROM abilities WHERE model = '{model}'")

        got = ask(
            house.gateway, None, PATH, chat(model), headers={"Authorization": f"Bearer sk-{ROOT_TOKEN}-{channel}"}
        )

        assert got.status == 500
        assert house.tried() == ["0"]

    def test_a_refusal_of_ours_calls_nobody_twice(self, house: House) -> None:
        model = house.model({}, {})
        poor = house.gateway.new_user(3)

        got = ask(house.gateway, poor, PATH, chat(model))

        assert (got.status, got.error["code"]) == (403, "insufficient_user_quota")
        assert house.tried() == []

    def test_a_slow_failure_uses_up_the_patience(self, house: House) -> None:
        """The first byte may take one second in all, however many channels hang."""
        model = house.model({"hang": True}, {"hang": True}, {"hang": True})
        began = time.monotonic()

        got = house.ask(model)

        assert got.status == 504
        assert time.monotonic() - began < 2.5


class TestEachAttemptIsItsOwn:
    def test_system_prompt_and_mapping_of_a_failed_channel_do_not_leak(self, house: House) -> None:
        model = next(names)
        house.gateway.add_channel(
            house.upstream.scripted(status=500),
            model,
            priority=9,
            system_prompt="Leaked",
            model_mapping=f'{{"{model}": "leaked"}}',
            key="sk-leaked",
        )
        house.gateway.add_channel(house.upstream.scripted(text="fine"), model)
        house.gateway.wait_until_routed(ROOT_TOKEN, model)
        house.upstream.reset()

        assert said(house.ask(model)) == "fine"
        first, second = house.upstream.seen()
        assert b"Leaked" in first.body
        assert (second.json(), second.headers["authorization"]) == (chat(model), "Bearer sk-upstream")

    def test_only_the_one_that_answered_is_charged_and_logged(self, house: House) -> None:
        model = house.model({"status": 500}, {"status": 429}, {"usage": [100, 0]})
        account = house.gateway.new_user(PURSE)

        ask(house.gateway, account, PATH, chat(model))

        (row,) = house.gateway.books().logs(account.id)
        last = house.gateway.database.value(f"SELECT MAX(channel_id) FROM abilities WHERE model = '{model}'")
        assert (row.channel_id, row.prompt_tokens, row.quota) == (last, 100, 3000)
        house.gateway.books().check()

    def test_all_failing_costs_nothing(self, house: House) -> None:
        model = house.model(*[{"status": 500}] * 3)
        account = house.gateway.new_user(PURSE)

        ask(house.gateway, account, PATH, chat(model))

        books = house.gateway.books()
        books.wait_settled(5)
        assert books.quota(account.id) == PURSE
        assert books.logs(account.id) == []


class TestBusyUpstreams:
    def test_the_last_429_is_told_in_the_contract_s_words(self, house: House) -> None:
        model = house.model({"status": 429, "headers": {"Retry-After": "7"}})

        got = house.ask(model)

        assert (got.status, got.error["type"], got.error["code"]) == (429, "scripted_error", "scripted")
        assert got.error["message"] == f"{SATURATED} (request id: {got.request_id})"
        assert got.headers["retry-after"] == "7"

    def test_a_channel_that_asks_for_a_pause_gets_it(self, house: House) -> None:
        model = house.model({"status": 429, "headers": {"Retry-After": "2"}}, {})

        for _ in range(4):
            assert said(house.ask(model)) == "channel 1"
        assert house.tried().count("0") == 1

        time.sleep(2)
        house.ask(model)
        assert house.tried().count("0") == 2

    def test_so_it_is_with_503(self, house: House) -> None:
        model = house.model({"status": 503, "headers": {"Retry-After": "30"}}, {})

        for _ in range(3):
            house.ask(model)

        assert house.tried().count("0") == 1

    def test_if_all_have_asked_for_one_they_are_tried_all_the_same(self, house: House) -> None:
        model = house.model({"status": 429, "headers": {"Retry-After": "30"}})

        assert [house.ask(model).status for _ in range(2)] == [429, 429]
        assert house.tried() == ["0", "0"]

    @pytest.mark.parametrize("value", ["Mon, 01 Jan 99999999999999 00:00:00 GMT", "soon", "-1", "1e9"])
    def test_nonsense_is_no_reason_to_fail(self, house: House, value: str) -> None:
        model = house.model({"status": 429, "headers": {"Retry-After": value}})

        assert house.ask(model).status == 429


class TestDearerChannels:
    """The hold is made for the first channel; the next one may cost more, or not be able to make what was asked."""

    def mapped(self, house: House, first: str, then: str, **orders: Any) -> str:
        """A model that is `first` on a channel that fails, and `then` on the next one."""
        model = next(names)
        failing = house.upstream.scripted(status=500, **orders)
        house.gateway.add_channel(failing, model, model_mapping=json.dumps({model: first}), priority=1)
        mapping = json.dumps({model: then, f"{model}-whole": then})
        house.gateway.add_channel(house.upstream.url, f"{model},{model}-whole", model_mapping=mapping)
        house.gateway.wait_until_routed(ROOT_TOKEN, f"{model}-whole")
        house.upstream.reset()
        return model

    @pytest.mark.parametrize("slow", [0, 150], ids=["held-with-its-charge", "held-before"])
    def test_who_can_pay_for_it_is_answered_as_they_asked(self, house: House, slow: int) -> None:
        model = self.mapped(house, "gpt-4o-mini", "gpt-4o", first_byte=slow)

        assert house.ask(model, max_tokens=4000, n=4).status == 200
        assert house.ask(model).status == 200

        asked = [seen.json() for seen in house.upstream.seen() if seen.json()["model"] == "gpt-4o"]
        assert [body.get("max_tokens") for body in asked] == [4000, None]

    def test_who_cannot_gets_what_they_can_pay_for(self, house: House) -> None:
        model = self.mapped(house, "gpt-4o-mini", "gpt-4o", first_byte=150)
        account = house.gateway.new_user(8_000)  # 800 tokens of gpt-4o's answers; PreConsumedQuota asks for 500

        assert ask(house.gateway, account, PATH, chat(model, max_tokens=1000)).status == 200

        *_, last = house.upstream.seen()
        assert last.json()["model"] == "gpt-4o"
        assert 500 <= last.json()["max_tokens"] < 800

    def test_what_it_cannot_make_is_refused_and_nothing_stays_held(self, house: House) -> None:
        model = self.mapped(house, "dall-e-3", "dall-e-2")
        account = house.gateway.new_user(PURSE)
        body = {"model": model, "prompt": "a cat", "size": "1792x1024"}

        got = ask(house.gateway, account, "/v1/images/generations", body)

        assert (got.status, got.error["code"]) == (400, "size_not_supported")
        assert len(house.upstream.seen()) == 1
        books = house.gateway.books()
        books.wait_settled(2)
        assert (books.quota(account.id), books.logs(account.id)) == (PURSE, [])


def test_without_a_maximum_no_more_is_generated_than_a_small_balance_pays_for(house: House) -> None:
    model = house.model({}, model_mapping=json.dumps(dict.fromkeys(("x",), "gpt-4o-mini")))
    account = house.gateway.new_user(1_000_000)

    assert ask(house.gateway, account, PATH, chat(model)).status == 200
    assert house.ask(model).status == 200

    poor, rich = house.upstream.seen()
    assert 4_000 < poor.json()["max_tokens"] < 4_200
    assert "max_tokens" not in rich.json()


def test_without_the_option_nothing_is_retried(house: House) -> None:
    house.gateway.operator("option", key="RetryTimes", value="0")
    try:
        model = house.model({"status": 500}, {})  # known when the option is, which is older
        assert house.ask(model).status == 500
        assert house.tried() == ["0"]
    finally:
        house.gateway.operator("option", key="RetryTimes", value="2")
        assert house.ask(house.model({"status": 500}, {})).status == 200
