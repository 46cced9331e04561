"""Calls at fixed times, whoever is still waiting: `python -m bench.open_loop PORT RATE SECONDS`; prints JSON.

A closed loop asks less while the server is slow, and so hides how slow it was. Here a call's time counts from the
moment it was due: what waits for a free connection, or for this process, waits within it. `late` says how much of that
was ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections import deque

import uvloop

from bench import scenario
from bench.figures import percentile
from bench.lane import Lane
from bench.metronome import Metronome
from bench.target import Target, message, told

CONNECTIONS = 128
PATIENCE = 10  # seconds for what is not answered when the last call has been made


class Caller:
    def __init__(self, request: bytes) -> None:
        self._request = request
        self._idle: list[Lane] = []
        self._asked: dict[Lane, float] = {}  # when the call that it carries was due
        self._queue: deque[float] = deque()
        self._finished: asyncio.Future[None] | None = None
        self._over = False
        self.times: list[float] = []
        self.late: list[float] = []
        self.refused = self.broken = self.most_waiting = 0

    async def connect(self, port: int) -> None:
        for _ in range(CONNECTIONS):
            made = asyncio.get_running_loop().create_connection(
                lambda: Lane(self._answered, self._broken), "127.0.0.1", port
            )
            self._idle.append((await made)[1])

    @property
    def waiting(self) -> int:
        return len(self._asked) + len(self._queue)

    def due(self, moment: float) -> None:
        self.late.append(time.monotonic() - moment)
        if self._idle:
            self._send(self._idle.pop(), moment)
        else:
            self._queue.append(moment)
            self.most_waiting = max(self.most_waiting, len(self._queue))

    async def finish(self) -> None:
        if self.waiting:
            self._finished = asyncio.get_running_loop().create_future()
            await asyncio.wait([self._finished], timeout=PATIENCE)
        self._over = True
        for lane in [*self._idle, *self._asked]:
            lane.close()
        await asyncio.sleep(0)  # the closing itself

    def _send(self, lane: Lane, moment: float) -> None:
        self._asked[lane] = moment
        lane.send(self._request)

    def _answered(self, lane: Lane, well: bool) -> None:
        self.times.append(time.monotonic() - self._asked.pop(lane))
        self.refused += not well
        if self._queue:
            self._send(lane, self._queue.popleft())
        else:
            self._idle.append(lane)
        if self._finished is not None and not self.waiting and not self._finished.done():
            self._finished.set_result(None)

    def _broken(self, lane: Lane) -> None:
        if self._over:
            return
        self.broken += 1
        self._asked.pop(lane, None)
        if lane in self._idle:
            self._idle.remove(lane)


async def run(target: Target, rate: float, seconds: float) -> dict[str, float]:
    """Times in milliseconds. `unanswered`: calls that were due and never answered."""
    caller = Caller(message(target, scenario.request(target.model)))
    await caller.connect(target.port)
    count = max(1, round(rate * seconds))
    began = time.monotonic()
    await Metronome(rate, count, caller.due).over
    await caller.finish()
    times, late = sorted(caller.times), sorted(caller.late)
    return {
        "wanted": rate,
        "calls": len(times),
        "seconds": time.monotonic() - began,
        "refused": caller.refused,
        "broken": caller.broken,
        "unanswered": count - len(times),
        "most_waiting": caller.most_waiting,
        **{
            name: percentile(times, share) * 1000
            for name, share in (("p50", 0.5), ("p99", 0.99), ("p999", 0.999), ("max", 1.0))
        },
        "late_p99": percentile(late, 0.99) * 1000,
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(told(int(sys.argv[1])), float(sys.argv[2]), float(sys.argv[3])))))
