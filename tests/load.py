"""A small HTTP/1.1 client over asyncio for load: many calls at a time, exact about bytes and moments.

General clients cost more than the gateway under test and hide when an event came. This one keeps a connection a lane,
takes one call after the other, and never retries.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

import httptools

TIMEOUT = 120  # seconds for a whole call


@dataclass(slots=True)
class Answer:
    """What came back. `complete` is True only if the last byte came; status 0 means no head came."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)  # lower-case names
    body: bytes = b""
    complete: bool = False
    started: float = 0.0  # seconds of the monotonic clock
    first_byte: float = 0.0
    ended: float = 0.0
    arrivals: list[float] = field(default_factory=list)  # moments at which parts of the body came

    @property
    def request_id(self) -> str:
        return self.headers.get("x-oneapi-request-id", "")

    def json(self) -> Any:
        return json.loads(self.body)

    def events(self) -> list[str]:
        """The payloads of the events that came whole."""
        whole = self.body.decode().replace("\r\n", "\n").split("\n\n")[:-1]
        return ["\n".join(_data_lines(event)) for event in whole if _data_lines(event)]

    @property
    def done(self) -> bool:
        """Whether a streamed answer ended as OpenAI's do."""
        return self.complete and self.status == 200 and self.body.rstrip().endswith(b"data: [DONE]")

    @property
    def longest_gap(self) -> float:
        """Seconds between two parts of the body, at most."""
        return max((b - a for a, b in zip(self.arrivals, self.arrivals[1:], strict=False)), default=0.0)


def _data_lines(event: str) -> list[str]:
    return [line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:")]


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `cut_after` closes the socket when that many events have come; `about` is the test's own."""

    path: str
    body: Mapping[str, Any] | bytes
    key: str
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    about: Any = None


class _Wire(asyncio.Protocol):
    """One connection; `exchange` sends a request and returns its answer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._answer = Answer()
        self._parts: list[bytes] = []
        self._over: asyncio.Future[None] | None = None
        self._cut_after: int | None = None
        self._events = 0
        self.usable = True

    async def exchange(self, request: bytes, cut_after: int | None) -> Answer:
        self._answer, self._parts, self._events = Answer(started=time.monotonic()), [], 0
        self._cut_after = cut_after
        self._parser = httptools.HttpResponseParser(self)
        self._over = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        try:
            await asyncio.wait_for(self._over, TIMEOUT)
        except TimeoutError:
            self.usable = False
            self.transport.abort()
        answer = self._answer
        answer.ended = time.monotonic()
        answer.body = b"".join(self._parts)
        if not answer.complete:
            self.usable = False
            self.transport.abort()
        return answer

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self.usable = False
        self._end()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.usable = False
            self._end()

    # httptools calls these
    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer.headers[name.decode().lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._answer.status = self._parser.get_status_code()
        self._answer.first_byte = time.monotonic()
        if not self._parser.should_keep_alive():
            self.usable = False

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)
        self._answer.arrivals.append(time.monotonic())
        if self._cut_after is not None:
            self._events += body.count(b"\n\n")
            if self._events >= self._cut_after:
                self.usable = False
                self.transport.abort()
                self._end()

    def on_message_complete(self) -> None:
        self._answer.complete = True
        self._end()


class Client:
    """Calls to one address. Use as `async with Client(url) as client`."""

    def __init__(self, url: str) -> None:
        address = urlsplit(url)
        self._host, self._port = address.hostname or "127.0.0.1", address.port or 80
        self._idle: list[_Wire] = []

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *exception: object) -> None:
        for wire in self._idle:
            wire.transport.abort()
        self._idle.clear()

    async def send(self, call: Call) -> Answer:
        """One call. A gateway that is not there gives an answer of status 0."""
        request = self._request(call)
        while True:
            wire = self._idle.pop() if self._idle else None
            if wire is not None and not wire.usable:
                continue
            if wire is None:
                try:
                    loop = asyncio.get_running_loop()
                    _, wire = await loop.create_connection(_Wire, self._host, self._port)
                except OSError:
                    return Answer(started=time.monotonic(), ended=time.monotonic())
            break
        answer = await wire.exchange(request, call.cut_after)
        if wire.usable:
            self._idle.append(wire)
        return answer

    async def run(
        self, calls: Iterable[Call], at_a_time: int, until: Callable[[], bool] = lambda: False
    ) -> list[tuple[Call, Answer]]:
        """All calls, `at_a_time` of them at once, in the order they ended; no new one once `until()` holds."""
        return [pair async for pair in self.stream(calls, at_a_time, until)]

    async def stream(
        self, calls: Iterable[Call], at_a_time: int, until: Callable[[], bool] = lambda: False
    ) -> AsyncIterator[tuple[Call, Answer]]:
        ended: asyncio.Queue[tuple[Call, Answer] | None] = asyncio.Queue()
        waiting = iter(calls)

        async def lane() -> None:
            for call in waiting:
                if until():
                    break
                answer = await self.send(call)
                ended.put_nowait((call, answer))
                if answer.status == 0:
                    await asyncio.sleep(0.02)  # nobody there: do not spin
            ended.put_nowait(None)

        lanes = [asyncio.create_task(lane()) for _ in range(at_a_time)]
        left = len(lanes)
        while left:
            pair = await ended.get()
            if pair is None:
                left -= 1
            else:
                yield pair
        await asyncio.gather(*lanes)

    def _request(self, call: Call) -> bytes:
        body = call.body if isinstance(call.body, bytes) else json.dumps(call.body).encode()
        headers = {
            "Host": f"{self._host}:{self._port}",
            "Authorization": f"Bearer sk-{call.key}",
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            **call.headers,
        }
        lines = [f"{call.method} {call.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
