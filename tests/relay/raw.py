"""Requests whose every byte is the test's own, and what comes back, unread by any client."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from tests.server import Account, Gateway


@dataclass(frozen=True, slots=True)
class Got:
    """An answer. `headers` by lower-case name, the last one of each."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def request_id(self) -> str:
        return self.headers["x-oneapi-request-id"]

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Any:
        return self.json()["error"]

    def events(self) -> list[str]:
        """Payloads of the events of a stream."""
        return [event.removeprefix("data: ") for event in self.body.decode().split("\n\n") if event]


def ask(
    gateway: Gateway,
    account: Account | None,
    path: str,
    body: Any = None,
    *,
    method: str = "",
    headers: Mapping[str, str] = {},
    timeout: float = 30,
) -> Got:
    """One request on a connection of its own. `body`: bytes as they are, anything else as JSON."""
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", **headers}
    if account is not None:
        sent.setdefault("Authorization", f"Bearer sk-{account.key}")
    with closing(http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=timeout)) as connection:
        connection.putrequest(method or ("GET" if body is None else "POST"), path, skip_accept_encoding=True)
        for name, value in sent.items():
            connection.putheader(name, value)
        if "Transfer-Encoding" not in sent and (raw or body is not None):
            connection.putheader("Content-Length", str(len(raw)))
        connection.endheaders(raw)
        answer = connection.getresponse()
        return Got(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def chat(model: str, text: str = "Hello", **members: Any) -> dict[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], **members}


def post(gateway: Gateway, account: Account, body: bytes, path: str = "/v1/chat/completions") -> bytes:
    """The bytes of a POST with this body, for `connected`."""
    head = f"POST {path} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer sk-{account.key}\r\n"
    return (head + f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n").encode() + body


@contextmanager
def connected(gateway: Gateway) -> Iterator[socket.socket]:
    """A bare socket to the gateway."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as made:
        yield made


def until(condition: Callable[[], Any], seconds: float = 5) -> Any:
    """The first true value of `condition`; AssertionError after `seconds`."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.03)
    return value


def squeezed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)
