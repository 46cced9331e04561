"""Slow streams, all open at once: `python -m bench.crowd PORT COUNT` opens them some at a time and stays to their ends.

A stream says SLOW_EVENTS things in a minute, so opening must take less than that for all to be open together;
`most_open` says how many were.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from bench import machine, scenario
from bench.streams import Stream
from bench.target import Target, message, told

OPENING = 100  # connections at a time that wait for their first event
PATIENCE = 240  # seconds for a stream's end


class Crowd:
    def __init__(self, target: Target) -> None:
        self._target = target
        self._request = message(target, scenario.stream_request(target.model))
        self._door = asyncio.Semaphore(OPENING)
        self._open = 0
        self.most_open = 0
        self.streams: list[Stream] = []

    async def one(self) -> None:
        loop = asyncio.get_running_loop()
        async with self._door:
            _, stream = await loop.create_connection(
                lambda: Stream(self._request, scenario.SLOW_EVENTS), "127.0.0.1", self._target.port
            )
            self.streams.append(stream)
            stream.begin()
            await asyncio.wait([stream.begun, stream.over], return_when=asyncio.FIRST_COMPLETED, timeout=PATIENCE)
        if stream.over.done():
            return
        self._open += 1
        self.most_open = max(self.most_open, self._open)
        await asyncio.wait([stream.over], timeout=PATIENCE)
        self._open -= 1


async def run(target: Target, count: int) -> dict[str, float]:
    crowd = Crowd(target)
    began = time.monotonic()
    await asyncio.gather(*(crowd.one() for _ in range(count)))
    seconds = time.monotonic() - began
    for stream in crowd.streams:
        stream.close()
    return {
        "streams": count,
        "most_open": crowd.most_open,
        "lost": sum(stream.lost for stream in crowd.streams),
        "seconds": seconds,
        "first_ms": max(stream.first for stream in crowd.streams) * 1000,
    }


if __name__ == "__main__":
    machine.raise_file_limit()
    print(json.dumps(uvloop.run(run(told(int(sys.argv[1])), int(sys.argv[2])))))
