"""Load without wrk: `python -m bench.client PORT CONNECTIONS SECONDS`; prints what wrk.lua prints.

Raw sockets over uvloop, closed loop: each connection asks again as soon as it was answered. It costs several times
what wrk costs, so figures made with it are lower; the table says which one was used.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import uvloop

from bench import scenario
from bench.figures import percentile
from bench.lane import Lane
from bench.target import Target, message, told


class Figures:
    def __init__(self) -> None:
        self.times: list[float] = []
        self.refused = self.broken = 0


class Turn:
    """What one connection does: ask, note, ask again until the time is over."""

    def __init__(self, request: bytes, until: float, figures: Figures) -> None:
        self._request, self._until, self._figures = request, until, figures
        self.ended = asyncio.get_running_loop().create_future()
        self.lane = Lane(self._answered, self._broken)

    def ask(self) -> None:
        self._asked = time.monotonic()
        if self._asked >= self._until:
            self.ended.set_result(None)
            self.lane.close()
            return
        self.lane.send(self._request)

    def _answered(self, lane: Lane, well: bool) -> None:
        self._figures.times.append(time.monotonic() - self._asked)
        self._figures.refused += not well
        self.ask()

    def _broken(self, lane: Lane) -> None:
        if not self.ended.done():
            self._figures.broken += 1
            self.ended.set_result(None)


async def run(target: Target, connections: int, seconds: float) -> dict[str, float]:
    figures = Figures()
    request = message(target, scenario.request(target.model))
    loop = asyncio.get_running_loop()
    began = time.monotonic()
    turns = [Turn(request, began + seconds, figures) for _ in range(connections)]
    for turn in turns:
        await loop.create_connection(lambda lane=turn.lane: lane, "127.0.0.1", target.port)  # type: ignore[misc]
        turn.ask()
    await asyncio.wait([turn.ended for turn in turns], timeout=seconds + 30)
    times = sorted(figures.times)
    return {
        "calls": len(times),
        "seconds": time.monotonic() - began,
        "refused": figures.refused,
        "broken": figures.broken,
        "p50": percentile(times, 0.5) * 1000,
        "p99": percentile(times, 0.99) * 1000,
    }


if __name__ == "__main__":
    port, connections, seconds = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    print(json.dumps(uvloop.run(run(told(port), connections, seconds))))
