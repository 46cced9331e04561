"""Callers who drip or say nothing are closed in time, and a crowd of them does not stop service to others."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from config import settings
from tests import migrated, server
from tests.attacks.wire import hear
from tests.fake_upstream import FakeUpstream, in_text
from tests.relay.raw import ask, chat, post
from tests.server import ROOT_TOKEN, Account, Gateway

HEAD, BODY = 0.8, 2.0  # seconds
GRACE = 5  # seconds, for a machine that is busy
CROWD = 500
PATH = b"/v1/chat/completions"


@pytest.fixture(scope="module")
def gateway(upstream_process: FakeUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("gateway")
    limits = {"HEAD_TIMEOUT": str(HEAD), "BODY_TIMEOUT": str(BODY)}
    with migrated.copy("sqlite", folder) as database, server.running(database, 1, folder, limits) as made:
        made.add_channel(upstream_process.url, "gpt-3.5-turbo")
        made.wait_until_routed(ROOT_TOKEN, "gpt-3.5-turbo")
        yield made


@pytest.fixture(scope="module")
def payer(gateway: Gateway) -> Account:
    return gateway.new_user(10**9)


def opened(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=HEAD + BODY + GRACE)


def drip(connection: socket.socket, piece: bytes, pause: float = 0.1) -> Callable[[], None]:
    """Send the piece again and again from a thread; returns what ends that."""
    over = threading.Event()

    def send() -> None:
        while not over.wait(pause):
            try:
                connection.sendall(piece)
            except OSError:
                return

    thread = threading.Thread(target=send)
    thread.start()

    def end() -> None:
        over.set()
        thread.join()

    return end


def with_body(payer: Account, framing: bytes, key: str = "") -> bytes:
    lines = [b"POST %b HTTP/1.1" % PATH, b"Host: gateway", b"Authorization: Bearer sk-" + (key or payer.key).encode()]
    return b"\r\n".join([*lines, b"Content-Type: application/json", framing, b"", b""])


LENGTH, CHUNKED = b"Content-Length: 1000000", b"Transfer-Encoding: chunked"


def test_by_default_nobody_may_drip_for_a_minute() -> None:
    assert (settings.HEAD_TIMEOUT, settings.BODY_TIMEOUT) == (30, 30)  # a body that stops is seen within two of them


class TestClosed:
    def test_who_says_nothing(self, gateway: Gateway) -> None:
        with closing(opened(gateway)) as connection:
            assert connection.recv(1) == b""

    @pytest.mark.parametrize(
        ("first", "piece"),
        [
            (b"", b"\r\n"),
            (b"G", b""),
            (b"GET /api/status HTTP/1.1\r\n", b"X-A: b\r\n"),
            (b"GET /", b"a"),
            (
                b"GET /v1/realtime?model=a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
                b"X-A: b\r\n",
            ),
        ],
        ids=["empty lines", "one byte", "headers", "target", "handshake"],
    )
    def test_who_drips_a_head(self, gateway: Gateway, first: bytes, piece: bytes) -> None:
        with closing(opened(gateway)) as connection:
            connection.sendall(first)
            end = drip(connection, piece)
            heard = hear(connection, answers=2, limit=HEAD + GRACE)
            end()

        assert heard.closed
        assert heard.statuses == [408]

    @pytest.mark.parametrize("again", [b"\r\n", b"GET /a"], ids=["empty lines", "second head"])
    def test_who_drips_after_an_answer(self, gateway: Gateway, again: bytes) -> None:
        with closing(opened(gateway)) as connection:
            connection.sendall(b"GET /api/status HTTP/1.1\r\nHost: gateway\r\n\r\n")
            assert hear(connection).statuses == [200]
            connection.sendall(again)
            end = drip(connection, again[-2:] if again == b"\r\n" else b"a")
            heard = hear(connection, answers=2, limit=HEAD + GRACE)
            end()

        assert heard.closed

    @pytest.mark.parametrize(
        ("framing", "piece"),
        [(LENGTH, b"a"), (CHUNKED, b"1\r\na\r\n"), (LENGTH, b"")],
        ids=["length", "chunks", "silence"],
    )
    @pytest.mark.parametrize("path", [PATH, b"/api/user/login"], ids=["relay", "Django"])
    def test_who_drips_a_body(
        self, gateway: Gateway, payer: Account, framing: bytes, piece: bytes, path: bytes
    ) -> None:
        with closing(opened(gateway)) as connection:
            connection.sendall(with_body(payer, framing).replace(PATH, path))
            end = drip(connection, piece)
            heard = hear(connection, answers=2, limit=2 * BODY + GRACE)
            end()

        assert heard.closed
        assert heard.statuses == [408]

    def test_who_goes_on_after_being_refused(self, gateway: Gateway, payer: Account) -> None:
        with closing(opened(gateway)) as connection:
            connection.sendall(with_body(payer, CHUNKED, key="nobody"))
            end = drip(connection, b"10000\r\n" + b"a" * 65536 + b"\r\n", pause=0.02)
            heard = hear(connection, answers=2, limit=2 * BODY + GRACE)
            end()

        assert heard.closed
        assert heard.statuses == [401]


class TestPatient:
    def test_a_body_that_comes_at_a_fair_rate_may_take_its_time(self, gateway: Gateway, payer: Account) -> None:
        body = b'{"model":"gpt-3.5-turbo","messages":[{"role":"user","content":"hello"}]}' + b" " * 75_000
        with closing(opened(gateway)) as connection:
            connection.sendall(with_body(payer, b"Content-Length: %d" % len(body)))
            for start in range(0, len(body), 2_500):  # of which one in BODY is enough
                connection.sendall(body[start : start + 2_500])
                time.sleep(2 * BODY / 30)
            assert hear(connection).statuses == [200]

    def test_an_answer_may_take_longer_than_a_request(self, gateway: Gateway, payer: Account) -> None:
        script = in_text(first_byte=1000 * (HEAD + BODY))
        assert ask(gateway, payer, PATH.decode(), chat("gpt-3.5-turbo", script)).status == 200

    def test_also_when_a_next_request_has_begun(self, gateway: Gateway, payer: Account) -> None:
        body = json.dumps(chat("gpt-3.5-turbo", in_text(first_byte=1000 * (HEAD + BODY)))).encode()
        with closing(opened(gateway)) as connection:
            connection.sendall(post(gateway, payer, body) + b"GET ")
            heard = hear(connection)

        assert heard.statuses[:1] == [200]


def test_a_crowd_of_them_does_not_stop_others(gateway: Gateway, payer: Account) -> None:
    starts = [
        b"",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        with_body(payer, LENGTH),
        with_body(payer, CHUNKED).replace(PATH, b"/api/user/login"),
        b"GET /v1/realtime HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
    ]
    with ExitStack() as stack:
        crowd = []
        for number in range(CROWD):
            crowd.append(stack.enter_context(closing(opened(gateway))))
            crowd[-1].sendall(starts[number % len(starts)])
        answers = [ask(gateway, payer, PATH.decode(), chat("gpt-3.5-turbo")).status for _ in range(20)]
        pages = [ask(gateway, None, "/api/status").status for _ in range(5)]
        left = [hear(connection, answers=2, limit=HEAD + 2 * BODY + GRACE) for connection in crowd]

    assert answers == [200] * 20
    assert pages == [200] * 5
    assert all(heard.closed for heard in left)
