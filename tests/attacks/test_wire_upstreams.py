"""An upstream that is out for harm: its answers never reach another caller, and our key never leaves for elsewhere."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing

import pytest

from tests.attacks import hostile
from tests.attacks.hostile import Hostile, Pieces, answer
from tests.attacks.wire import forget_peak, peak
from tests.ports import free_port
from tests.relay.raw import Got, ask
from tests.server import ROOT_TOKEN, Account, Gateway

CHAT = "/v1/chat/completions"
MIB = 1024 * 1024


def said(text: str) -> bytes:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json.dumps({"id": "x", "choices": [{"index": 0, "message": message}], "usage": usage}).encode()


STOLEN, HONEST = said("STOLEN"), said("honest")
MORE = answer(STOLEN)  # a second answer to one request
CHUNKED = b"Transfer-Encoding: chunked"


LATE = threading.Event()  # it has been sent


def late() -> Iterable[bytes]:
    """A second answer that comes while nobody waits for one."""
    yield answer(HONEST)
    time.sleep(0.15)
    yield MORE
    LATE.set()


def endless(piece: bytes, times: int) -> Iterable[bytes]:
    for _ in range(times):
        yield piece * 1024


HARMFUL: dict[str, Pieces] = {
    "length and chunks": answer(b"5\r\nhello\r\n0\r\n\r\n", b"Content-Length: 5", CHUNKED) + MORE,
    "chunks and length": answer(b"0\r\n\r\n", CHUNKED, b"Content-Length: 500") + MORE,
    "a negative length": answer(HONEST, b"Content-Length: -1") + MORE,
    "a length with a sign": answer(HONEST, b"Content-Length: +5") + MORE,
    "two lengths": answer(HONEST, b"Content-Length: 5", b"Content-Length: 6") + MORE,
    "a length without end": answer(HONEST, b"Content-Length: " + b"9" * 40) + MORE,
    "chunked and then identity": answer(HONEST, b"Transfer-Encoding: chunked, identity") + MORE,
    "xchunked": answer(b"0\r\n\r\n", b"Transfer-Encoding: xchunked") + MORE,
    "a NUL in a header": answer(HONEST, b"X-A: a\0b") + MORE,
    "a bare return in a header": answer(HONEST, b"X-A: a\rX-B: b") + MORE,
    "a bare line feed in a header": answer(HONEST, b"X-A: a\nContent-Length: 3") + MORE,
    "a folded header": answer(HONEST, b"X-A: a\r\n b") + MORE,
    "a blank before the colon": answer(HONEST, b"Content-Length : 3") + MORE,
    "a second answer": answer(HONEST) + MORE,
    "half a second answer": answer(HONEST) + MORE[:30],
    "one byte too many": answer(HONEST) + b"H",
    "a late second answer": late,
    "204 with a body": answer(MORE, status=b"204 No Content") + MORE,
    "304 with a body": answer(MORE, status=b"304 Not Modified") + MORE,
    "100 and 204": b"HTTP/1.1 100 Continue\r\n\r\n" + answer(b"", status=b"204 No Content") + MORE,
    "101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n" + MORE,
    "103 without end": lambda: endless(b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", 100),
    "100 without end": lambda: endless(b"HTTP/1.1 100 Continue\r\n\r\n", 100),
    "a head of 100 MB": lambda: [b"HTTP/1.1 200 OK\r\n", *endless(b"X-A: " + b"a" * 1019, 100)],
    "a hundred thousand headers": lambda: [b"HTTP/1.1 200 OK\r\n", *endless(b"X-A: b\r\n", 100)],
    "HTTP 0.9": STOLEN + MORE,
    "HTTP 2": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\n{}" + MORE,
    "status 99": answer(HONEST, status=b"99 x") + MORE,
    "status 1000": answer(HONEST, status=b"1000 x") + MORE,
    "a chunk beyond 64 bits": answer(b"1" + b"0" * 16 + b"\r\n" + MORE, CHUNKED),
    "a chunk longer than its size": answer(b"2\r\n" + HONEST + b"\r\n0\r\n\r\n", CHUNKED) + MORE,
    "a negative chunk": answer(b"-2\r\n" + HONEST + b"\r\n0\r\n\r\n", CHUNKED) + MORE,
    "trailers without end": lambda: [answer(b"2\r\n{}\r\n0\r\n", CHUNKED), *endless(b"X-A: " + b"a" * 1019, 20)],
    "close and more": answer(HONEST, b"Connection: close") + MORE,
}
STATUSES = (b"301 Moved", b"302 Found", b"303 See Other", b"307 Temporary Redirect", b"308 Permanent Redirect")


@pytest.fixture(scope="module")
def enemy(wired: Gateway) -> Iterator[Hostile]:
    with hostile.running() as made:
        for name, pieces in HARMFUL.items():
            wired.add_channel(made.url(name, pieces, answer(HONEST)), name)
        for status in STATUSES:
            name = status[:3].decode()
            wired.add_channel(made.url(name, answer(b"", status=status)), name, key="sk-not-for-others")
        wired.wait_until_routed(ROOT_TOKEN, "308")
        yield made


def ask_for(gateway: Gateway, account: Account, model: str, *, stream: bool = False) -> Got:
    return ask(
        gateway, account, CHAT, {"model": model, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    )


class TestDesync:
    @pytest.mark.parametrize("name", HARMFUL)
    def test_the_next_caller_gets_an_answer_of_its_own(
        self, wired: Gateway, wired_payer: Account, enemy: Hostile, name: str
    ) -> None:
        before = forget_peak(wired)
        first = ask_for(wired, wired_payer, name)
        if name == "a late second answer":
            assert LATE.wait(10)
            assert ask(wired, None, "/api/status").status == 200  # so it has looked at its sockets since
        others = [ask_for(wired, wired_payer, name) for _ in range(2)]

        assert first.status in (200, 502)
        assert b"STOLEN" not in first.body or name == "HTTP 0.9"
        assert [other.status for other in others] == [200, 200]
        assert all(b"honest" in other.body for other in others)
        assert peak(wired) - before < 100 * MIB


class TestRedirects:
    @pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
    @pytest.mark.parametrize("status", STATUSES)
    def test_are_never_followed(
        self, wired: Gateway, wired_payer: Account, enemy: Hostile, status: bytes, stream: bool
    ) -> None:
        name = status[:3].decode()
        with closing(socket.create_server(("127.0.0.1", free_port()))) as elsewhere:
            elsewhere.setblocking(False)
            port = elsewhere.getsockname()[1]
            for target in (f"http://127.0.0.1:{port}/v1/models", f"//127.0.0.1:{port}/", "/308/elsewhere"):
                enemy.answers[name] = [answer(b"{}", b"Location: " + target.encode(), status=status)]
                enemy.seen.clear()

                got = ask_for(wired, wired_payer, name, stream=stream)

                assert 400 <= got.status < 600
                assert "location" not in got.headers
                assert b"sk-not-for-others" not in got.body
                assert [head.split(b" ")[1] for head in enemy.seen] == [f"/{name}{CHAT}".encode()]
            with pytest.raises(BlockingIOError):
                elsewhere.accept()
