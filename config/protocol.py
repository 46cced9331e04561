"""HTTP/1.1 as this server takes it: uvicorn's protocol, with cycles of our own and limits on what a caller may send.

The parser (llhttp) refuses what can be read in two ways: two lengths, folded lines, bare line feeds. What it lets pass
and a server in front could read otherwise is refused here, so that nothing that follows a request is ever taken for
another one. Slow callers are closed: uvicorn itself waits for ever for the rest of a head or a body. And every request
of a connection hears that its caller has left: uvicorn tells the last one that came, which behind a running call may be
one that waits for its turn.
"""

from __future__ import annotations

import asyncio
import re
import select
from collections.abc import Container
from typing import Any

import httptools
from django.conf import settings
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from config import draining
from config.cycle import Cycle, target

HEAD_TIMEOUT: float = settings.HEAD_TIMEOUT  # seconds, as all times here
BODY_TIMEOUT: float = settings.BODY_TIMEOUT
MOST_HEAD = 64 * 1024  # bytes of a request line with its headers; also of what follows a chunked body
MOST_LINES = 256  # headers of one request
CALLER_LOOK = 0.5  # between two looks whether a caller is still there who cannot be read from meanwhile
LEAST_RATE = 1024  # bytes a second of a body, looked at over BODY_TIMEOUT
QUIET, HEAD, BODY = range(3)  # what the caller is in the middle of
H2C = re.compile(rb"\r\nupgrade:[ \t]*h2c[ \t]*(?=\r\n|\Z)", re.IGNORECASE)
LEFT = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR  # a half that is closed: on Linux alone
TOO_LARGE = (431, b"The head of the request is too large.")
MALFORMED = (400, b"Invalid HTTP request received.")
TOO_SLOW = (408, b"The request came too slowly.")


class Refused(Exception):
    """A head that is not served; the answer is in `Protocol._refusal`."""


class Protocol(HttpToolsProtocol):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._doing = HEAD
        self._unread = 0  # bytes since the last that were part of a body or ended a head
        self._arrived = 0  # bytes of the body since the alarm was set
        self._refusal = MALFORMED
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_for = QUIET
        self._upgraded = False  # to a WebSocket: what follows is not ours
        self.cycle: Any  # of the last request that came; None before the first
        self._answering: Any = None  # the cycle that has, or had last, its turn: those after it wait in `pipeline`
        self._look: asyncio.TimerHandle | None = None  # at the caller, while nothing is read

    # --- asyncio.Protocol ---------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_alarm(HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        self._set_alarm(QUIET)
        if self._look is not None:
            self._look.cancel()
            self._look = None
        super().connection_lost(exc)
        waiting = [cycle for cycle, _ in self.pipeline]
        self.pipeline.clear()  # none of them will be begun
        for cycle in (self._answering, *waiting):
            if cycle is not None:
                cycle.caller_left()

    def data_received(self, data: bytes) -> None:
        if b"h2c" in data and self._doing is not BODY:
            # An offer of HTTP/2, which Java's clients make with every request. The parser would take the body that
            # follows such a head for the other protocol (RFC 9113, 3.1 withdrew the offer).
            head, end, body = data.partition(b"\r\n\r\n")
            data = H2C.sub(b"", head) + end + body
        self._unread += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._unread > MOST_HEAD:
            self._refusal = TOO_LARGE
            self.send_400_response("")
        elif self._doing is not self._alarm_for or self._doing is QUIET:
            self._set_alarm(HEAD if self._doing is QUIET and self._between_requests() else self._doing)

    def _between_requests(self) -> bool:
        """Whether what came belongs to no request (line ends), and has switched the limit of idle time off."""
        return self.timeout_keep_alive_task is None and self.cycle is not None and self.cycle.response_complete

    # --- httptools ----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._doing = HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Raises Refused, which the parser hands back as an error of its own."""
        parser, scope = self.parser, self.scope
        version, fields = parser.get_http_version(), dict(self.headers)
        self._check_head(version, fields)
        self._doing, self._unread, self._arrived = BODY, 0, 0
        scope["method"] = parser.get_method().decode("ascii")
        if version != "1.1":
            scope["http_version"] = version
        if parser.should_upgrade():
            self._upgraded = self._should_upgrade()
            if self._upgraded:
                if self._answering is not None and not self._answering.response_complete:
                    raise Refused  # the rest of that answer would go out in the midst of the other protocol
                return
        scope["path"], scope["raw_path"], scope["query_string"] = target(self.url)
        before = self.cycle
        self.cycle = cycle = Cycle(
            self,
            scope,  # type: ignore[arg-type]
            expects_continue=b"expect" in fields and fields[b"expect"].lower() == b"100-continue",
            keep_alive=version != "1.0" and parser.should_keep_alive() and not draining.under_way(),
        )
        if before is None or before.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))
            if self._look is None:
                self._look = self.loop.call_later(CALLER_LOOK, self._look_for_caller)
        self.headers = []  # what follows a chunked body is no part of the head (RFC 9110, 6.5.1)

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        self._arrived += len(body)
        cycle = self.cycle
        if self._upgraded or cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        self._doing, self._unread = QUIET, 0
        cycle = self.cycle
        if self._upgraded or cycle.response_complete:
            return
        cycle.more_body = False
        cycle.message_event.set()

    def handle_websocket_upgrade(self) -> None:
        self._set_alarm(QUIET)  # the session has its own pings
        super().handle_websocket_upgrade()

    def send_400_response(self, msg: str) -> None:
        """Refuse and close; without a word where an answer is under way or this request has had its own."""
        self._set_alarm(QUIET)
        cycle, answering = self.cycle, self._answering
        begun = cycle is not None and (cycle.response_started if self._doing is BODY else not cycle.response_complete)
        if not begun and (answering is cycle or answering.response_complete):
            status, text = self._refusal
            head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[status] + head % len(text) + text)
        self.transport.close()

    def shutdown(self) -> None:
        """After draining: who was promised a kept connection may be sending on it just now; it stays a while."""
        if not draining.under_way():
            super().shutdown()
        elif self.cycle is not None and not self.cycle.response_complete:
            self.timeout_keep_alive = draining.LINGER
        else:
            self._unset_keepalive_if_required()
            self.timeout_keep_alive_task = self.loop.call_later(draining.LINGER, self.timeout_keep_alive_handler)

    # --- what is refused ----------------------------------------------------------------------------------------

    def _check_head(self, version: str, fields: dict[bytes, bytes]) -> None:
        """`fields`: the headers by name. Raises Refused."""
        headers = self.headers
        if len(headers) > MOST_LINES or (self._unread > MOST_HEAD and self._head_size() > MOST_HEAD):
            self._refusal = TOO_LARGE
            raise Refused
        twice = len(fields) < len(headers) and [name for name, _ in headers]
        if twice and (twice.count(b"host") > 1 or twice.count(b"transfer-encoding") > 1):
            raise Refused
        # 1.0 does not know chunks, and 0.9 has no headers at all.
        one_way = b"host" in fields if version == "1.1" else version == "1.0" and b"transfer-encoding" not in fields
        if b"transfer-encoding" in fields:
            one_way = one_way and fields[b"transfer-encoding"].lower() == b"chunked"
        if not (one_way and self._names_one_target() and self._upgrades_plainly(fields)):
            raise Refused

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _names_one_target(self) -> bool:
        """A path, or an address whose host is the one of the header Host (RFC 9112, 3.2.2)."""
        if b"#" in self.url:
            return False
        if self.url.startswith(b"/"):
            return True
        try:
            target: Any = httptools.parse_url(self.url)
        except httptools.HttpParserInvalidURLError:
            return False
        if target.path is None or target.host is None or target.userinfo is not None:
            return False
        named = target.host if target.port is None else b"%b:%d" % (target.host, target.port)
        return any(name == b"host" and value.lower() == named.lower() for name, value in self.headers)

    def _upgrades_plainly(self, names: Container[bytes]) -> bool:
        """The parser drops the body of a request that offers another protocol, and would read it as a next request."""
        if not self.parser.should_upgrade():
            return True
        bodiless = b"content-length" not in names and b"transfer-encoding" not in names
        return bodiless and self.parser.get_method() != b"CONNECT"

    # --- requests behind a running one --------------------------------------------------------------------------

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _look_for_caller(self) -> None:
        """While nothing is read, the loop notices no end. The kernel does, unless its buffers were not enough."""
        self._look = None
        if self.transport.is_closing() or not self.pipeline:
            return
        if self.flow.read_paused:
            asked = select.poll()
            asked.register(self.transport.get_extra_info("socket").fileno(), LEFT)
            if asked.poll(0):
                self.transport.close()
                return
        self._look = self.loop.call_later(CALLER_LOOK, self._look_for_caller)

    # --- time ---------------------------------------------------------------------------------------------------

    def _set_alarm(self, doing: int) -> None:
        """Only requests that did not arrive in one piece come here: the usual one costs no timer."""
        if doing is self._alarm_for:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_for = doing
        if doing is HEAD:
            self._alarm = self.loop.call_later(HEAD_TIMEOUT, self._head_due)
        elif doing is BODY:
            self._arrived = 0
            self._alarm = self.loop.call_later(BODY_TIMEOUT, self._body_due)

    def _head_due(self) -> None:
        self._alarm_for = QUIET
        if self.cycle is not None and not self.cycle.response_complete:
            self._set_alarm(HEAD)  # the answer before it goes on; the head itself is bounded
        elif self._doing is HEAD and self._unread:
            self._refusal = TOO_SLOW
            self.send_400_response("")
        else:
            self.transport.close()

    def _body_due(self) -> None:
        self._alarm_for = QUIET
        waits_for_us = self.flow.read_paused and not self.cycle.response_complete
        if waits_for_us or (self._arrived >= LEAST_RATE * BODY_TIMEOUT and not self.cycle.response_complete):
            self._set_alarm(BODY)
            return
        self._refusal = TOO_SLOW
        self.send_400_response("")
