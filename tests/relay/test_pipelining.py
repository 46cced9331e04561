"""Callers who send a next request while a call still runs, and leave or stay."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from relay.lifeline import WATCH_AFTER
from tests import server
from tests.attacks.wire import hear
from tests.databases import Database
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import chat, connected, post, until
from tests.server import ROOT_TOKEN, Account, Gateway

MODEL = "gpt-3.5-turbo"
PURSE = 10**9
LEFT = 499  # the log's status of a call whose caller did not stay
GRACE = 5  # seconds an upstream may be at work for nobody, on a machine that is busy
UPGRADE = (
    b"GET /v1/realtime?model=a HTTP/1.1\r\nHost: gateway\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
NEXT = {"a short one": "Hello", "more than is read": "word " * 25_000}


@pytest.fixture(scope="module")
def gateway(
    module_database: Database, upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    settings = {"RELAY_FIRST_BYTE_TIMEOUT": "20"}  # what hangs here does not hang in the next test
    with server.running(module_database, 1, tmp_path_factory.mktemp("gateway"), settings) as made:
        made.add_channel(upstream_process.url, MODEL)
        made.wait_until_routed(ROOT_TOKEN, MODEL)
        yield made


@pytest.fixture
def payer(gateway: Gateway) -> Account:
    return gateway.new_user(PURSE)


def request(gateway: Gateway, payer: Account, text: str, **members: Any) -> bytes:
    return post(gateway, payer, json.dumps(chat(MODEL, text, **members)).encode())


def begin(connection: socket.socket, first: bytes, upstream: FakeUpstream) -> None:
    """When this returns, the upstream is at work on the first request, and the gateway listens for its caller."""
    connection.sendall(first)
    until(lambda: upstream.stats()["open"] == 1)
    time.sleep(2 * WATCH_AFTER)


def leave(connection: socket.socket, farewell: str) -> None:
    if farewell == "reset":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def endings(gateway: Gateway, payer: Account) -> list[int]:
    """The log's status of each charged call of the payer, once nothing is open; the books agree with each other."""
    books = gateway.books()
    books.wait_settled(GRACE)
    books.check()
    return [status for (status,) in gateway.database.rows(f"SELECT status FROM logs WHERE user_id = {payer.id}")]


class TestLeaving:
    @pytest.mark.parametrize("following", NEXT)
    @pytest.mark.parametrize("farewell", ["reset", "close"])
    def test_a_plain_call_is_cancelled(
        self, gateway: Gateway, payer: Account, upstream: FakeUpstream, farewell: str, following: str
    ) -> None:
        with connected(gateway) as connection:
            begin(connection, request(gateway, payer, in_text(hang=True)), upstream)
            connection.sendall(request(gateway, payer, NEXT[following]))
            leave(connection, farewell)

        stats = upstream.wait_idle(GRACE)
        assert (stats["received"], stats["cancelled"]) == (1, 1)  # the next one was never begun
        assert endings(gateway, payer) == [LEFT]

    @pytest.mark.parametrize("following", NEXT)
    @pytest.mark.parametrize("farewell", ["reset", "close"])
    def test_a_stream_is_cancelled(
        self, gateway: Gateway, payer: Account, upstream: FakeUpstream, farewell: str, following: str
    ) -> None:
        told = gateway.output.stat().st_size
        endless = in_text(text="word " * 500, events=500, pace=100)
        with connected(gateway) as connection:
            begin(connection, request(gateway, payer, endless, stream=True), upstream)
            connection.sendall(request(gateway, payer, NEXT[following]))
            leave(connection, farewell)

        stats = upstream.wait_idle(GRACE)
        assert (stats["received"], stats["cancelled"]) == (1, 1)
        assert endings(gateway, payer) == [LEFT]
        assert "Traceback" not in gateway.output.read_text()[told:]  # nothing was written to a connection that is gone


class TestStaying:
    def test_the_next_one_has_its_turn_however_long_the_first_takes(
        self, gateway: Gateway, payer: Account, upstream: FakeUpstream
    ) -> None:
        first, after = in_text(text="first", first_byte=1500), in_text(text="after")
        with connected(gateway) as connection:
            begin(connection, request(gateway, payer, first), upstream)
            connection.sendall(request(gateway, payer, after) + request(gateway, payer, after))
            heard = hear(connection, answers=3)

        assert heard.statuses == [200, 200, 200]
        assert heard.raw.index(b'"first"') < heard.raw.index(b'"after"')

    def test_what_cannot_be_read_is_not_answered_in_the_midst_of_an_answer(
        self, gateway: Gateway, payer: Account, upstream: FakeUpstream
    ) -> None:
        head = request(gateway, payer, "").partition(b"Content-Length")[0]
        bad = head + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n"
        with connected(gateway) as connection:
            begin(connection, request(gateway, payer, in_text(events=50, pace=100), stream=True), upstream)
            connection.sendall(bad)
            heard = hear(connection, answers=2)

        assert heard.closed
        assert heard.statuses == [200]
        upstream.wait_idle(GRACE)
        assert endings(gateway, payer) == [LEFT]

    def test_nobody_turns_to_another_protocol_in_the_midst_of_an_answer(
        self, gateway: Gateway, payer: Account, upstream: FakeUpstream
    ) -> None:
        with connected(gateway) as connection:
            begin(connection, request(gateway, payer, in_text(events=50, pace=100), stream=True), upstream)
            connection.sendall(UPGRADE)
            heard = hear(connection, answers=2)

        assert heard.closed
        assert heard.statuses == [200]
        upstream.wait_idle(GRACE)
        assert endings(gateway, payer) == [LEFT]
