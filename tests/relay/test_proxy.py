"""/v1/oneapi/proxy: any request through a channel of type Proxy, as it is (relay contract, 1.5)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests import server
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, SeenRequest
from tests.relay.raw import Got, ask, connected, squeezed, until
from tests.server import ROOT_TOKEN, Account, Gateway

PURSE = 1_000_000
KEY = "Token the-upstream's-own"  # goes out as it stands, no Bearer before it


@dataclass(frozen=True, slots=True)
class House:
    gateway: Gateway
    upstream: FakeUpstream
    user: Account
    channel: int
    vip: int
    ordinary: int
    off: int
    scripted: dict[str, int]

    def send(
        self, target: str, body: Any = None, *, method: str = "", channel: Any = None, **headers: str
    ) -> tuple[Got, list[SeenRequest]]:
        self.upstream.reset()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        path = f"/v1/oneapi/proxy/{self.channel if channel is None else channel}{target}"
        got = ask(self.gateway, self.user, path, body, method=method, headers=named)
        return got, self.upstream.seen()


@pytest.fixture(scope="module")
def house(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[House]:
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), {"RELAY_MAX_BODY_MB": "1"}) as gateway:

        def proxy(base_url: str, **fields: Any) -> int:
            return gateway.add_channel(base_url, "proxied", **{"type": 43, "key": KEY, **fields})

        leaky = {"Set-Cookie": "a=b", "Connection": "close", "X-Own": "1", "X-Oneapi-Request-Id": "theirs"}
        scripts: dict[str, dict[str, Any]] = {
            "error": {"status": 418, "headers": {"X-Own": "1"}},
            "headers": {"headers": {**leaky, "Access-Control-Allow-Origin": "https://theirs.example"}},
            "gzip": {"gzip": True},
            "redirect": {"redirect": "http://127.0.0.1:1/elsewhere"},
            "truncate": {"truncate": True, "text": "x", "times": 1000},
            "hang": {"hang": True},
        }
        house = House(
            gateway,
            upstream_process,
            gateway.new_user(PURSE),
            channel=proxy(upstream_process.url),
            vip=proxy(upstream_process.url, group="vip"),
            ordinary=gateway.add_channel(upstream_process.url, "gpt-3.5-turbo"),
            off=proxy(upstream_process.url, status=2),
            scripted={name: proxy(upstream_process.scripted(**orders)) for name, orders in scripts.items()},
        )
        gateway.wait_until_routed(ROOT_TOKEN, "proxied")
        yield house


class TestPassedOn:
    @pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    def test_method_path_query_and_body(self, house: House, method: str) -> None:
        body = None if method == "GET" else b'{ "odd" : 1.10 }'

        _, (seen,) = house.send("/v2/odd%2Fpath//x?a=%20b&a=c", body, method=method)

        assert (seen.method, seen.target) == (method, "/v2/odd%2Fpath//x?a=%20b&a=c")
        assert seen.body == (body or b"")
        assert seen.headers["authorization"] == KEY

    def test_a_head_request(self, house: House) -> None:
        got, (seen,) = house.send("/v1/models", method="HEAD")

        assert (got.status, got.body, seen.method) == (200, b"", "HEAD")

    def test_headers_of_the_caller_but_no_secret_of_ours(self, house: House) -> None:
        _, (seen,) = house.send(
            "/v1/models",
            X_Odd="1",
            Accept="x/y",
            Cookie="session=secret",
            x_api_key=house.user.key,
            Accept_Encoding="br",
            Content_Type="text/odd",
            TE="trailers",
        )

        assert (seen.headers["x-odd"], seen.headers["accept"], seen.headers["content-type"]) == ("1", "x/y", "text/odd")
        assert house.user.key not in json.dumps(seen.headers)
        assert not {"cookie", "x-api-key", "accept-encoding", "te"} & set(seen.headers)
        assert seen.headers["host"] == house.upstream.url.removeprefix("http://")

    def test_a_compressed_body_is_undone_and_no_longer_called_so(self, house: House) -> None:
        _, (seen,) = house.send("/v1/embeddings", squeezed(b'{"input":"x"}'), Content_Encoding="gzip")

        assert seen.body == b'{"input":"x"}'
        assert "content-encoding" not in seen.headers

    def test_a_path_that_ends_like_another_route(self, house: House) -> None:
        got, (seen,) = house.send("/x/embeddings", {"input": "x"})

        assert (got.status, seen.target) == (200, "/x/embeddings")

    def test_whatever_status_and_body_come_back(self, house: House) -> None:
        got, _ = house.send("/v1/chat/completions", b"{}", channel=house.scripted["error"])

        assert (got.status, got.headers["x-own"], got.error["code"]) == (418, "1", "scripted")

    def test_headers_of_the_upstream_but_not_those_that_would_speak_for_us(self, house: House) -> None:
        got, _ = house.send("/v1/models", channel=house.scripted["headers"], Origin="https://app.example")

        assert got.headers["x-own"] == "1"
        assert "set-cookie" not in got.headers
        assert got.request_id != "theirs"
        assert got.headers["access-control-allow-origin"] == "*"

    def test_a_compressed_answer_is_undone(self, house: House) -> None:
        got, _ = house.send("/v1/models", channel=house.scripted["gzip"])

        assert got.json()["object"] == "list"
        assert "content-encoding" not in got.headers

    def test_a_redirect_is_handed_on_and_not_followed(self, house: House) -> None:
        got, seen = house.send("/v1/models", channel=house.scripted["redirect"])

        assert (got.status, got.headers["location"], len(seen)) == (302, "http://127.0.0.1:1/elsewhere", 1)

    def test_half_an_answer_does_not_look_whole(self, house: House) -> None:
        with pytest.raises(Exception, match=r"IncompleteRead|[Cc]onnection"):
            house.send("/v1/chat/completions", b"{}", channel=house.scripted["truncate"])


class TestRefused:
    @pytest.mark.parametrize("channel", ["999999", "x", "", "1.0", "-1", "٣"])
    def test_no_such_channel(self, house: House, channel: str) -> None:
        got, seen = house.send("/x", channel=channel.encode().decode("latin-1") if channel.isascii() else "%D9%A3")

        assert (got.status, seen) == (400, [])

    def test_not_another_type_another_group_or_a_disabled_one(self, house: House) -> None:
        for channel in (house.ordinary, house.vip, house.off):
            got, seen = house.send("/v1/models", channel=channel)
            assert (got.status, seen) == (403, [])

    def test_root_may_use_every_group_s(self, house: House) -> None:
        got = ask(
            house.gateway,
            None,
            f"/v1/oneapi/proxy/{house.vip}/v1/models",
            headers={"Authorization": f"Bearer {ROOT_TOKEN}"},
        )

        assert got.status == 200

    def test_without_a_key(self, house: House) -> None:
        for method in ("GET", "OPTIONS"):
            path = f"/v1/oneapi/proxy/{house.channel}/x"
            assert ask(house.gateway, None, path, method=method, headers={"Origin": "https://x.example"}).status == 401

    def test_a_body_too_large(self, house: House) -> None:
        got, seen = house.send("/x", bytes(1024 * 1024 + 1))

        assert (got.status, seen) == (413, [])


class TestBooks:
    def test_a_call_is_free_and_on_record(self, house: House) -> None:
        account = house.gateway.new_user(PURSE)

        got = ask(house.gateway, account, f"/v1/oneapi/proxy/{house.channel}/v1/models?secret=1")

        query = f"SELECT content, quota, channel_id, request_id FROM logs WHERE user_id = {account.id}"
        (row,) = until(lambda: house.gateway.database.rows(query))
        assert tuple(row) == (
            f"GET /v1/oneapi/proxy/{house.channel}/v1/models",
            0,
            house.channel,
            got.request_id,
        )
        assert house.gateway.books().quota(account.id) == PURSE

    def test_it_leaves_the_counters_and_the_records_in_step(self, house: House) -> None:
        """A record of a call that was not priced is no consumption, or requests and records would differ (I4)."""
        ask(house.gateway, house.gateway.new_user(PURSE), f"/v1/oneapi/proxy/{house.channel}/v1/models")

        house.gateway.books().check()

    def test_a_caller_who_leaves_takes_the_upstream_along(self, house: House, upstream: FakeUpstream) -> None:
        with connected(house.gateway) as sock:
            path = f"/v1/oneapi/proxy/{house.scripted['hang']}/v1/models"
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {house.user.key}\r\n\r\n".encode())
            until(lambda: upstream.stats()["open"] == 1)

        assert upstream.wait_idle(10)["cancelled"] == 1
