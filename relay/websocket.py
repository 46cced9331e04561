"""A conversation over a WebSocket (RFC 6455): one message goes out, and what comes back is read like an HTTP answer.

Connections lead where those of `relay.upstream` do, through the same proxies and with the same TLS; none is kept. The
grammar is that of the package `websockets`, which is used without its own sockets.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from functools import lru_cache

from django.conf import settings
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from relay.dialing import CannotDial, Dialer, ProxyRules, Target, resolve
from relay.errors import UpstreamError, UpstreamTimeout, UpstreamUnreachable
from relay.sse import MAX_EVENT

SCHEMES = {"ws": "http", "wss": "https"}
SWITCHED = 101
HIGH_WATER, LOW_WATER = 512 * 1024, 128 * 1024  # bytes of messages waiting before the upstream is made to wait
FAREWELL = 1.0  # seconds the upstream has to close after us


@lru_cache(maxsize=1)
def _dialer(timeout: float) -> Dialer:
    return Dialer(timeout)  # keeps its TLS context, which takes its time to build


class Conversation:
    """Offers what `relay.adapters.base.UpstreamAnswer` does. `chunks` are the text messages, each ended by a line feed.

    Line feeds within a message become blanks: in JSON they can only stand between tokens. A refused handshake is an
    answer with its own status and body; an accepted one has the status 200. Time limits are those of other calls.
    """

    def __init__(self, url: str, message: bytes, *, proxy: str = "", is_last: Callable[[bytes], bool]) -> None:
        """`url`: ws:// or wss://. After the message that `is_last`, nothing is waited for, not even a farewell.

        Raises UpstreamUnreachable: the address cannot be used.
        """
        self.sent = False
        self.status = 0
        self.retry_after: float | None = None
        self._message = message
        self._is_last = is_last
        self._line: _Line | None = None
        self._refusal = b""
        scheme, _, rest = url.partition("://")
        plain = f"{SCHEMES.get(scheme, scheme)}://{rest}"
        rules = ProxyRules(settings.HTTP_PROXY, settings.HTTPS_PROXY, settings.NO_PROXY)
        try:
            self._target: Target = resolve(plain, proxy or settings.RELAY_PROXY or rules(plain))
            self._protocol = ClientProtocol(parse_uri(url), max_size=MAX_EVENT)
        except (CannotDial, ValueError) as error:
            raise UpstreamUnreachable("the channel's address cannot be used") from error
        destination = self._target.destination
        if destination.proxy.startswith("http") and not destination.tls:
            raise UpstreamUnreachable("an HTTP proxy carries wss:// addresses only")
        self._deadline = time.monotonic() + settings.RELAY_TIMEOUT if settings.RELAY_TIMEOUT else None

    async def open(self) -> None:
        """Connect, shake hands, send the message. Raises UpstreamUnreachable, UpstreamTimeout."""
        dialer = _dialer(settings.RELAY_CONNECT_TIMEOUT)
        try:
            self._line = await dialer.dial(self._target.destination, lambda: _Line(self._protocol))
        except TimeoutError:
            raise UpstreamTimeout("no connection to the upstream in time") from None
        except OSError as error:
            raise UpstreamUnreachable("the upstream cannot be reached") from error
        self._line.shake_hands()
        response = await self._wait(settings.RELAY_CONNECT_TIMEOUT)
        if not isinstance(response, Response):
            raise UpstreamUnreachable("the upstream broke off the handshake")
        if response.status_code != SWITCHED:
            self.status, self._refusal = response.status_code, bytes(response.body or b"")
            return
        if self._protocol.state is not State.OPEN:
            raise UpstreamUnreachable("the upstream's handshake cannot be used")
        self.status, self.sent = 200, True
        self._line.say(self._message)

    def header(self, name: str) -> str:
        return "application/json" if name == "content-type" and self._refusal else ""

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises UpstreamUnreachable when the connection breaks before it is closed, UpstreamTimeout when it stalls."""
        if self._refusal or self._line is None:
            yield self._refusal
            return
        limit: float = settings.RELAY_FIRST_BYTE_TIMEOUT
        while (message := await self._wait(limit)) is not None:
            limit = settings.RELAY_IDLE_TIMEOUT
            if isinstance(message, bytes):
                yield message
                if self._is_last(message):
                    return

    async def read(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise UpstreamError("the upstream's answer is too long", code="answer_too_large")
            parts.append(chunk)
        return b"".join(parts)

    def close(self) -> None:
        """Say farewell; the connection ends soon, whether or not the upstream answers."""
        if self._line is not None:
            self._line.leave()
            self._line = None

    async def _wait(self, seconds: float) -> Response | bytes | None:
        assert self._line is not None
        if self._deadline is not None:
            seconds = min(seconds, max(0.001, self._deadline - time.monotonic()))
        try:
            async with asyncio.timeout(seconds):
                return await self._line.next()
        except TimeoutError:
            raise UpstreamTimeout("the upstream did not answer in time") from None
        except ConnectionError as error:
            raise UpstreamUnreachable("the upstream broke off its answer") from error


class _Line(asyncio.Protocol):
    """The bytes of one connection, in and out of the grammar."""

    def __init__(self, protocol: ClientProtocol) -> None:
        self._protocol = protocol
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._arrived: deque[Response | bytes] = deque()
        self._buffered = 0
        self._paused = False
        self._parts: list[bytes] = []  # of a message that comes in fragments
        self._over = False

    def shake_hands(self) -> None:
        self._protocol.send_request(self._protocol.connect())
        self._flush()

    def say(self, message: bytes) -> None:
        self._protocol.send_text(message)
        self._flush()

    def leave(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
            self._resume()
            asyncio.get_running_loop().call_later(FAREWELL, self._transport.abort)
        else:
            self._transport.abort()

    async def next(self) -> Response | bytes | None:
        """What came next; None once the upstream has closed in order. Raises ConnectionError: it broke off."""
        while not self._arrived:
            if self._over:
                if self._protocol.state is State.CLOSED and self._protocol.close_rcvd is not None:
                    return None
                raise ConnectionError("the connection ended without a farewell")
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        item = self._arrived.popleft()
        self._buffered -= len(item) if isinstance(item, bytes) else 0
        if self._paused and self._buffered < LOW_WATER:
            self._resume()
        return item

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._protocol.receive_data(data)
        self._take()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._take()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            if self._protocol.state is not State.CLOSED:
                self._protocol.receive_eof()
                self._take()
        self._wake()

    # --- inside -------------------------------------------------------------------------------------------------

    def _take(self) -> None:
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self._arrived.append(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()
        if self._protocol.close_expected() and self._transport is not None:
            self._transport.close()
        if self._buffered > HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return  # pings are answered by the grammar; nobody asked for binary messages
        self._parts.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(self._parts).replace(b"\n", b" ") + b"\n"
            self._parts = []
            self._arrived.append(message)
            self._buffered += len(message)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if self._transport is None or self._transport.is_closing():
                return
            if data:
                self._transport.write(data)
            elif self._transport.can_write_eof():
                self._transport.write_eof()

    def _resume(self) -> None:
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def converse(url: str, message: bytes, proxy: str, is_last: Callable[[bytes], bool]) -> Conversation:
    """Nothing is sent before `open`."""
    return Conversation(url, message, proxy=proxy, is_last=is_last)
