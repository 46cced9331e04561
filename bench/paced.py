"""The upstream that takes its time: streams of EVENTS events, one every PACE seconds, each on a clock of its own.

Run as `python -m bench.paced PORT DELAY EVENTS PACE`; a plain call is answered after DELAY seconds. A late event does
not delay the next one, so what a caller sees late beyond this is the gateway's doing.
"""

from __future__ import annotations

import asyncio
import gc
import sys
from typing import cast

import httptools
import orjson
import uvloop

from bench import scenario

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(scenario.ANSWER)
) + scenario.ANSWER


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


END = chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"


class Manner:
    """How it answers, worked out once."""

    def __init__(self, delay: float, events: int, pace: float) -> None:
        self.delay, self.pace = delay, pace
        self.chunks = [chunk(scenario.event(number, events)) for number in range(events)]
        self.usage = chunk(scenario.usage_event(events))


class Connection(asyncio.Protocol):
    def __init__(self, manner: Manner) -> None:
        self._manner = manner
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
            if self._manner.delay:
                self._timer = self._loop.call_later(self._manner.delay, self._transport.write, PLAIN)
            else:
                self._transport.write(PLAIN)
            return
        options = document.get("stream_options") or {}
        self._asks_usage = bool(options.get("include_usage"))
        self._transport.write(STREAM_HEAD)
        self._began = self._loop.time()
        self._next(0)

    def _next(self, number: int) -> None:
        manner, following = self._manner, number + 1
        self._transport.write(manner.chunks[number])
        if following < len(manner.chunks):
            self._timer = self._loop.call_at(self._began + following * manner.pace, self._next, following)
        else:
            self._transport.write((manner.usage if self._asks_usage else b"") + END)


async def serve(port: int, manner: Manner) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(manner), "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    gc.disable()  # a collection is a gap in all streams
    port, delay, events, pace = sys.argv[1:]
    uvloop.run(serve(int(port), Manner(float(delay), int(events), float(pace))))
