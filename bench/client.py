"""Load without wrk: `python -m bench.client PORT CONNECTIONS SECONDS`; prints what wrk.lua prints.

Raw sockets over uvloop, closed loop: each connection asks again as soon as it was answered. It costs several times
what wrk costs, so figures made with it are lower; the table says which one was used.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from typing import cast

import uvloop

from bench import scenario


class Lane(asyncio.Protocol):
    """One connection. The answers must have a Content-Length, as those to plain calls here do."""

    def __init__(self, request: bytes, until: float, figures: Figures) -> None:
        self._request, self._until, self._figures = request, until, figures
        self._buffer = b""
        self._wanted = 0  # bytes of the answer, its head included; 0 while the head is not whole
        self.ended = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.ended.done():
            self._figures.broken += 1
            self.ended.set_result(None)

    def _ask(self) -> None:
        self._asked = time.monotonic()
        if self._asked >= self._until:
            self.ended.set_result(None)
            self._transport.close()
            return
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._wanted:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = self._buffer[:end].lower()
            length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
            self._wanted = end + 4 + int(length)
        if len(self._buffer) < self._wanted:
            return
        self._figures.times.append(time.monotonic() - self._asked)
        self._figures.refused += not self._buffer.startswith(b"HTTP/1.1 200")
        self._buffer, self._wanted = b"", 0
        self._ask()


class Figures:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.refused = self.broken = 0


async def run(port: int, connections: int, seconds: float, key: str) -> dict[str, float]:
    figures = Figures()
    head = (
        f"POST {scenario.PATH} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer sk-{key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(scenario.REQUEST)}\r\n\r\n"
    )
    request = head.encode() + scenario.REQUEST
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    lanes = []
    for _ in range(connections):
        _, lane = await loop.create_connection(lambda: Lane(request, began + seconds, figures), "127.0.0.1", port)
        lanes.append(lane)
    await asyncio.wait([lane.ended for lane in lanes], timeout=seconds + 30)
    times = sorted(figures.times)
    return {
        "calls": len(times),
        "seconds": time.monotonic() - began,
        "refused": figures.refused,
        "broken": figures.broken,
        "p50": times[len(times) // 2] * 1000 if times else 0.0,
        "p99": times[len(times) * 99 // 100] * 1000 if times else 0.0,
    }


if __name__ == "__main__":
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(uvloop.run(run(port, connections, seconds, os.environ["BENCH_KEY"]))))
