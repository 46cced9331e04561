"""The three types of ASGI, and the few things done with them: reading a head and a body, sending an answer."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from config.client_ip import Network, client_ip
from relay.errors import BadRequest, CallerLeft, TooLarge
from relay.keeping import Keeping
from relay.told import LEFT, Trace
from relay.types import Head

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = Iterable[tuple[bytes, bytes]]
AtOnce = Callable[[int, Headers, bytes], bool]

JSON = (b"content-type", b"application/json; charset=utf-8")


def read_head(scope: Scope, trusted_proxies: tuple[Network, ...]) -> Head:
    """The request's head. Of a header that comes twice the first counts; but hops may each write a line."""
    lines = scope["headers"]
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in lines}
    if len(headers) < len(lines):
        headers = _first_of_each(lines)
    peer = scope["client"][0] if scope.get("client") else ""
    ip = client_ip(peer, headers.get("x-forwarded-for"), headers.get("x-real-ip"), trusted_proxies)
    path = scope["path"]
    raw = scope.get("raw_path") or path.encode()
    return Head(scope["method"], path, raw.decode("latin-1"), scope["query_string"].decode("latin-1"), headers, ip)


def _first_of_each(lines: Headers) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw, value in lines:
        name = raw.decode("latin-1")
        if name not in headers:
            headers[name] = value.decode("latin-1")
        elif name == "x-forwarded-for":
            headers[name] += "," + value.decode("latin-1")
    return headers


async def read_body(receive: Receive, head: Head, limit: int) -> bytes:
    """The whole body, gzip undone (contract, 1.1). Raises TooLarge, BadRequest, CallerLeft."""
    declared = head.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise TooLarge(f"the request body is longer than {limit} bytes")
    message = await receive()
    if message["type"] == "http.disconnect":
        raise CallerLeft
    body = message.get("body", b"")
    if message.get("more_body"):
        parts = [body]
        size = len(body)
        while message.get("more_body"):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise CallerLeft
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise TooLarge(f"the request body is longer than {limit} bytes")
            parts.append(part)
        body = b"".join(parts)
    if head.headers.get("content-encoding") == "gzip":
        return _gunzip(body, limit)
    return bytes(body)


def _gunzip(body: bytes, limit: int) -> bytes:
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest("the request body is not gzip, though its head says so") from error
    if len(plain) > limit:
        raise TooLarge(f"the request body is longer than {limit} bytes")
    if not inflate.eof:
        raise BadRequest("the gzip request body is cut off")
    return plain


class Reply:
    """The answer to one request. `started` once its head is out: from then on no other answer is possible.

    `trace` is kept by whoever serves the request, in case it fails; `keeping` by relay.idempotent.
    """

    def __init__(self, send: Send, request_id: str, cors: bool, at_once: AtOnce | None = None) -> None:
        """`at_once`: what the server has for whole answers beside ASGI (config.cycle), if anything."""
        self._send = send
        self._at_once = at_once
        self._common = [(b"x-oneapi-request-id", request_id.encode())]
        if cors:
            self._common.append((b"access-control-allow-origin", b"*"))
        self.request_id = request_id
        self.started = False
        self.status = LEFT  # what the caller got
        self.trace = Trace()
        self.keeping: Keeping | None = None

    def keep(self, keeping: Keeping) -> None:
        """Let `keeping` hear all that goes out from now on."""
        send, common = self._send, len(self._common)
        self.keeping = keeping
        self._at_once = None

        async def both(message: Message) -> None:
            if message["type"] == "http.response.start":
                keeping.started(message["status"], message["headers"][common:])
            else:
                keeping.said(message["body"])
            await send(message)

        self._send = both

    async def start(self, status: int, headers: Headers) -> None:
        self.started = True
        self.status = status
        await self._send({"type": "http.response.start", "status": status, "headers": [*self._common, *headers]})

    async def body(self, chunk: bytes, *, more: bool) -> None:
        await self._send({"type": "http.response.body", "body": chunk, "more_body": more})

    async def whole(self, status: int, body: bytes, headers: Headers = (JSON,)) -> None:
        if self._at_once is not None and self._at_once(status, [*self._common, *headers], body):
            self.started = True
            self.status = status
            return
        await self.start(status, [*headers, (b"content-length", str(len(body)).encode())])
        await self.body(body, more=False)
