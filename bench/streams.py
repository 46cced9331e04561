"""Streams at once: `python -m bench.streams PORT COUNT` opens them together, notes when each part came, prints JSON.

An event counts when its number came in its place: one that is missing, doubled or out of order is lost.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import cast

import httptools
import uvloop

from bench import scenario

PATIENCE = 60  # seconds


class Stream(asyncio.Protocol):
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._last = 0.0
        self.first = 0.0  # seconds until the first event
        self.longest = 0.0  # seconds between two parts of the body, the first excepted
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def begin(self) -> None:
        self._asked = time.monotonic()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._end()

    def on_body(self, body: bytes) -> None:
        now = time.monotonic()
        if self._last:
            self.longest = max(self.longest, now - self._last)
        else:
            self.first = now - self._asked
        self._last = now
        self._parts.append(body)

    def on_message_complete(self) -> None:
        self._end()

    def _end(self) -> None:
        if not self.over.done():
            self.over.set_result(None)

    @property
    def status(self) -> int:
        return int(self._parser.get_status_code())

    @property
    def lost(self) -> int:
        """Events that did not come in their place; a stream without its [DONE] has lost at least one."""
        lines = b"".join(self._parts).split(b"\n\n")
        chunks = [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]
        said = [choice["delta"]["content"] for chunk in chunks for choice in chunk.get("choices", ())]
        right = sum(mine == f"{number} " for number, mine in enumerate(said))
        extra = max(0, len(said) - scenario.EVENTS)
        return int(scenario.EVENTS - right + extra + (b"data: [DONE]" not in lines))


async def run(port: int, count: int, key: str) -> dict[str, object]:
    head = (
        f"POST {scenario.PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer sk-{key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(scenario.STREAM_REQUEST)}\r\n\r\n"
    )
    request = head.encode() + scenario.STREAM_REQUEST
    loop = asyncio.get_running_loop()
    streams = []
    for _ in range(count):
        _, stream = await loop.create_connection(lambda: Stream(request), "127.0.0.1", port)
        streams.append(stream)
    began = time.monotonic()
    for stream in streams:
        stream.begin()
    await asyncio.wait([stream.over for stream in streams], timeout=PATIENCE)
    seconds = time.monotonic() - began
    longest = sorted(stream.longest * 1000 for stream in streams)
    return {
        "streams": count,
        "whole": sum(stream.over.done() and stream.status == 200 for stream in streams),
        "lost": sum(stream.lost for stream in streams),
        "seconds": seconds,
        "first_ms": max(stream.first for stream in streams) * 1000,
        "gap_p50_ms": longest[len(longest) // 2],
        "gap_p99_ms": longest[len(longest) * 99 // 100],
        "gap_max_ms": longest[-1],
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(int(sys.argv[1]), int(sys.argv[2]), os.environ["BENCH_KEY"]))))
