"""One HTTP/1.1 connection to a provider, and the pool it returns to.

Written by hand over llhttp (httptools) because no client at hand does both: end an exchange at once, also while its
head is still awaited, and cost little per call (docs/performance.md has the figures). HTTP/1.1: RFC 9112.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from functools import partial
from typing import Any

import httptools

from relay.alarms import Alarms
from relay.dialing import Destination, Dialer

FRAMED_BY = frozenset({b"content-length", b"transfer-encoding"})
MAX_HEAD = 256 * 1024  # bytes of an answer's head
AT_ONCE = 64 * 1024  # bytes read from the network in one go, and handed on: what a slow reader can make us keep
HIGH_WATER = 64 * 1024  # bytes buffered before the upstream is made to wait
IDLE = 55.0  # seconds an unused connection is kept; most servers close theirs after 60 and more
MOST_IDLE = 512  # kept for one destination


class BrokenOff(ConnectionError):
    """The connection ended before the exchange did. `silent`: not a byte of an answer had come."""

    def __init__(self, message: str, silent: bool) -> None:
        super().__init__(message)
        self.silent = silent


class UnknownFraming(ValueError):
    """A transfer coding but chunked: where the answer ends cannot be told."""


@dataclass(slots=True)
class ResponseHead:
    status: int
    headers: list[tuple[bytes, bytes]]  # names in lower case
    fields: dict[bytes, bytes]  # the same by name; of one that comes twice the first


class Connection(asyncio.BufferedProtocol):
    """One exchange at a time: `begin`, `head`, `chunk` until None, then `reusable` tells whether it can go back.

    `room` is where what arrives is read into, for all connections of one event loop: it is parsed at once.
    """

    def __init__(self, alarms: Alarms, room: memoryview) -> None:
        self._alarms = alarms
        self._room = room
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._parser: Any = httptools.HttpResponseParser(self)  # for all answers of this connection
        self._waiter: asyncio.Future[None] | None = None
        self._head: ResponseHead | None = None
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_size = 0  # bytes since the request, or since the last that were part of a body
        self._body: deque[bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._complete = True
        self._keep_alive = False
        self._until_close = False  # the body has no length and ends with the connection (RFC 9112, 6.3)
        self._bodiless = False
        self._surplus = False  # the server has begun a second answer to one request
        self._error: Exception | None = None
        self._silent = True
        self._closed = False
        self.used = 0  # exchanges begun
        self.idle_since = 0.0

    # --- the exchange -------------------------------------------------------------------------------------------

    def begin(self, head: bytes, body: bytes, *, bodiless: bool) -> None:
        """Send a request. `bodiless`: the answer has no body whatever its head says (HEAD)."""
        assert self._transport is not None
        self.used += 1
        self._head, self._headers, self._head_size = None, [], 0
        self._complete = self._keep_alive = self._until_close = False
        self._bodiless = bodiless
        self._surplus = False
        self._silent = True
        if len(body) < 65536:
            self._transport.write(head + body)
        else:
            self._transport.writelines([head, body])

    async def head(self, timeout: float | None) -> ResponseHead:
        """Raises BrokenOff, TimeoutError."""
        while self._head is None:
            await self._wait(timeout)
        return self._head

    async def chunk(self, timeout: float | None) -> bytes | None:
        """What has come of the body since the last call, at most about AT_ONCE bytes; None at its end.

        Raises BrokenOff, TimeoutError.
        """
        body = self._body
        while not body:
            if self._complete:
                return None
            await self._wait(timeout)
        if len(body) == 1:
            data = body.popleft()
        elif self._buffered <= AT_ONCE:
            data = b"".join(body)
            body.clear()
        else:
            pieces = [body.popleft()]
            size = len(pieces[0])
            while body and size + len(body[0]) <= AT_ONCE:
                size += len(body[0])
                pieces.append(body.popleft())
            data = b"".join(pieces)
        self._buffered -= len(data)
        if self._paused and self._buffered <= HIGH_WATER:
            self._paused = False
            assert self._transport is not None
            self._transport.resume_reading()
        return data

    def whole(self) -> bytes | None:
        """The body, where all of it is here and nothing of it has been taken; else None."""
        if not self._complete or len(self._body) != 1 or self._paused:
            return None
        self._buffered = 0
        return self._body.popleft()

    @property
    def reusable(self) -> bool:
        return self._complete and self._keep_alive and not self._surplus and not self._closed and not self._body

    @property
    def open(self) -> bool:
        return not self._closed and self._transport is not None and not self._transport.is_closing()

    def abort(self) -> None:
        """End it now; the upstream sees a closed connection."""
        if self._transport is not None:
            self._transport.abort()

    async def _wait(self, timeout: float | None) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = waiter = self._loop.create_future()
        alarm = self._alarms.set(timeout, partial(_expire, waiter)) if timeout else None
        try:
            await waiter
        finally:
            self._waiter = None
            if alarm:
                alarm.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: Exception) -> None:
        self._error = self._error or error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._error)

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport) or hasattr(transport, "write")
        self._transport = transport  # type: ignore[assignment]

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._room

    def buffer_updated(self, nbytes: int) -> None:
        if self._complete:  # nobody asked: this connection cannot be trusted any more
            self.abort()
            return
        self._silent = False
        self._head_size += nbytes
        try:
            self._parser.feed_data(self._room[:nbytes])
        except httptools.HttpParserError as error:
            self._fail(BrokenOff(f"not an HTTP answer: {error}", silent=False))
            self.abort()
            return
        if self._head_size > MAX_HEAD and not self._complete:
            self._fail(BrokenOff("the head of the answer, or what follows its chunks, is too long", silent=False))
            self.abort()
        elif self._buffered > HIGH_WATER and not self._paused:
            self._paused = True
            self._transport.pause_reading()  # type: ignore[union-attr]

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        self._parser = None  # it names us: in a circle, what is buffered would stay until garbage is collected
        if self._complete:
            return
        if self._until_close and self._head is not None and error is None:
            self._complete = True
            self._wake()
        else:
            self._fail(BrokenOff("the connection broke off", silent=self._silent))

    # --- httptools ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._surplus = self._complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        headers, self._headers = self._headers, []  # trailers and a surplus answer's go where nobody looks
        if self._surplus:
            return
        status = self._parser.get_status_code()
        if status < 200:  # an interim answer (100, 103): the real one follows
            return
        headers = [(name.lower(), value) for name, value in headers]
        fields = dict(reversed(headers))
        if fields.get(b"transfer-encoding", b"chunked").lower() != b"chunked":
            raise UnknownFraming
        self._until_close = FRAMED_BY.isdisjoint(fields)
        self._head = ResponseHead(status, headers, fields)
        if self._bodiless or status in (204, 304):
            self._complete = True  # and not kept alive: what follows cannot be told from a next answer
        self._wake()

    def on_body(self, data: bytes) -> None:
        self._head_size = 0
        if not self._complete:
            self._body.append(data)
            self._buffered += len(data)
            self._wake()

    def on_message_complete(self) -> None:
        if self._head is None or self._surplus:
            return
        self._keep_alive = self._parser.should_keep_alive() and not self._until_close
        self._complete = True
        self._wake()


def _expire(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_exception(TimeoutError())


class Pool:
    """Connections waiting for their next exchange, by destination; the last one used goes out first."""

    def __init__(self, dialer: Dialer, alarms: Alarms | None = None) -> None:
        self._dialer = dialer
        self._new = partial(Connection, alarms or Alarms(), memoryview(bytearray(AT_ONCE)))
        self._idle: dict[Destination, list[Connection]] = {}
        self._closed = False

    def idle(self, destination: Destination) -> Connection | None:
        """One that is open and ready for `begin`, if there is any."""
        waiting = self._idle.get(destination)
        oldest = time.monotonic() - IDLE
        while waiting:
            connection = waiting.pop()
            if connection.open and connection.idle_since > oldest:
                return connection
            connection.abort()
        return None

    async def take(self, destination: Destination, *, fresh: bool = False) -> Connection:
        """A connection ready for `begin`. Raises OSError, TimeoutError, relay.dialing.CannotDial."""
        connection = None if fresh else self.idle(destination)
        return connection or await self._dialer.dial(destination, self._new)

    def give_back(self, destination: Destination, connection: Connection) -> None:
        """After an exchange, whatever became of it: kept when it can serve again, else closed."""
        if not connection.reusable or self._closed:
            connection.abort()
            return
        connection.idle_since = time.monotonic()
        waiting = self._idle.setdefault(destination, [])
        waiting.append(connection)
        if len(waiting) > MOST_IDLE or waiting[0].idle_since < connection.idle_since - IDLE:
            waiting.pop(0).abort()

    def close(self) -> None:
        self._closed = True
        for waiting in self._idle.values():
            for connection in waiting:
                connection.abort()
        self._idle.clear()
