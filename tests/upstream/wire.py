"""HTTP/1.1 over asyncio with full control over every byte and over the moment the socket closes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast

import httptools

REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 429: "Too Many Requests", 500: "Internal Server Error"}


class Dropped(Exception):
    """The script closed the socket in the middle of an answer."""


@dataclass(slots=True)
class Request:
    method: str = ""
    target: str = ""
    headers: dict[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""


@dataclass(slots=True)
class Stats:
    """Since the last reset. `cancelled` answers are those whose caller left before the last byte."""

    received: int = 0
    completed: int = 0
    cancelled: int = 0
    dropped: int = 0
    open: int = 0
    most_open: int = 0
    last_cancelled: float = 0.0  # unix seconds
    cancelled_events: list[int] = field(default_factory=list)  # events written before each caller left


Handler = Callable[["Reply", Request], Awaitable[None]]


class Reply:
    """The writing end of one exchange."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.events = 0  # events of a stream written so far

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Scripted')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.write("\r\n".join(lines).encode() + b"\r\n\r\n")

    def whole(self, status: int, content_type: str, body: bytes, headers: Mapping[str, str] = {}) -> None:
        self.head(status, {"Content-Type": content_type, "Content-Length": str(len(body)), **headers})
        self.write(body)

    def chunk(self, data: bytes) -> None:
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def last_chunk(self) -> None:
        self.write(b"0\r\n\r\n")

    def write(self, data: bytes) -> None:
        self._connection.transport.write(data)

    def drop(self) -> None:
        """Close the socket now; what was written is delivered, the rest never comes."""
        self._connection.transport.close()
        raise Dropped


class Connection(asyncio.Protocol):
    """One caller's connection: requests one after the other, each handled by a task of its own."""

    def __init__(self, handler: Handler, stats: Stats, clock: Callable[[], float]) -> None:
        self._handler, self._stats, self._clock = handler, stats, clock
        self._task: asyncio.Task[None] | None = None
        self._reply: Reply | None = None
        self._request = Request()
        self._parts: list[bytes] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's does not inherit from asyncio's
        self._parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.transport.close()

    # httptools calls these
    def on_message_begin(self) -> None:
        self._request, self._parts = Request(), []

    def on_url(self, url: bytes) -> None:
        self._request.target += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self._request.headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._request.headers.get("expect", "").lower() == "100-continue":
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._request.method = self._parser.get_method().decode()
        self._request.body = b"".join(self._parts)
        self._reply = Reply(self)
        self._task = asyncio.get_running_loop().create_task(self._exchange(self._reply, self._request))

    async def _exchange(self, reply: Reply, request: Request) -> None:
        counted = not request.target.startswith("/__")
        stats = self._stats
        if counted:
            stats.received += 1
            stats.open += 1
            stats.most_open = max(stats.most_open, stats.open)
        try:
            await self._handler(reply, request)
        except asyncio.CancelledError:
            if counted:
                stats.cancelled += 1
                stats.last_cancelled = self._clock()
                stats.cancelled_events.append(reply.events)
            raise
        except Dropped:
            stats.dropped += 1
        else:
            if counted:
                stats.completed += 1
        finally:
            if counted:
                stats.open -= 1
            self._task = None

    def connection_lost(self, error: Exception | None) -> None:
        if self._task is not None:
            self._task.cancel()
