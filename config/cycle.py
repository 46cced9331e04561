"""One request and its answer on a connection of uvicorn's, with fewer steps than its own take.

The same ASGI and the same bytes (RFC 9112); the relay's calls spend a tenth of their time here (docs/performance.md).
What differs: no access log, an answer's head is checked as a whole, and a body that has come is handed over without
an event in between.
"""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")  # of a header, in lower case (RFC 9110, 5.1)
FORBIDDEN = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")  # anywhere in a head, beside the ends of its lines
FRAMING = frozenset({b"content-length", b"transfer-encoding", b"connection"})
BODILESS = frozenset({204, 304})
ANSWER = "one_api.answer"  # an extension of the scope (ASGI 3.0): `Cycle.answer`
MOST_NAMES = 1000  # remembered as well formed
LONGEST_REMEMBERED = 256  # bytes of a request's target

_well_formed: set[bytes] = set()


class BadHeader(RuntimeError):
    """A header of an answer would break the connection's framing."""

    def __init__(self) -> None:
        super().__init__("a header of the answer holds a line break or a control character")


class Bell:
    """Rung when there is something to receive. At most one task listens."""

    __slots__ = ("_listener", "rung")

    def __init__(self) -> None:
        self.rung = False
        self._listener: asyncio.Future[None] | None = None

    def set(self) -> None:
        self.rung = True
        if self._listener is not None and not self._listener.done():
            self._listener.set_result(None)

    async def heard(self) -> None:
        """Return once it has rung, and be silent again."""
        while not self.rung:
            self._listener = asyncio.get_running_loop().create_future()
            try:
                await self._listener
            finally:
                self._listener = None
        self.rung = False


class Cycle(RequestResponseCycle):
    """`receive` and `send` of one request; made and told of what arrives by `config.protocol.Protocol`."""

    def __init__(self, protocol: Any, scope: dict[str, Any], *, expects_continue: bool, keep_alive: bool) -> None:
        self.scope = scope  # type: ignore[assignment]
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.server_state = protocol.server_state
        self.on_response = protocol.on_response_complete
        self.message_event = Bell()  # type: ignore[assignment]
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = expects_continue
        self.body = b""  # type: ignore[assignment]
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0
        scope["extensions"] = {ANSWER: self.answer}

    def answer(self, status: int, headers: Any, body: bytes) -> bool:
        """A whole answer in one step, where nothing stands in its way; else False, and `send` has to do it.

        `headers`: names in lower case, nothing about length or framing. Raises BadHeader.
        """
        if self.disconnected:
            return True
        if self.flow.write_paused or self.response_started or status in BODILESS or self.scope["method"] == "HEAD":
            return False
        lines = [b"%b: %b\r\n" % header for header in headers]
        closing = b"" if self.keep_alive else b"connection: close\r\n"
        told = b"".join(lines)
        if FORBIDDEN.search(told) or told.count(b"\n") != len(lines) or told.count(b"\r") != len(lines):
            raise BadHeader
        common = _common(self.server_state.default_headers)
        length = b"content-length: %d\r\n\r\n" % len(body)
        self.transport.write(b"".join((STATUS_LINE[status], common, told, closing, length, body)))
        self.response_started = True
        self.waiting_for_100_continue = False
        self._complete()
        return True

    async def receive(self) -> Any:
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete:
            if self.flow.read_paused:
                self.flow.resume_reading()
            bell: Bell = self.message_event  # type: ignore[assignment]
            if bell.rung:
                bell.rung = False
            else:
                await bell.heard()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        body, self.body = self.body, b""  # type: ignore[assignment]
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """Raises RuntimeError for a message out of place or a head that would break the connection's framing."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if not self.response_started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"expected http.response.start, got {message['type']}")
            self.transport.write(self._head(message["status"], message.get("headers", ())))
        elif self.response_complete:
            raise RuntimeError(f"{message['type']} after the end of the answer")
        elif message["type"] != "http.response.body":
            raise RuntimeError(f"expected http.response.body, got {message['type']}")
        else:
            more = message.get("more_body", False)
            self._write(message.get("body", b""), more)
            if not more:
                self._complete()

    def _head(self, status: int, headers: Any) -> bytes:
        self.response_started = True
        self.waiting_for_100_continue = False
        lines = [STATUS_LINE[status]]
        closing = False
        for given, value in (*self.server_state.default_headers, *headers):
            name = given if given in _well_formed else _checked(given)
            if name in FRAMING:
                closing = self._frame(name, value) or closing
            lines.append(b"%b: %b\r\n" % (name, value))
        if not self.keep_alive and not closing:
            lines.append(b"connection: close\r\n")
        if self.chunked_encoding is None and status not in BODILESS and self.scope["method"] != "HEAD":
            self.chunked_encoding = True
            lines.append(b"transfer-encoding: chunked\r\n")
        head = b"".join(lines)
        if FORBIDDEN.search(head) or head.count(b"\n") != len(lines) or head.count(b"\r") != len(lines):
            raise BadHeader
        return head + b"\r\n"

    def _frame(self, name: bytes, value: bytes) -> bool:
        """Take in how the body is framed; whether the connection closes."""
        if name == b"content-length":
            if self.chunked_encoding is None:
                self.expected_content_length = int(value)
                self.chunked_encoding = False
        elif name == b"transfer-encoding":
            if value.lower() == b"chunked":
                self.expected_content_length = 0
                self.chunked_encoding = True
        elif b"close" in [token.strip() for token in value.lower().split(b",")]:
            self.keep_alive = False
            return True
        return False

    def _write(self, body: bytes, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            data = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
            data = data if more else data + b"0\r\n\r\n"
            if data:
                self.transport.write(data)
        else:
            if len(body) > self.expected_content_length:
                raise RuntimeError("the answer is longer than its Content-Length")
            self.expected_content_length -= len(body)
            if body:
                self.transport.write(body)

    def _complete(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("the answer is shorter than its Content-Length")
        self.response_complete = True
        self.let_go()
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def caller_left(self) -> None:
        if not self.response_complete:
            self.disconnected = True
        self.message_event.set()
        self.let_go()

    def let_go(self) -> None:
        """Of our own name in the scope: in that circle, all of the call would wait for a collection."""
        self.scope.pop("extensions", None)


def _checked(name: bytes) -> bytes:
    """In lower case. Raises RuntimeError: not a header's name."""
    name = name.lower()
    if name not in _well_formed:
        if not NAME.fullmatch(name):
            raise RuntimeError("a header of the answer has no valid name")
        if len(_well_formed) < MOST_NAMES:
            _well_formed.add(name)
    return name


def target(url: bytes) -> tuple[str, bytes, bytes]:
    """(path, path as sent, query as sent) of a request's target. Raises httptools.HttpParserInvalidURLError."""
    return _remembered(url) if len(url) <= LONGEST_REMEMBERED else _parsed(url)


def _parsed(url: bytes) -> tuple[str, bytes, bytes]:
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


_remembered = lru_cache(maxsize=1024)(_parsed)
_last_common: tuple[list[tuple[bytes, bytes]], bytes] = ([], b"")


def _common(headers: list[tuple[bytes, bytes]]) -> bytes:
    """Lines of the headers that all answers have. uvicorn makes the list anew when the date changes."""
    global _last_common  # noqa: PLW0603
    if _last_common[0] is not headers:
        _last_common = headers, b"".join(b"%b: %b\r\n" % header for header in headers)
    return _last_common[1]
