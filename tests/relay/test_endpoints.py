"""Every address of the relay: its price, its answer, and what is not there (relay contract, sections 1 and 6)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import Got, ask, chat, until
from tests.server import ROOT_TOKEN, Account, Gateway

PURSE = 10**12
FORM = "multipart/form-data; boundary=B0und"
CALLS = (
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/embeddings",
    "/v1/moderations",
    "/v1/edits",
    "/v1/images/generations",
    "/v1/images/edits",
    "/v1/images/variations",
    "/v1/audio/speech",
    "/v1/audio/transcriptions",
    "/v1/audio/translations",
)


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    upstream: FakeUpstream
    user: Account

    def cost(self, path: str, body: Any, **headers: str) -> int:
        """Points one call costs, by ledger, log and counters alike; the call must succeed."""
        account = self.gateway.new_user(PURSE)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        got = ask(self.gateway, account, path, body, headers=named)
        assert got.status == 200, got.body
        books = self.gateway.books()
        books.wait_settled(5)
        books.check()
        return PURSE - books.quota(account.id)


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {}) as gateway:
        models = (
            "gpt-3.5-turbo,gpt-3.5-turbo-instruct,text-embedding-3-small,text-moderation-latest,dall-e-2,dall-e-3,"
            "text-davinci-edit-001,whisper-1,tts-1,tts-1-hd,free"
        )
        gateway.operator("option", key="ModelRatio", value='{"free": 0}')
        gateway.operator("option", key="GroupRatio", value='{"default": 1, "half": 0.5}')
        gateway.add_channel(upstream_process.url, models, group="default,half")
        gateway.wait_until_routed(ROOT_TOKEN, "free")
        yield House(gateway, upstream_process, gateway.new_user(PURSE))


def form(*parts: tuple[str, str, str]) -> bytes:
    """(name, value, file name or "")"""
    lines = []
    for name, value, filename in parts:
        more = f'; filename="{filename}"' if filename else ""
        lines.append(f'--B0und\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n{value}\r\n')
    return ("".join(lines) + "--B0und--\r\n").encode()


class TestPrices:
    @pytest.mark.parametrize(
        ("path", "body", "points"),
        [
            ("/v1/chat/completions", chat("gpt-3.5-turbo"), 7),  # ceil((10 + 5 x 3) x 0.25)
            ("/v1/chat/completions", chat("gpt-3.5-turbo", in_text(usage=[0, 0])), 4),  # none told: our own count
            ("/v1/chat/completions", chat("gpt-3.5-turbo", in_text(usage=[1, 0])), 1),  # 0.25, rounded up
            ("/v1/chat/completions", chat("gpt-3.5-turbo", in_text(usage=[8, 0])), 2),  # exactly 2
            ("/v1/chat/completions", chat("free"), 0),
            ("/v1/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "x"}, 13),  # 10 x 0.75 + 5 x 1
            ("/v1/edits", {"model": "text-davinci-edit-001", "input": "x", "instruction": "y"}, 150),  # 15 x 10
            ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"}, 1),  # 0.1
            ("/v1/embeddings", {"model": "text-embedding-3-small", "input": in_text(usage=[1000, 0])}, 10),
            ("/v1/engines/text-embedding-3-small/embeddings", {"input": in_text(usage=[1000, 0])}, 10),
            ("/v1/moderations", {"input": " ".join(["one"] * 11)}, 2),  # 11 x 0.1
            ("/v1/moderations", {"input": ["one one", "one"]}, 1),
            ("/v1/images/generations", {"prompt": "x"}, 12_500),  # dall-e-2, 1024x1024
            ("/v1/images/generations", {"prompt": "x", "size": "256x256", "n": 10}, 100_000),
            ("/v1/images/generations", {"prompt": "x", "size": "512x512", "n": None}, 11_250),
            ("/v1/images/generations", {"model": "dall-e-3", "prompt": "x", "size": "1024x1024"}, 20_000),
            ("/v1/images/generations", {"model": "dall-e-3", "prompt": "x", "quality": "hd"}, 40_000),
            (
                "/v1/images/generations",
                {"model": "dall-e-3", "prompt": "x", "quality": "hd", "size": "1792x1024"},
                60_000,
            ),
            ("/v1/audio/speech", {"model": "tts-1", "input": "Grüße!", "voice": "x"}, 45),  # 6 characters x 7.5
            ("/v1/audio/speech", {"model": "tts-1", "input": "é" * 4096, "voice": "x"}, 30_720),
        ],
    )
    def test_to_the_point(self, house: House, path: str, body: Any, points: int) -> None:
        if points == 4:  # prompt and answer as counted here; only that both were counted is the point
            assert house.cost(path, body) > 4
        else:
            assert house.cost(path, body) == points

    @pytest.mark.parametrize(
        ("path", "fields", "points"),
        [
            ("/v1/images/edits", [("prompt", "x", ""), ("size", "512x512", ""), ("image", "png", "a.png")], 11_250),
            ("/v1/images/edits", [("image", "png", "a.png"), ("n", "3", ""), ("prompt", "x", "")], 37_500),
            ("/v1/images/variations", [("image", "png", "a.png"), ("n", "2", ""), ("size", "256x256", "")], 20_000),
            ("/v1/audio/transcriptions", [("file", "ID3", "a.mp3")], 75),  # 5 tokens x 15
            ("/v1/audio/transcriptions", [("response_format", "json", ""), ("file", "ID3", "a.mp3")], 75),
            ("/v1/audio/transcriptions", [("response_format", "text", ""), ("file", "ID3", "a.mp3")], 75),
            ("/v1/audio/transcriptions", [("response_format", "srt", ""), ("file", "ID3", "a.mp3")], 75),
            ("/v1/audio/transcriptions", [("response_format", "vtt", ""), ("file", "ID3", "a.mp3")], 75),
            ("/v1/audio/transcriptions", [("response_format", "verbose_json", ""), ("file", "ID3", "a.mp3")], 75),
            ("/v1/audio/translations", [("model", "whisper-1", ""), ("file", "ID3", "a.mp3")], 75),
        ],
    )
    def test_of_forms(self, house: House, path: str, fields: list[tuple[str, str, str]], points: int) -> None:
        assert house.cost(path, form(*fields), Content_Type=FORM) == points

    def test_a_group_s_ratio(self, house: House) -> None:
        user_id = house.gateway.operator("user", username="half", quota=PURSE, group="half")
        token = house.gateway.operator("token", user_id=user_id)
        account = Account(user_id, "half", token["id"], token["key"])

        ask(house.gateway, account, "/v1/chat/completions", chat("gpt-3.5-turbo", in_text(usage=[1000, 500])))

        (row,) = house.gateway.books().logs(user_id)
        assert (row.quota, row.content) == (313, "倍率：0.25 × 0.50 × 3.00")  # 2500 x 0.25 x 0.5 = 312.5

    def test_a_balance_too_small_for_the_maximum_lowers_the_maximum(self, house: House) -> None:
        account = house.gateway.new_user(1000)
        house.upstream.reset()

        got = ask(house.gateway, account, "/v1/chat/completions", chat("gpt-3.5-turbo", max_tokens=100_000))

        assert got.status == 200
        (seen,) = house.upstream.seen()
        assert 500 <= seen.json()["max_tokens"] <= 1333  # 1000 points / 0.75 a completion token

    def test_two_maxima_are_both_lowered(self, house: House) -> None:
        account = house.gateway.new_user(1000)
        house.upstream.reset()
        body = chat("gpt-3.5-turbo", max_tokens=100_000, max_completion_tokens=20)

        assert ask(house.gateway, account, "/v1/chat/completions", body).status == 200

        (seen,) = house.upstream.seen()
        assert seen.json()["max_completion_tokens"] == 20
        assert seen.json()["max_tokens"] <= 1333

    @pytest.mark.parametrize(
        "body",
        [
            chat("gpt-3.5-turbo", max_tokens=400, n=4),
            {"model": "gpt-3.5-turbo", "prompt": ["x"] * 4, "max_tokens": 400},
            {"model": "gpt-3.5-turbo", "prompt": "x", "max_tokens": 400, "best_of": 4},
        ],
        ids=["n", "prompts", "best-of"],
    )
    def test_what_is_generated_several_times_is_held_several_times(self, house: House, body: dict[str, Any]) -> None:
        account = house.gateway.new_user(1000)  # 4 x 400 x 0.75 = 1200 points and the prompt
        house.upstream.reset()
        path = "/v1/chat/completions" if "messages" in body else "/v1/completions"

        assert ask(house.gateway, account, path, body).status == 200

        (seen,) = house.upstream.seen()
        assert seen.json()["max_tokens"] <= 333


class TestAddresses:
    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/v1/files"),
            ("POST", "/v1/files"),
            ("GET", "/v1/files/f-1"),
            ("DELETE", "/v1/files/f-1"),
            ("GET", "/v1/files/f-1/content"),
            ("GET", "/v1/fine_tuning/jobs"),
            ("POST", "/v1/fine_tuning/jobs"),
            ("GET", "/v1/fine_tuning/jobs/j"),
            ("GET", "/v1/fine_tuning/jobs/j/events"),
            ("POST", "/v1/fine_tuning/jobs/j/cancel"),
            ("DELETE", "/v1/models/gpt-3.5-turbo"),
            ("GET", "/v1/assistants"),
            ("POST", "/v1/assistants"),
            ("GET", "/v1/assistants/a"),
            ("POST", "/v1/assistants/a"),
            ("DELETE", "/v1/assistants/a"),
            ("GET", "/v1/assistants/a/files"),
            ("POST", "/v1/assistants/a/files"),
            ("GET", "/v1/assistants/a/files/f"),
            ("DELETE", "/v1/assistants/a/files/f"),
            ("POST", "/v1/threads"),
            ("GET", "/v1/threads/t"),
            ("POST", "/v1/threads/t"),
            ("DELETE", "/v1/threads/t"),
            ("POST", "/v1/threads/t/messages"),
            ("GET", "/v1/threads/t/messages/m"),
            ("POST", "/v1/threads/t/messages/m"),
            ("GET", "/v1/threads/t/messages/m/files"),
            ("GET", "/v1/threads/t/messages/m/files/f"),
            ("GET", "/v1/threads/t/runs"),
            ("POST", "/v1/threads/t/runs"),
            ("GET", "/v1/threads/t/runs/r"),
            ("POST", "/v1/threads/t/runs/r"),
            ("POST", "/v1/threads/t/runs/r/submit_tool_outputs"),
            ("POST", "/v1/threads/t/runs/r/cancel"),
            ("GET", "/v1/threads/t/runs/r/steps"),
            ("GET", "/v1/threads/t/runs/r/steps/s"),
        ],
    )
    def test_what_openai_has_and_we_have_not_is_501(self, house: House, method: str, path: str) -> None:
        got = ask(house.gateway, house.user, path, method=method)

        assert got.status == 501
        assert got.error == {
            "message": "API not implemented",
            "type": "one_api_error",
            "param": "",
            "code": "api_not_implemented",
        }
        assert ask(house.gateway, None, path, method=method).status == 401

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("POST", "/v1/nothing"),
            ("GET", "/v1/nothing"),
            ("GET", "/v1"),
            ("GET", "/v1/"),
            ("POST", "/v1/chat"),
            ("POST", "/v1/chat/completions/more"),
            ("POST", "/V1/chat/completions"),
            ("POST", "/v1/models"),
            ("PUT", "/v1/models/x"),
            ("POST", "/dashboard/billing/usage"),
            ("GET", "/dashboard/billing/nothing"),
            *[(method, path) for path in CALLS for method in ("GET", "PUT", "PATCH", "DELETE")],
        ],
    )
    def test_what_is_not_there_is_404(self, house: House, method: str, path: str) -> None:
        got = ask(house.gateway, house.user, path, method=method)

        assert got.status == 404
        if path.startswith(("/v1", "/dashboard")):
            assert got.error == {
                "message": f"Invalid URL ({method} {path})",
                "type": "invalid_request_error",
                "param": "",
                "code": "",
            }
            assert got.headers["cache-control"] == "no-store"
            assert got.request_id

    @pytest.mark.parametrize("path", ["/v1/chat/completions/", "/v1/chat/completions//", "/v1/chat/completions/?x=1"])
    def test_a_trailing_slash_is_forgiven(self, house: House, path: str) -> None:
        house.upstream.reset()

        assert ask(house.gateway, house.user, path, chat("gpt-3.5-turbo")).status == 200
        assert house.upstream.seen()[0].target.partition("?")[0] == "/v1/chat/completions"

    def test_so_it_is_with_the_models(self, house: House) -> None:
        assert ask(house.gateway, house.user, "/v1/models/").status == 200

    @pytest.mark.parametrize("path", CALLS)
    def test_every_answer_has_its_id(self, house: House, path: str) -> None:
        ids = {ask(house.gateway, account, path, {}).request_id for account in (None, house.user, house.user)}

        assert len(ids) == 3
        assert all(one.isdigit() and 23 <= len(one) <= 31 for one in ids)


class TestCors:
    ORIGIN = {"Origin": "https://app.example"}

    @pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/v1/nothing", "/dashboard/billing/usage"])
    def test_a_preflight_needs_no_key(self, house: House, path: str) -> None:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization,x-odd"}
        got = ask(house.gateway, None, path, method="OPTIONS", headers={**self.ORIGIN, **asked})

        assert (got.status, got.body) == (204, b"")
        assert got.headers["access-control-allow-origin"] == "*"
        assert got.headers["access-control-allow-headers"] == "*"
        assert {"GET", "POST", "PATCH"} <= set(got.headers["access-control-allow-methods"].split(","))
        assert "access-control-allow-credentials" not in got.headers

    @pytest.mark.parametrize("key", [True, False])
    def test_answers_and_errors_may_be_read_by_pages(self, house: House, key: bool) -> None:
        account = house.user if key else None
        got = ask(house.gateway, account, "/v1/chat/completions", chat("gpt-3.5-turbo"), headers=self.ORIGIN)

        assert got.headers["access-control-allow-origin"] == "*"

    def test_who_is_no_page_is_told_nothing_of_it(self, house: House) -> None:
        got = ask(house.gateway, house.user, "/v1/models")

        assert not [name for name in got.headers if name.startswith("access-control")]


class TestBilling:
    def look(self, house: House, account: Account, name: str, prefix: str = "") -> Any:
        got: Got = ask(house.gateway, account, f"{prefix}/dashboard/billing/{name}?start_date=2020-01-01")
        assert got.status == 200, got.body
        return got.json()

    @pytest.fixture
    def spent(self, house: House) -> Account:
        """Opened with 2 dollars, of which 0.25 (125,000 points) are spent; the token had 1 dollar."""
        account = house.gateway.new_user(1_000_000, remain_quota=500_000)
        body = chat("gpt-3.5-turbo", in_text(usage=[500_000, 0]))
        assert ask(house.gateway, account, "/v1/chat/completions", body).status == 200
        return account

    @pytest.mark.parametrize("prefix", ["", "/v1"])
    def test_of_the_token(self, house: House, spent: Account, prefix: str) -> None:
        assert self.look(house, spent, "subscription", prefix) == {
            "object": "billing_subscription",
            "has_payment_method": True,
            "soft_limit_usd": 1.0,
            "hard_limit_usd": 1.0,
            "system_hard_limit_usd": 1.0,
            "access_until": 0,
        }
        assert self.look(house, spent, "usage", prefix) == {"object": "list", "total_usage": 25.0}  # cents

    def test_of_an_unlimited_token(self, house: House) -> None:
        account = house.gateway.new_user(1_000, expired_time=4_000_000_000)

        got = self.look(house, account, "subscription")

        assert (got["hard_limit_usd"], got["access_until"]) == (100_000_000, 4_000_000_000)

    def test_of_the_user_and_in_points(self, house: House, spent: Account) -> None:
        def set_options(token_stat: str, currency: str) -> None:
            house.gateway.operator("option", key="DisplayTokenStatEnabled", value=token_stat)
            house.gateway.operator("option", key="DisplayInCurrencyEnabled", value=currency)

        try:
            set_options("false", "true")
            until(lambda: self.look(house, spent, "subscription")["hard_limit_usd"] == 2.0, 5)
            assert self.look(house, spent, "usage")["total_usage"] == 25.0
            set_options("false", "false")
            until(lambda: self.look(house, spent, "subscription")["hard_limit_usd"] == 1_000_000, 5)
            assert self.look(house, spent, "usage")["total_usage"] == 12_500_000
        finally:
            set_options("true", "true")
