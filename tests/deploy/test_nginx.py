"""deploy/nginx.conf in front of two small servers: what is handed on, what is tried again, and what must never be."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.nodes import services
from tests.nodes.network import LOOPBACK, Place
from tests.ports import free_port
from tests.server import ROOT

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Serve = Callable[[socket.socket, bytes], None]


class Node:
    """Accepts, keeps each request's head and what came with it, and leaves the answer to `serve`."""

    def __init__(self, serve: Serve) -> None:
        self.requests: list[bytes] = []
        self._serve = serve
        self._door = socket.create_server((LOOPBACK, free_port()))
        self.place = Place(LOOPBACK, self._door.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while request := connection.recv(1 << 20):
                self.requests.append(request)
                self._serve(connection, request)

    def close(self) -> None:
        self._door.close()


def answers(connection: socket.socket, request: bytes) -> None:
    connection.sendall(OK)


def dies(connection: socket.socket, request: bytes) -> None:
    """Having got the call, and perhaps having paid for it."""
    connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def front(folder: Path, *places: Place) -> Iterator[httpx.Client]:
    with services.nginx(folder, LOOPBACK, places) as url:
        services.until(lambda: _listens(url), "nginx")
        with httpx.Client(base_url=url, timeout=10) as client:
            yield client


def _listens(url: str) -> bool:
    try:
        httpx.get(f"{url}/metrics")
    except httpx.TransportError:
        return False
    return True


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node(answers)
    yield made
    made.close()


@pytest.fixture
def dying() -> Iterator[Node]:
    made = Node(dies)
    yield made
    made.close()


def test_a_call_that_was_sent_is_never_sent_again(tmp_path: Path, node: Node, dying: Node) -> None:
    with front(tmp_path, dying.place, node.place) as client:
        told = [client.post("/v1/chat/completions", content=b"paid") for _ in range(8)]

    assert len(dying.requests) + len(node.requests) == 8
    assert len(dying.requests) >= 2
    assert [one.status_code for one in told].count(502) == len(dying.requests)
    assert {one.json()["error"]["code"] for one in told if one.status_code == 502} == {"no_node"}


def test_a_node_that_is_not_there_is_passed_over(tmp_path: Path, node: Node) -> None:
    with front(tmp_path, Place(LOOPBACK, free_port()), node.place) as client:
        told = [client.post("/v1/chat/completions", content=b"paid").status_code for _ in range(8)]

    assert told == [200] * 8
    assert len(node.requests) == 8


def test_what_strangers_say_of_earlier_hops_is_not_handed_on(tmp_path: Path, node: Node) -> None:
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Request-Id": "6.6.6.6",
    }
    with front(tmp_path, node.place, node.place) as client:
        client.get("/v1/models", headers={**forged, "X-Forwarded-Host": "6.6.6.6", "Upgrade": "h2c"})

    (head,) = node.requests
    assert b"6.6.6.6" not in head
    assert b"\r\nX-Forwarded-For: 127.0.0.1\r\n" in head
    assert b"h2c" not in head
    assert b"connection:" not in head.lower()


def test_an_answer_comes_piece_by_piece(tmp_path: Path) -> None:
    more = threading.Event()

    def streams(connection: socket.socket, request: bytes) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in (b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"):
            connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
            more.wait(10)  # the next piece is not even written before the caller has this one
            more.clear()
        connection.sendall(b"0\r\n\r\n")

    node, got = Node(streams), []
    with front(tmp_path, node.place, node.place) as client, client.stream("POST", "/v1/messages") as answer:
        for piece in answer.iter_bytes():
            got.append(piece)
            more.set()

    node.close()
    assert got == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]


def test_a_websocket_is_handed_on(tmp_path: Path) -> None:
    def echoes(connection: socket.socket, request: bytes) -> None:
        if b"Upgrade: websocket\r\n" in request and b"Connection: upgrade\r\n" in request:
            connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        else:
            connection.sendall(request.upper())

    node = Node(echoes)
    with front(tmp_path, node.place, node.place) as client:
        address = client.base_url
        with socket.create_connection((address.host, address.port or 80), 10) as wire:
            wire.sendall(b"GET /v1/realtime HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n")
            head = wire.recv(4096)
            wire.sendall(b"frame")
            echo = wire.recv(4096)
    node.close()
    assert head.startswith(b"HTTP/1.1 101 ")
    assert echo == b"FRAME"


def test_a_body_too_long_is_refused_in_json_and_goes_nowhere(tmp_path: Path, node: Node) -> None:
    with (
        front(tmp_path, node.place, node.place) as client,
        socket.create_connection((client.base_url.host, client.base_url.port or 80), 10) as wire,
    ):
        length = 64 * 1024 * 1024 + 1
        wire.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % length)
        wire.shutdown(socket.SHUT_WR)
        answer = wire.makefile("rb").read()

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"request_too_large"' in answer
    assert node.requests == []


def test_keys_stay_out_of_the_log_and_a_nodes_own_state_inside(tmp_path: Path, node: Node) -> None:
    with front(tmp_path, node.place, node.place) as client:
        client.post(
            "/v1beta/models/gemini:generateContent?key=sk-secret", headers={"Authorization": "Bearer sk-secret"}
        )
        hidden = [client.get(path).status_code for path in ("/metrics", "/readyz")]

    log = (tmp_path / "nginx-access.log").read_text()
    assert "sk-secret" not in log
    assert '"path":"/v1beta/models/gemini:generateContent","status":200' in log
    assert hidden == [404, 404]
    assert len(node.requests) == 1


def test_no_directive_lets_a_paid_call_be_repeated() -> None:
    lines = [line.partition("#")[0] for line in (ROOT / "deploy" / "nginx.conf").read_text().splitlines()]
    assert not any("non_idempotent" in line for line in lines)
    assert sum("proxy_buffering off;" in line for line in lines) == 2
    assert not any("$proxy_add_x_forwarded_for" in line for line in lines)
