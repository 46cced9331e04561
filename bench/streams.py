"""Streams at once: `python -m bench.streams PORT COUNT` opens them together, notes when each part came, prints JSON.

An event counts when its number came in its place: one that is missing, doubled or out of order is lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import sys
import time
from typing import cast

import httptools
import uvloop

from bench import scenario
from bench.figures import percentile
from bench.target import Target, message, told

PATIENCE = 60  # seconds
WELL = b"HTTP/1.1 200"
END = b"0\r\n\r\n"  # the last chunk, which has nothing in it; those before it end in the empty line of an event


class Answer:
    """What httptools tells of a whole answer."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def on_body(self, body: bytes) -> None:
        self.parts.append(body)


class Stream(asyncio.Protocol):
    def __init__(self, request: bytes, events: int = scenario.EVENTS) -> None:
        self._request, self._events = request, events
        self._came: list[bytes] = []  # as it came; taken apart when all is over, since time is short meanwhile
        self._last = 0.0
        self.first = 0.0  # seconds until the first event
        self.longest = 0.0  # seconds between two parts of the body, the first excepted
        self.begun = asyncio.get_running_loop().create_future()  # done by the first event
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def begin(self) -> None:
        self._asked = time.monotonic()
        self._transport.write(self._request)

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._came.append(data)
        if self._last:
            self.longest = max(self.longest, now - self._last)
            self._last = now
        elif b"data: " in data:
            self.first = now - self._asked
            self._last = now
            self.begun.set_result(None)
        if (self._last and data.endswith(END)) or not self._came[0].startswith(WELL):
            self._end()

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    @property
    def whole(self) -> bool:
        """Answered well, and to the end."""
        return bool(self._came) and self._came[0].startswith(WELL) and self._came[-1].endswith(END)

    @property
    def lost(self) -> int:
        """Events that did not come in their place; a stream without its [DONE] has lost at least one."""
        answer = Answer()
        with contextlib.suppress(httptools.HttpParserError):  # what cannot be read was not heard
            httptools.HttpResponseParser(answer).feed_data(b"".join(self._came))
        lines = b"".join(answer.parts).split(b"\n\n")
        chunks = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
        parts = [choice["delta"].get("content") for chunk in chunks for choice in chunk.get("choices", ())]
        said = [part for part in parts if part]  # some servers add an event of their own that says nothing
        right = sum(mine == f"{number} " for number, mine in enumerate(said))
        extra = max(0, len(said) - self._events)
        return int(self._events - right + extra + (b"data: [DONE]" not in lines))


async def run(target: Target, count: int) -> dict[str, object]:
    request = message(target, scenario.stream_request(target.model))
    loop = asyncio.get_running_loop()
    streams = []
    for _ in range(count):
        _, stream = await loop.create_connection(lambda: Stream(request), "127.0.0.1", target.port)
        streams.append(stream)
    began = time.monotonic()
    for stream in streams:
        stream.begin()
    await asyncio.wait([stream.over for stream in streams], timeout=PATIENCE)
    seconds = time.monotonic() - began
    for stream in streams:
        stream.close()
    longest = sorted(stream.longest * 1000 for stream in streams)
    return {
        "streams": count,
        "whole": sum(stream.whole for stream in streams),
        "lost": sum(stream.lost for stream in streams),
        "seconds": seconds,
        "first_ms": max(stream.first for stream in streams) * 1000,
        "gap_p50_ms": percentile(longest, 0.5),
        "gap_p99_ms": percentile(longest, 0.99),
        "gap_max_ms": longest[-1],
    }


if __name__ == "__main__":
    gc.disable()  # it ends before that matters, and a collection is a gap
    print(json.dumps(uvloop.run(run(told(int(sys.argv[1])), int(sys.argv[2])))))
