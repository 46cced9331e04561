"""The upstream that streams: 64 events, one every 20 ms, each on its own clock. Plain calls are answered at once.

Run as `python -m bench.paced PORT`. A late event does not delay the next one, so what a caller sees late beyond this
is the gateway's doing.
"""

from __future__ import annotations

import asyncio
import sys
from typing import cast

import httptools
import orjson
import uvloop

from bench import scenario

EVENTS = [scenario.event(number) for number in range(scenario.EVENTS)]
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(scenario.ANSWER)
) + scenario.ANSWER


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


CHUNKS = [chunk(event) for event in EVENTS]
USAGE = chunk(scenario.usage_event())
END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._body = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, error: Exception | None) -> None:
        if self._timer:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        document, self._body = orjson.loads(self._body), b""
        if not document.get("stream"):
            self._transport.write(PLAIN)
            return
        options = document.get("stream_options") or {}
        self._asks_usage = bool(options.get("include_usage"))
        self._transport.write(STREAM_HEAD)
        self._began = self._loop.time()
        self._next(0)

    def _next(self, number: int) -> None:
        self._transport.write(CHUNKS[number])
        if number + 1 < scenario.EVENTS:
            self._timer = self._loop.call_at(self._began + (number + 1) * scenario.PACE, self._next, number + 1)
        else:
            self._transport.write((USAGE if self._asks_usage else b"") + END)


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
